"""When a dealer is open, and what may be promised from it: the one rule of handover.

Its week in its own time zone, less its market's holidays and its own closed days. Every "ready
today", every moment of handover and every deadline for collecting a car follows from here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from app.kernel.holidays import closed_days

DAYS: Final = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)
LOOK_AHEAD_DAYS: Final = 400
"""Who is closed for longer than a year promises nothing better than the plain moment."""


class Hours(Protocol):
    """Open from `opens` to `closes` ("HH:MM", local wall time) on each of `days`."""

    @property
    def days(self) -> Sequence[str]: ...
    @property
    def opens(self) -> str: ...
    @property
    def closes(self) -> str: ...


class Place(Protocol):
    """Somewhere with hours. `closed_days` are its own, beside its market's holidays."""

    @property
    def market(self) -> str: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def opening_hours(self) -> Sequence[Hours]: ...
    @property
    def closed_days(self) -> Sequence[date]: ...


@dataclass(frozen=True, slots=True)
class Calendar:
    """A place's hours as a value: (days, opens, closes) by group. No group: not stated."""

    market: str
    time_zone: str
    hours: tuple[tuple[tuple[str, ...], str, str], ...]
    closed_days: frozenset[date] = frozenset()

    @classmethod
    def of(cls, place: Place) -> Calendar:
        return _shared(
            cls(
                place.market,
                place.time_zone,
                tuple(
                    (tuple(group.days), group.opens, group.closes) for group in place.opening_hours
                ),
                frozenset(place.closed_days),
            )
        )

    def text(self) -> str:
        """As a fact carries it; `read` makes the same calendar of it."""
        closed = sorted(day.isoformat() for day in self.closed_days)
        return json.dumps([self.market, self.time_zone, self.hours, closed], separators=(",", ":"))


@lru_cache(maxsize=1000)
def _shared(calendar: Calendar) -> Calendar:
    """One object for all that are equal: every car of a dealer keeps its calendar."""
    return calendar


@lru_cache(maxsize=1000)
def read(text: str) -> Calendar | None:
    """The calendar that `Calendar.text` wrote; None of nothing: it was not told."""
    if not text:
        return None
    market, time_zone, hours, closed = json.loads(text)
    return Calendar(
        market,
        time_zone,
        tuple((tuple(days), opens, closes) for days, opens, closes in hours),
        frozenset(map(date.fromisoformat, closed)),
    )


@lru_cache(maxsize=20_000)
def open_on(calendar: Calendar, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """The (opens, closes) moments of a local day, in order and UTC; empty when closed."""
    if day in closed_days(calendar.market, day.year) or day in calendar.closed_days:
        return ()
    zone, name = ZoneInfo(calendar.time_zone), DAYS[day.weekday()]

    def moment(wall: str) -> datetime:
        # UTC, because two moments of one zone compare by their wall time: wrong in a DST night.
        return datetime.combine(day, time.fromisoformat(wall), zone).astimezone(UTC)

    found = [
        (moment(opens), moment(closes)) for days, opens, closes in calendar.hours if name in days
    ]
    return tuple(sorted(pair for pair in found if pair[0] < pair[1]))


def closing_today(calendar: Calendar, at: datetime) -> datetime | None:
    """The last closing time of `at`'s local day that is still ahead; None when there is none.

    Closed all day, closed already and hours not stated are all None: nothing is promised then.
    """
    today = _local_day(calendar, at)
    return max((closes for _, closes in open_on(calendar, today) if closes > at), default=None)


def first_open(calendar: Calendar, at: datetime) -> datetime:
    """`at` when the place is open then, else when it opens next; `at` when nothing is stated."""
    if not calendar.hours:
        return at
    today = _local_day(calendar, at)
    for ahead in range(LOOK_AHEAD_DAYS):
        for opens, closes in open_on(calendar, today + timedelta(days=ahead)):
            if at < closes:
                return max(at, opens)
    return at


def kept_until(calendar: Calendar, since: datetime, *, at_least: timedelta) -> datetime:
    """Until when a car is kept that can be collected `since` then: a closing time.

    No earlier than `at_least` on the clock, and as many whole opening days as that has days.
    `since + at_least` when no hours are stated.
    """
    plain, whole_days = since + at_least, 0
    today = _local_day(calendar, since)
    for ahead in range(LOOK_AHEAD_DAYS if calendar.hours else 0):
        hours = open_on(calendar, today + timedelta(days=ahead))
        if not hours:
            continue
        whole_days += hours[0][0] >= since
        closing = max(closes for _, closes in hours)
        if whole_days >= at_least.days and closing >= plain:
            return closing
    return plain


def _local_day(calendar: Calendar, at: datetime) -> date:
    return at.astimezone(ZoneInfo(calendar.time_zone)).date()
