"""Time as a dependency, so that tests and drills may move it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The current time, timezone-aware, UTC."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class SharedClock:
    """The clock of a database, by which all who share it tell the time; see decision 0069.

    Between two readings of it this process's monotonic time goes on: no change of the machine's
    own clock is felt. Until the first reading, and where there is none, it is the machine's.
    """

    def __init__(self, own: Clock) -> None:
        self._own = own
        self._ahead: float | None = None
        """Seconds of the shared clock (Unix) less our monotonic ones."""

    def now(self) -> datetime:
        if self._ahead is None:
            return self._own.now()
        return datetime.fromtimestamp(time.monotonic() + self._ahead, UTC)

    def read(self, shown: datetime, *, after: float, before: float) -> None:
        """Note that the database showed a time between two moments of `time.monotonic()`.

        What was known stands while it may be so: a slow answer says little, and moves nothing.
        """
        earliest, latest = shown.timestamp() - before, shown.timestamp() - after
        known = (earliest + latest) / 2 if self._ahead is None else self._ahead
        self._ahead = min(max(known, earliest), latest)

    def skew(self) -> float:
        """Seconds that the machine's own clock is ahead."""
        return (self._own.now() - self.now()).total_seconds()


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, **units: float) -> datetime:
        """Move forward by `timedelta(**units)`; returns the new time."""
        self._now += timedelta(**units)
        return self._now


def rfc3339(moment: datetime) -> str:
    """`2026-11-27T09:30:00.123Z`: UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
