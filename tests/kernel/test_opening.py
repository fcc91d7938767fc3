"""Until when a place is open today, in its own time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from app.kernel.opening import closing_today

WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


@dataclass(frozen=True)
class Group:
    days: tuple[str, ...]
    opens: str
    closes: str


HOURS = (Group(WEEK, "09:30", "18:00"), Group(("Saturday",), "11:00", "16:00"))


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
    ],
)
def test_the_closing_time_is_the_one_of_the_local_day(now: str, closing: str | None) -> None:
    found = closing_today(HOURS, "Europe/Stockholm", at(now))
    assert found == (None if closing is None else at(closing))


def test_hours_that_are_not_stated_promise_nothing() -> None:
    assert closing_today((), "Europe/Stockholm", at("2026-11-24T07:00")) is None
