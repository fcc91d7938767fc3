"""When a place is open: its week in its own time zone, less holidays and its own closed days.

The one rule behind every "ready today": what is promised for a day is promised within its hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
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


def open_on(place: Place, day: date) -> list[tuple[datetime, datetime]]:
    """The (opens, closes) moments of a local day, in order and UTC; empty when closed."""
    if day in closed_days(place.market, day.year) or day in place.closed_days:
        return []
    zone, name = ZoneInfo(place.time_zone), DAYS[day.weekday()]

    def moment(wall: str) -> datetime:
        # UTC, because two moments of one zone compare by their wall time: wrong in a DST night.
        return datetime.combine(day, time.fromisoformat(wall), zone).astimezone(UTC)

    return sorted(
        (moment(group.opens), moment(group.closes))
        for group in place.opening_hours
        if name in group.days
    )


def closing_today(place: Place, at: datetime) -> datetime | None:
    """The last closing time of `at`'s local day that is still ahead; None when there is none.

    Closed all day, closed already and hours not stated are all None: nothing is promised then.
    """
    today = at.astimezone(ZoneInfo(place.time_zone)).date()
    return max((closes for _, closes in open_on(place, today) if closes > at), default=None)
