"""The open model: shoppers arrive when they are due, whatever the shop does to those before them.

The whole schedule is drawn before the run, so it cannot be throttled by slow answers; each arrival
gets a thread of its own (a greenlet under Locust). How late each one really came is recorded, and
the verdict is void when the generator could not keep up.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtests.evidence import CpuMeter, Evidence, GeneratorSeen, VisitSeen
from loadtests.journeys.journey import Ending, Journey, Visit
from loadtests.journeys.mix import Mix, choose
from loadtests.shapes.shape import Shape

MOST_SHOPPERS = 2_000
"""No more are in the shop at once; further arrivals are refused and void the verdict."""
METER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A shopper to come: `at` seconds after the start; `seed` makes their dice."""

    at: float
    journey: type[Journey]
    seed: int


def planned(shape: Shape, base_rate: float, mix: Mix, seed: int) -> tuple[Arrival, ...]:
    """Everybody who will come, drawn from one seed: the same seed gives the same day."""
    dice = random.Random(seed)
    times = shape.arrivals(base_rate, dice)
    return tuple(Arrival(at, choose(mix, dice), dice.getrandbits(48)) for at in times)


Visitor = Callable[[Arrival], Visit]
"""Runs one shopper's journey from door to door."""


class Door:
    """Lets the planned shoppers in, each on time, and remembers how it went."""

    def __init__(
        self, visitor: Visitor, evidence: Evidence, *, most_shoppers: int = MOST_SHOPPERS
    ) -> None:
        self._visitor = visitor
        self._evidence = evidence
        self._most_shoppers = most_shoppers
        self._inside = 0
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._over = threading.Event()

    def close(self) -> None:
        """Let nobody else in; those inside finish."""
        self._closed.set()

    def open(self, arrivals: Sequence[Arrival], *, started_at: float | None = None) -> int:
        """Let everybody in at their time; returns how many were due when the last has entered."""
        start = time.time() if started_at is None else started_at
        meter = threading.Thread(target=self._watch, daemon=True)
        meter.start()
        for number, arrival in enumerate(arrivals):
            if self._closed.wait(max(0.0, start + arrival.at - time.time())):
                return number
            self._admit(arrival, due=start + arrival.at)
        return len(arrivals)

    def wait_until_empty(self, timeout_seconds: float) -> bool:
        """Whether everybody left within the time; stops the watching of CPU."""
        with self._changed:
            empty = self._changed.wait_for(lambda: not self._inside, timeout_seconds)
        self._over.set()
        self._evidence.flush()
        return empty

    def _admit(self, arrival: Arrival, *, due: float) -> None:
        with self._changed:
            refused = self._inside >= self._most_shoppers
            self._inside += not refused
        if refused:
            self._evidence.visit(
                VisitSeen(due, time.time(), arrival.journey.name, "refused", "", 0.0, refused=True)
            )
            return
        threading.Thread(target=self._accompany, args=(arrival, due), daemon=True).start()

    def _accompany(self, arrival: Arrival, due: float) -> None:
        at = time.time()
        visit = Visit(arrival.journey.name, Ending.FAILED, "the load generator's own error")
        try:
            visit = self._visitor(arrival)
        finally:
            self._evidence.visit(
                VisitSeen(due, at, visit.journey, visit.ending, visit.reason, time.time() - due)
            )
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def _watch(self) -> None:
        meter = CpuMeter()
        while not self._over.wait(METER_SECONDS):
            self._evidence.generator(GeneratorSeen(time.time(), meter.share(), self._inside))
