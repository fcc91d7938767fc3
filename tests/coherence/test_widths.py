"""What a fact may say fits into the columns of whoever stores it."""

from __future__ import annotations

from dataclasses import fields
from typing import get_type_hints

import pytest
from pydantic import StringConstraints
from sqlalchemy import MetaData, String

from app.checkout.models import CARS
from app.contracts.events import FACT_TYPES, CarListed
from app.insight.models import METADATA as INSIGHT
from app.kernel.facts import Fact

STORED_AS = {"hold_id": "checkout_id", "attempt_id": "checkout_id"}
"""Columns with a name of their own."""


def _bounds(fact: type[Fact]) -> dict[str, int]:
    """The longest text of each free text of a fact."""
    hints = get_type_hints(fact, include_extras=True)
    return {
        each.name: bound.max_length
        for each in fields(fact)
        for bound in getattr(hints[each.name], "__metadata__", ())
        if isinstance(bound, StringConstraints) and bound.max_length is not None
    }


def _widths(metadata: MetaData, *tables: str) -> list[tuple[str, str, int]]:
    return [
        (table.name, column.name, column.type.length)
        for table in metadata.tables.values()
        if table.name in tables
        for column in table.columns
        if isinstance(column.type, String) and column.type.length is not None
    ]


STORED: list[tuple[type[Fact], list[tuple[str, str, int]]]] = [
    (CarListed, _widths(CARS.metadata, CARS.name)),
    *(
        (fact, _widths(INSIGHT, "sessions", "checkouts", "orders", "steps", "cars"))
        for fact in FACT_TYPES.values()
    ),
]


@pytest.mark.parametrize(("fact", "widths"), STORED)
def test_a_column_is_as_wide_as_the_fact_it_stores(
    fact: type[Fact], widths: list[tuple[str, str, int]]
) -> None:
    for name, most in _bounds(fact).items():
        for table, column, width in widths:
            if column in (name, STORED_AS.get(name)) and (table, column) != ("steps", "step"):
                assert width >= most, f"{fact.__name__}.{name} is wider than {table}.{column}"


def test_every_text_of_a_fact_is_bounded() -> None:
    unbounded = {
        f"{fact.__name__}.{each.name}"
        for fact in FACT_TYPES.values()
        for each in fields(fact)
        if get_type_hints(fact)[each.name] is str and each.name not in _bounds(fact)
    }
    assert unbounded == set()
