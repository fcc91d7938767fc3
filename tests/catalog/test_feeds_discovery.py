"""A new source kind is one new file."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest

from app.catalog import feeds
from app.catalog.feeds.discovery import discover_adapters
from app.catalog.feeds.record import FeedContext, Reason, Rejection
from app.catalog.range.loading import load_range

THIRD = '''
"""A source kind that a partner wrote: refuses everything."""

from app.catalog.feeds.record import Reason, Rejection


class Third:
    name = "third"

    def read(self, content, context):
        for number, line in enumerate(content.read().decode().splitlines(), start=1):
            yield Rejection(number, None, "line", line, Reason.NOT_A_CAR, f"Row {number}: no.")


ADAPTER = Third()
'''


@pytest.fixture
def package_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is part of the feeds package for the length of one test."""
    monkeypatch.setattr(feeds, "__path__", [*feeds.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_the_shipped_adapters_are_found_by_their_files() -> None:
    assert sorted(discover_adapters()) == ["google_vehicle_ads", "us_listings"]


def test_a_third_source_kind_needs_one_file_and_nothing_else(package_path: Path) -> None:
    (package_path / "third.py").write_text(THIRD, encoding="utf-8")
    adapters = discover_adapters()
    assert sorted(adapters) == ["google_vehicle_ads", "third", "us_listings"]
    context = FeedContext.of("partner", "SE", load_range(), date(2026, 11, 22))
    assert list(adapters["third"].read(BytesIO(b"a\n"), context)) == [
        Rejection(1, None, "line", "a", Reason.NOT_A_CAR, "Row 1: no.")
    ]


def test_an_adapter_without_read_is_named(package_path: Path) -> None:
    (package_path / "broken_source.py").write_text("ADAPTER = object()\n", encoding="utf-8")
    with pytest.raises(TypeError, match=r"broken_source\.ADAPTER has no name and read"):
        discover_adapters()


def test_two_adapters_may_not_share_a_name(package_path: Path) -> None:
    copy = THIRD.replace('"third"', '"us_listings"')
    (package_path / "zz_copy.py").write_text(copy, encoding="utf-8")
    with pytest.raises(ValueError, match="'us_listings' is taken"):
        discover_adapters()
