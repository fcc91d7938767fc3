"""Shoppers come when they are due, whatever became of those before them."""

import threading
import time
from pathlib import Path

from loadtests.arrivals import Arrival, Door
from loadtests.evidence import Evidence, VisitSeen, read_visits
from loadtests.journeys.browse import Bounce
from loadtests.journeys.journey import Ending, Visit

SERVED = Visit("bounce", Ending.BOUNCED)


def _arrivals(count: int, apart: float = 0.0) -> tuple[Arrival, ...]:
    return tuple(Arrival(n * apart, Bounce, n) for n in range(count))


def _visits(evidence: Evidence) -> tuple[VisitSeen, ...]:
    evidence.close()
    return read_visits(evidence.folder)


def test_a_shop_that_answers_nobody_does_not_keep_the_next_ones_out(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    everybody_inside = threading.Barrier(30, timeout=10)

    def visitor(arrival: Arrival) -> Visit:
        # Nobody leaves before the thirtieth has come: a closed model would wait for ever.
        everybody_inside.wait()
        return SERVED

    door = Door(visitor, evidence)
    assert door.open(_arrivals(30, 0.002)) == 30
    assert door.wait_until_empty(10)
    assert [visit.ending for visit in _visits(evidence)] == ["bounced"] * 30


def test_a_late_start_counts_against_the_measurement(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    door = Door(lambda _: SERVED, evidence)
    door.open(_arrivals(1), started_at=time.time() - 3)
    door.wait_until_empty(10)
    (visit,) = _visits(evidence)
    assert visit.at - visit.due >= 3
    assert visit.journey_seconds >= 3


def test_beyond_the_bound_shoppers_are_refused_and_remembered(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    leave = threading.Event()

    def visitor(arrival: Arrival) -> Visit:
        leave.wait(10)
        return SERVED

    door = Door(visitor, evidence, most_shoppers=2)
    door.open(_arrivals(5))
    leave.set()
    door.wait_until_empty(10)
    assert sorted(visit.refused for visit in _visits(evidence)) == [False, False, True, True, True]


def test_a_closed_door_says_how_many_were_due(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    door: Door

    def visitor(arrival: Arrival) -> Visit:
        door.close()
        return SERVED

    door = Door(visitor, evidence)
    assert door.open((Arrival(0.0, Bounce, 1), Arrival(600.0, Bounce, 2))) == 1
    door.wait_until_empty(10)
    assert len(_visits(evidence)) == 1
