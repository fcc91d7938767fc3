"""Every table has an end to its rows or a reason for none, and the documents say which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, create_engine, select
from sqlalchemy.dialects import sqlite

import app.advisor.models
import app.catalog.models
import app.catalog.retention
import app.checkout.models
import app.checkout.retention
import app.insight.ledger.retention
import app.insight.models
import app.sandbox.models
import app.sandbox.retention
import app.storefront.models
from app.catalog.settings import CatalogSettings
from app.checkout.settings import CheckoutSettings
from app.embedded import SERVICES
from app.frame.data.retention import FRAME_KEPT, Rule
from app.insight.settings import InsightSettings
from app.sandbox.settings import SandboxSettings

PAGE = (Path(__file__).parents[2] / "docs" / "retention.md").read_text(encoding="utf-8")
UNUSED: Any = None
"""In the place of what rules do their work with."""

SMALL = {"alerts", "work", "ended_logins"}
"""Hundreds of rows at most: looking through them is as cheap as an index."""


@dataclass(frozen=True)
class Books:
    """One service's tables, what leaves them, and why the others keep what they have."""

    tables: MetaData
    rules: Sequence[Rule] = ()
    kept: Mapping[str, str] = field(default_factory=dict)


BOOKS = {
    "catalog": Books(
        app.catalog.models.METADATA,
        app.catalog.retention.rules(CatalogSettings()),
        app.catalog.retention.KEPT,
    ),
    "advisor": Books(app.advisor.models.METADATA),
    "checkout": Books(
        app.checkout.models.METADATA,
        app.checkout.retention.rules(CheckoutSettings(), UNUSED),
        app.checkout.retention.KEPT,
    ),
    "storefront": Books(app.storefront.models.METADATA),
    "insight": Books(
        app.insight.models.METADATA,
        app.insight.ledger.retention.rules(UNUSED, InsightSettings()),
        app.insight.ledger.retention.KEPT,
    ),
    "sandbox": Books(
        app.sandbox.models.METADATA,
        app.sandbox.retention.rules(SandboxSettings()),
        app.sandbox.retention.KEPT,
    ),
}
RULES = [
    pytest.param(service, rule, id=f"{service}-{rule.table.name}-{number}")
    for service, books in BOOKS.items()
    for number, rule in enumerate(books.rules)
]


def test_no_service_is_forgotten() -> None:
    assert set(BOOKS) == set(SERVICES)


@pytest.mark.parametrize("service", BOOKS)
def test_every_table_has_a_rule_or_a_reason_why_it_needs_none(service: str) -> None:
    books = BOOKS[service]
    ruled = {rule.table.name for rule in books.rules}
    assert ruled & {*books.kept, *FRAME_KEPT} == set()
    assert set(books.kept) <= set(books.tables.tables)
    assert set(books.tables.tables) - ruled - {*books.kept, *FRAME_KEPT} == set()


def test_no_reason_of_the_frame_is_for_nothing() -> None:
    tables = {name for books in BOOKS.values() for name in books.tables.tables}
    assert set(FRAME_KEPT) <= tables


def test_the_document_says_what_leaves_and_what_stays() -> None:
    leaving = "\n".join(
        f"| {service} | `{rule.table.name}` | {rule.rows} | {_words(rule.stay)} |"
        f" {f'`{rule.setting}`' if rule.setting else ''} |"
        for service, books in BOOKS.items()
        for rule in books.rules
    )
    staying = "\n".join(
        f"| {service} | `{table}` | {why} |"
        for service, kept in {
            **{service: books.kept for service, books in BOOKS.items()},
            "each": FRAME_KEPT,
        }.items()
        for table, why in kept.items()
    )
    assert leaving in PAGE, f"docs/retention.md: the first table should be\n{leaving}"
    assert staying in PAGE, f"docs/retention.md: the second table should be\n{staying}"


def _words(stay: timedelta) -> str:
    return "1 day" if stay == timedelta(days=1) else f"{stay.days} days"


@pytest.mark.parametrize(("service", "rule"), RULES)
def test_what_is_over_is_found_by_an_index(service: str, rule: Rule) -> None:
    """Looking through a table of a year for what is over would be most of the work."""
    before = datetime(2026, 11, 27, tzinfo=UTC)
    query = select(*rule.key, rule.at).where(rule.over(before)).order_by(rule.at).limit(500)
    asked = query.compile(dialect=sqlite.dialect(), compile_kwargs={"render_postcompile": True})
    values = tuple(str(asked.params[name]) for name in asked.positiontup or ())
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        BOOKS[service].tables.create_all(connection)
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", values)
        plan = [str(row[-1]) for row in rows]
    engine.dispose()
    if rule.table.name not in SMALL:
        assert [step for step in plan if step.startswith("SCAN")] == [], plan
        assert not [step for step in plan if "TEMP B-TREE" in step], plan
