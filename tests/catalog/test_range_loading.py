"""Damaged range data is named by file, entry and field."""

from __future__ import annotations

import re
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from app.catalog.range.dealers import DAYS
from app.catalog.range.loading import HERE, load_range
from app.catalog.range.tables import RangeError
from app.kernel.geo import distance_km

SHIPPED = load_range()
MIDDLE = {"SE": (62.0, 15.0), "NO": (64.5, 13.0), "DK": (56.0, 10.5), "FI": (62.5, 25.5)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped data to damage."""
    copy = tmp_path / "range"
    shutil.copytree(HERE, copy, ignore=shutil.ignore_patterns("*.py", "__pycache__", "stock"))
    return copy


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "models/vipa.toml",
            "seats = 2",
            "seats = 0",
            "vipa.toml: vipa: seats: must be greater",
        ),
        ("models/vipa.toml", "seats = 2", "seat = 2", "vipa.toml: vipa: seats: is missing"),
        ("models/vipa.toml", "doors = 3", "doors = 3\nwings = 2", "vipa: wings: is not a field"),
        (
            "models/vipa.toml",
            '"hatchback"',
            '"rocket"',
            "vipa.toml: vipa: body: must be 'hatch",
        ),
        ("models/vipa.toml", "sporty = 0.28", "sporty = 2.8", "vipa: personality: sporty: must be"),
        ("models/vipa.toml", '"101"', '"999"', "vipa: colours: names '999', which does not exist"),
        ("models/vipa.toml", '"vipa"', '"lumme"', "model_id: must be a slug equal to the file's"),
        ("models/vipa.toml", "front = true", "front = true\n[", "vipa.toml: is not valid TOML"),
        (
            "models/vipa.toml",
            "rear_outer = 0",
            "rear_outer = 2",
            "more child seats than passengers",
        ),
        ("models/ripa.toml", "co2_g_km = 123", "co2_g_km = 0", "co2_g_km: is zero exactly when"),
        ("models/vipa.toml", "energy_kwh", "# energy_kwh", "wltp: energy_kwh_100km: is missing"),
        ("palette.toml", "#F1F3F2", "white", "palette.toml: paint 101: hex: must be like #1C3B59"),
        (
            "dealers.toml",
            "lat = 59.3600",
            "lat = 359.3600",
            "dealer SE-STO-1: lat: must be less than or equal to 90, not 359.36",
        ),
        ("dealers.toml", '"standard"', '"standart"', "SE-UPP-1: hours: must be one of standard"),
        ("dealers.toml", 'market = "SE"', 'market = "XX"', "SE-STO-1: market: must be one of DK"),
        ("dealers.toml", "Europe/Oslo", "Europe/Os", "NO-OSL-1: timezone: 'Europe/Os' is not an"),
        ("dealers.toml", '"SE-STO-2"', '"SE-STO-1"', "dealer SE-STO-1: dealer_id: is used twice"),
        ("dealers.toml", '"09:00"', '"9"', "opens: must be a time like 09:30, not '9'"),
        ("markets.toml", '"25"', '"abc"', "vat number 1: percent: must be a valid decimal, not"),
        ("markets.toml", "price_max = 5_000_000", "price_max = 9", "market SE: price_max: must be"),
    ],
)
def test_a_fault_in_the_data_is_one_sentence_with_file_entry_and_field(
    folder: Path, file: str, old: str, new: str, message: str
) -> None:
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RangeError, match=re.escape(message)):
        load_range(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "palette.toml").unlink()
    with pytest.raises(RangeError, match=r"palette\.toml: cannot be read"):
        load_range(folder)


def test_the_same_range_is_returned_without_reading_twice() -> None:
    assert load_range() is load_range()


def test_models_are_found_by_slug_and_by_what_a_feed_writes() -> None:
    assert SHIPPED.model("vipa").name == "Vipa"
    assert SHIPPED.model_named("ELLEVAR", "vipa") is SHIPPED.model("vipa")
    assert SHIPPED.model_named("Tolvik", "Vipa") is None


def test_there_are_dealers_in_every_market_at_places_inside_it() -> None:
    assert len(SHIPPED.dealers) == 26
    for market, (lat, lon) in MIDDLE.items():
        dealers = SHIPPED.dealers_of(market)
        assert len(dealers) >= 5
        assert all(distance_km(lat, lon, d.lat, d.lon) < 900 for d in dealers)
        assert all(d.dealer_id.startswith(f"{market}-") for d in dealers)
    places = {(dealer.lat, dealer.lon) for dealer in SHIPPED.dealers}
    assert len(places) == len(SHIPPED.dealers)


def test_opening_hours_differ_and_some_dealers_rest_on_sunday() -> None:
    sunday = {d.dealer_id for d in SHIPPED.dealers for h in d.hours if DAYS[6] in h.days}
    late = {d.dealer_id for d in SHIPPED.dealers for h in d.hours if h.closes >= "19:30"}
    assert 0 < len(sunday) < len(SHIPPED.dealers)
    assert 0 < len(late) < len(SHIPPED.dealers)
    for dealer in SHIPPED.dealers:
        assert {day for hours in dealer.hours for day in hours.days} >= set(DAYS[:5])


def test_telephone_numbers_come_only_from_the_range_reserved_for_fiction() -> None:
    phones = [dealer.phone for dealer in SHIPPED.dealers if dealer.phone]
    assert len(phones) == len(set(phones)) == len(SHIPPED.dealers_of("SE"))
    assert all(re.fullmatch(r"\+46 8 465 004 \d\d", phone) for phone in phones)


@pytest.mark.parametrize(
    ("market", "day", "electric", "percent"),
    [
        ("SE", date(2026, 11, 22), False, Decimal(25)),
        ("FI", date(2024, 8, 31), False, Decimal(24)),
        ("FI", date(2024, 9, 1), True, Decimal("25.5")),
        ("NO", date(2026, 11, 22), False, Decimal(25)),
        ("NO", date(2026, 11, 22), True, None),
        ("US", date(2026, 11, 22), False, None),
    ],
)
def test_vat_is_the_rate_of_the_day(
    market: str, day: date, electric: bool, percent: Decimal | None
) -> None:
    assert SHIPPED.markets[market].vat_percent(day, electric=electric) == percent
