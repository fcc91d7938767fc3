"""docs/feeds.md names every reason, remark and column, and its example is readable."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from io import BytesIO
from pathlib import Path

import pytest

from app.catalog.feeds.google_vehicle_ads import (
    ADAPTER,
    BODIES,
    FUELS,
    OPTIONAL,
    REQUIRED,
    STORES,
    UNHEARD,
)
from app.catalog.feeds.record import FeedContext, NoticeCode, Reason, StockRecord
from app.catalog.feeds.us_listings import REQUIRED as LISTING_COLUMNS
from app.catalog.range.loading import load_range

PAGE = (Path(__file__).parents[2] / "docs" / "feeds.md").read_text(encoding="utf-8")


def _section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("heading", "codes"), [("Reasons for rejection", Reason), ("Notices", NoticeCode)]
)
def test_the_page_lists_exactly_the_codes_there_are(heading: str, codes: type[StrEnum]) -> None:
    listed = re.findall(r"^\| `(\w+)` \|", _section(heading), flags=re.MULTILINE)
    assert listed == [code.value for code in codes]


def test_the_page_names_every_column_and_every_closed_value() -> None:
    section = _section("Vehicle ads text format")
    for value in (*REQUIRED, *STORES, *OPTIONAL, *UNHEARD, *BODIES, *FUELS):
        assert f"`{value}`" in section
    assert ", ".join(LISTING_COLUMNS) in " ".join(_section("Scraped listings").split())


def test_the_pages_example_is_imported_without_a_remark() -> None:
    example = PAGE.split("```text\n")[1].split("```")[0].replace("→", "\t")
    context = FeedContext.of("example", "SE", load_range(), date(2026, 11, 22))
    outcomes = list(ADAPTER.read(BytesIO(example.encode("utf-8")), context))
    assert [type(outcome) for outcome in outcomes] == [StockRecord, StockRecord]
