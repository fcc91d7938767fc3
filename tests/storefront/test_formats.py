"""Money, times and distances as people of each market write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.contracts.catalog import OpeningHours
from app.contracts.wire import MoneyWire
from app.storefront.formats import Formats, formats_of
from app.storefront.places import PLACES
from app.storefront.texts import load_texts

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
NBSP = "\N{NO-BREAK SPACE}"


def formats(market: str, language: str) -> Formats:
    return formats_of(PLACES[market], load_texts(language), NOW)


def test_money_is_written_as_the_market_writes_it() -> None:
    price = MoneyWire(amount=48_990_000, currency="SEK")
    cents = MoneyWire(amount=4_899_050, currency="EUR")

    assert formats("se", "sv").money(price) == f"489{NBSP}900{NBSP}kr"
    assert formats("se", "en").money(price) == f"489{NBSP}900{NBSP}kr"
    assert formats("fi", "sv").money(cents) == f"48{NBSP}990,50{NBSP}€"


def test_a_distance_has_a_decimal_only_when_it_is_short() -> None:
    assert [formats("se", "sv").distance(km) for km in (3.27, 158.4)] == [
        f"3,3{NBSP}km",
        f"158{NBSP}km",
    ]


def test_times_are_the_markets_own() -> None:
    assert formats("se", "en").clock(NOW) == "10:00"
    assert formats("fi", "en").clock(NOW) == "11:00"


def test_ready_is_said_as_people_say_it() -> None:
    say = formats("se", "en").ready

    assert [
        say(NOW, today=True),
        say(NOW + timedelta(days=1), today=False),
        say(NOW + timedelta(hours=1), today=False),
        say(NOW + timedelta(days=4), today=False),
        say(None, today=False),
    ] == [
        "Ready today",
        "Ready tomorrow",
        "Ready next opening day",
        "Ready Tue, 1 Dec",
        "Ask the dealer when it is ready",
    ]


def test_a_promised_moment_that_has_come_stays_come() -> None:
    say = formats("se", "en").collect

    assert [
        say(NOW - timedelta(days=3)),
        say(NOW),
        say(NOW + timedelta(hours=1)),
        say(NOW + timedelta(days=1)),
        say(None),
    ] == [
        "Ready to collect",
        "Ready to collect",
        "Ready today",
        "Ready tomorrow",
        "Ask the dealer when it is ready",
    ]


def test_remaining_time_counts_whole_seconds_and_never_below_zero() -> None:
    remaining = formats("se", "en").remaining

    assert remaining(NOW + timedelta(minutes=14, seconds=32)) == (872, "14:32")
    assert remaining(NOW - timedelta(minutes=1)) == (0, "00:00")


def test_days_with_the_same_hours_are_one_row() -> None:
    week = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
    hours = [
        OpeningHours(days=week, opens="09:00", closes="18:00"),
        OpeningHours(days=["Saturday"], opens="10:00", closes="15:00"),
    ]

    assert formats("se", "en").opening_hours(hours) == [
        ("Mon–Fri", "09:00–18:00"),
        ("Sat", "10:00–15:00"),
        ("Sun", ""),
    ]
