"""Until when a place is open today, in its own time zone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.opening import (
    DAYS,
    Calendar,
    closing_today,
    first_open,
    kept_until,
    open_on,
    read,
)

WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


@dataclass(frozen=True)
class Group:
    days: tuple[str, ...]
    opens: str
    closes: str


@dataclass(frozen=True)
class Dealer:
    market: str = "SE"
    time_zone: str = "Europe/Stockholm"
    opening_hours: tuple[Group, ...] = (
        Group(WEEK, "09:30", "18:00"),
        Group(("Saturday",), "11:00", "16:00"),
    )
    closed_days: tuple[date, ...] = ()


DEALER = Dealer()
CALENDAR = Calendar.of(DEALER)
NEVER_CLOSED = (Group(DAYS, "09:00", "18:00"),)
AT_HOME = {
    "SE": "Europe/Stockholm",
    "NO": "Europe/Oslo",
    "DK": "Europe/Copenhagen",
    "FI": "Europe/Helsinki",
    "US": "America/New_York",
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "closing"),
    [
        ("2026-11-24T07:00", "2026-11-24T17:00"),  # before opening: it will still close today
        ("2026-11-24T16:59", "2026-11-24T17:00"),
        ("2026-11-24T17:00", None),  # 18:00 in Stockholm: closed
        ("2026-11-28T12:00", "2026-11-28T15:00"),
        ("2026-11-29T12:00", None),  # Sunday
        ("2026-11-24T23:30", "2026-11-25T17:00"),  # Wednesday already, in Stockholm
        ("2026-07-01T15:30", "2026-07-01T16:00"),  # summer time
        ("2026-12-25T10:00", None),  # a Friday, and Christmas Day
        ("2026-12-28T10:00", "2026-12-28T17:00"),
    ],
)
def test_the_closing_time_is_the_one_of_the_local_day(now: str, closing: str | None) -> None:
    assert closing_today(CALENDAR, at(now)) == (None if closing is None else at(closing))


def test_hours_that_are_not_stated_promise_nothing() -> None:
    assert closing_today(replace(CALENDAR, hours=()), at("2026-11-24T07:00")) is None


def test_a_dealer_s_own_closed_day_is_closed() -> None:
    closed = Calendar.of(replace(DEALER, closed_days=(date(2026, 11, 24),)))

    assert closing_today(closed, at("2026-11-24T07:00")) is None
    assert closing_today(closed, at("2026-11-25T07:00")) == at("2026-11-25T17:00")


CLOSED_IN = {
    "2026-01-01": "SE NO DK FI US",
    "2026-01-06": "SE FI",
    "2026-04-02": "NO DK",  # Maundy Thursday
    "2026-04-03": "SE NO DK FI",  # Good Friday
    "2026-04-04": "SE NO",  # Easter Saturday
    "2026-04-06": "SE NO DK FI",  # Easter Monday
    "2026-04-30": "",
    "2026-05-01": "SE NO DK FI",
    "2026-05-14": "SE NO DK FI",  # Ascension
    "2026-05-17": "NO",
    "2026-05-25": "NO DK US",  # Pentecost Monday; Memorial Day
    "2026-06-05": "DK",
    "2026-06-06": "SE",
    "2026-06-19": "SE FI US",  # Midsummer Eve; Juneteenth
    "2026-06-20": "SE FI",
    "2026-10-31": "SE FI",  # All Saints' Day
    "2026-11-26": "US",
    "2026-12-06": "FI",
    "2026-12-23": "",
    "2026-12-24": "SE NO DK FI",
    "2026-12-25": "SE NO DK FI US",
    "2026-12-26": "SE NO DK FI",
    "2026-12-31": "SE NO DK FI",
    "2027-03-27": "SE NO",  # Easter Saturday of another year
    "2028-02-29": "",
}


@pytest.mark.parametrize("day", CLOSED_IN)
def test_holidays_and_eves_are_closed_where_they_are_kept(day: str) -> None:
    closed = [
        market
        for market, zone in AT_HOME.items()
        if not open_on(Calendar.of(Dealer(market, zone, NEVER_CLOSED)), date.fromisoformat(day))
    ]

    assert " ".join(closed) == CLOSED_IN[day]


def test_an_unknown_market_knows_only_the_dealer_s_hours() -> None:
    abroad = Calendar.of(Dealer("DE", "Europe/Berlin", NEVER_CLOSED))

    assert closing_today(abroad, at("2026-12-25T10:00")) == at("2026-12-25T17:00")


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        ("2026-03-28", "2026-03-28T00:30", "2026-03-28T17:00"),
        ("2026-03-29", "2026-03-29T00:30", "2026-03-29T16:00"),  # the clock went forward at 02:00
        ("2026-10-25", "2026-10-24T23:30", "2026-10-25T17:00"),  # and back at 03:00
    ],
)
def test_hours_are_wall_time_across_both_nights(day: str, opens: str, closes: str) -> None:
    dealer = Calendar.of(replace(DEALER, opening_hours=(Group(DAYS, "01:30", "18:00"),)))

    assert open_on(dealer, date.fromisoformat(day)) == ((at(opens), at(closes)),)


@given(
    st.integers(0, 5 * 366 * 24 * 60),
    st.sampled_from(list(AT_HOME.items())),
)
def test_what_closes_today_was_open_today(minutes: int, home: tuple[str, str]) -> None:
    market, zone = home
    moment = at("2026-01-01T00:00") + timedelta(minutes=minutes)
    dealer = Calendar.of(Dealer(market, zone, DEALER.opening_hours))
    closing = closing_today(dealer, moment)
    today = moment.astimezone(ZoneInfo(zone)).date()

    assert closing is None or (
        moment < closing <= moment + timedelta(hours=24)
        and any(opens < closing == closes for opens, closes in open_on(dealer, today))
    )


WEEKDAYS = Calendar.of(replace(DEALER, opening_hours=(Group(WEEK, "08:30", "17:30"),)))
THREE_DAYS = timedelta(hours=72)


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-11-24T10:00", "2026-11-24T10:00"),
        ("2026-11-24T05:00", "2026-11-24T07:30"),
        ("2026-11-24T16:30", "2026-11-25T07:30"),  # 17:30: it closes
        ("2026-11-27T20:00", "2026-11-30T07:30"),
        ("2026-12-23T17:00", "2026-12-28T07:30"),
        ("2026-12-30T17:00", "2027-01-04T07:30"),
        ("2026-04-02T16:00", "2026-04-07T06:30"),  # over Easter
    ],
)
def test_a_car_is_handed_over_when_somebody_is_there(moment: str, opens: str) -> None:
    assert first_open(WEEKDAYS, at(moment)) == at(opens)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-11-23T09:00", "2026-11-26T16:30"),  # Monday; Tuesday, Wednesday and Thursday
        ("2026-11-23T07:30", "2026-11-26T16:30"),  # at opening: three days are not yet 72 hours
        ("2026-11-27T09:00", "2026-12-02T16:30"),  # Friday
        ("2026-12-23T17:00", "2026-12-30T16:30"),  # Christmas: 28, 29 and 30
        ("2026-12-30T12:00", "2027-01-07T16:30"),  # 4, 5, and 7: Epiphany is closed
        ("2026-03-27T09:00", "2026-04-01T15:30"),  # over the night in which clocks go forward
        ("2026-10-23T09:00", "2026-10-28T16:30"),  # and back
    ],
)
def test_a_car_is_kept_for_three_whole_opening_days(since: str, until: str) -> None:
    assert kept_until(WEEKDAYS, at(since), at_least=THREE_DAYS) == at(until)


def test_without_stated_hours_moments_are_as_they_are() -> None:
    unknown = replace(WEEKDAYS, hours=())
    sunday = at("2026-11-29T02:00")

    assert first_open(unknown, sunday) == sunday
    assert kept_until(unknown, sunday, at_least=THREE_DAYS) == sunday + THREE_DAYS


def test_who_never_opens_again_ends_no_search() -> None:
    days = frozenset(date(2026, 1, 1) + timedelta(days=n) for n in range(1500))
    gone = replace(WEEKDAYS, closed_days=days)
    now = at("2026-11-24T10:00")

    assert first_open(gone, now) == now
    assert kept_until(gone, now, at_least=THREE_DAYS) == now + THREE_DAYS


def test_a_calendar_is_the_same_after_a_journey_as_text() -> None:
    calendar = replace(WEEKDAYS, closed_days=frozenset({date(2026, 11, 24)}))

    assert read(calendar.text()) == calendar
    assert read("") is None


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    market, zone = draw(st.sampled_from(list(AT_HOME.items())))
    hours = draw(
        st.lists(
            st.tuples(
                st.lists(st.sampled_from(DAYS), min_size=1, unique=True).map(tuple),
                st.sampled_from(["00:30", "02:30", "09:00"]),
                st.sampled_from(["12:00", "18:00", "23:30"]),
            ),
            min_size=1,
            max_size=3,
        ).map(tuple)
    )
    return Calendar(market, zone, hours)


def is_open(calendar: Calendar, moment: datetime) -> bool:
    today = moment.astimezone(ZoneInfo(calendar.time_zone)).date()
    return any(opens <= moment < closes for opens, closes in open_on(calendar, today))


@given(calendars(), st.integers(0, 5 * 366 * 24 * 60), st.integers(0, 20_000))
def test_promises_are_kept_in_opening_hours_and_never_go_back(
    calendar: Calendar, minutes: int, later: int
) -> None:
    now = at("2026-01-01T00:00") + timedelta(minutes=minutes)
    then = now + timedelta(minutes=later)
    ready, ready_then = (first_open(calendar, moment) for moment in (now, then))
    until, until_then = (
        kept_until(calendar, moment, at_least=THREE_DAYS) for moment in (ready, ready_then)
    )

    assert now <= ready <= ready_then
    assert is_open(calendar, ready)
    assert ready + THREE_DAYS <= until <= until_then
    assert is_open(calendar, until - timedelta(seconds=1))
