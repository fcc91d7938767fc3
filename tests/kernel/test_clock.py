"""The clock that several processes share."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from app.kernel.clock import ManualClock, SharedClock

HERE = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)


def reading(clock: SharedClock, shown: datetime, *, took: float = 0.0) -> None:
    """The database shows a time now; to ask for it took so many seconds."""
    at = time.monotonic()
    clock.read(shown, after=at - took / 2, before=at + took / 2)


def off_by(clock: SharedClock, shown: datetime) -> float:
    return (clock.now() - shown).total_seconds()


def test_before_the_first_reading_it_is_the_machine_s() -> None:
    own = ManualClock(HERE)

    assert SharedClock(own).now() == HERE


@pytest.mark.parametrize("ahead", [timedelta(minutes=16), timedelta(hours=-1), timedelta()])
def test_two_machines_that_differ_tell_the_same_time(ahead: timedelta) -> None:
    one, other = SharedClock(ManualClock(HERE)), SharedClock(ManualClock(HERE + ahead))
    for clock in (one, other):
        reading(clock, HERE)

    assert abs((one.now() - other.now()).total_seconds()) < 5
    assert other.skew() == pytest.approx(ahead.total_seconds(), abs=5)


def test_a_machine_whose_clock_is_set_is_not_felt() -> None:
    own = ManualClock(HERE)
    clock = SharedClock(own)
    reading(clock, HERE)
    own.advance(minutes=16)

    assert off_by(clock, HERE) < 5
    assert clock.skew() == pytest.approx(960, abs=5)


def test_a_slow_answer_moves_nothing_that_may_be_so_and_a_failover_moves_all() -> None:
    clock = SharedClock(ManualClock(HERE))
    reading(clock, HERE)
    before = clock.now()
    reading(clock, HERE + timedelta(seconds=60), took=200)
    after = clock.now()
    reading(clock, HERE - timedelta(hours=1))

    assert (after - before).total_seconds() < 5
    assert off_by(clock, HERE - timedelta(hours=1)) < 5
