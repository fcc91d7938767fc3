"""What few people did is nobody's business: cells under five people are withheld.

In reports of people alone (cohorts, customers, lists of subjects), never in counts of orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.insight.ledger.sums import Key
from app.insight.reports.tables import Numbers

FEWEST: Final = 5
"""People of a cell that is shown."""


def few(people: int) -> bool:
    """Whether so many may not be told apart; none is nobody."""
    return 0 < people < FEWEST


def withheld(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The same members without their values."""
    hidden = {
        name: withheld(value) | {"withheld": True} if isinstance(value, Mapping) else None
        for name, value in numbers.items()
    }
    return hidden | {"withheld": True}


def without_few(rows: Mapping[Key, Numbers], people: Mapping[Key, int]) -> dict[Key, Numbers]:
    """Rows whose people are too few are withheld.

    If they are too few together, the smallest of the others is as well: what one row says and the
    whole less its parts would tell is the same.
    """
    hidden = {key for key, count in people.items() if few(count)}
    if few(sum(people[key] for key in hidden)):
        others = sorted(
            (count, key) for key, count in people.items() if key not in hidden and count
        )
        hidden |= {key for _, key in others[:1]}
    return {key: withheld(row) if key in hidden else row for key, row in rows.items()}
