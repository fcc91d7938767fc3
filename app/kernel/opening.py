"""Opening hours: until when is a place open today, in its own time zone?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, time
from typing import Final, Protocol
from zoneinfo import ZoneInfo

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


def closing_today(hours: Iterable[Hours], time_zone: str, at: datetime) -> datetime | None:
    """The last closing time of `at`'s local day that is still ahead; None when there is none.

    Closed all day, closed already and hours not stated are all None: nothing is promised then.
    """
    zone = ZoneInfo(time_zone)
    local = at.astimezone(zone)
    today = DAYS[local.weekday()]
    closings = [
        datetime.combine(local.date(), time.fromisoformat(group.closes), zone)
        for group in hours
        if today in group.days
    ]
    return max((closing for closing in closings if closing > local), default=None)
