"""Every fact is stated by somebody, and the ledger knows what to do with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.contracts.events import FACT_TYPES

APP = Path(__file__).resolve().parents[2] / "app"
NOT_BOOKED = {
    "CarListed": "says what may be sold; checkout consumes it",
    "CarWithdrawn": "says what may be sold; checkout consumes it",
    "CarSoldAtDesk": "no order of ours: checkout's own metric counts the reports",
    "DeskSaleUndone": "as above",
    "FeedImported": "the catalogue's own metrics count rows; kept for consumers to come",
    "OrderPartlyRefunded": "the order stands; money out is checkout's to account for",
    "CarStateChanged": "says what may be shown; the catalogue consumes it",
}


def _words_of(*folders: str, besides: str = "") -> str:
    return "\n".join(
        path.read_text()
        for folder in folders
        for path in sorted((APP / folder).rglob("*.py"))
        if not besides or besides not in str(path)
    )


@pytest.mark.parametrize("fact", sorted(cls.__name__ for cls in FACT_TYPES.values()))
def test_a_fact_is_stated_in_the_code(fact: str) -> None:
    stated = _words_of("catalog", "advisor", "checkout", "storefront", "insight")
    assert re.search(rf"\b{fact}\(", stated), f"nobody states {fact}"


@pytest.mark.parametrize(
    "fact", sorted({cls.__name__ for cls in FACT_TYPES.values()} - NOT_BOOKED.keys())
)
def test_a_fact_is_known_to_the_ledger(fact: str) -> None:
    assert re.search(rf"\b{fact}\b", _words_of("insight")), f"the ledger does not know {fact}"
