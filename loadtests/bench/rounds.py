"""Rounds: journeys, pgbench, journeys, pgbench …, so that a noisy machine is noisy for both."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import uvloop

from loadtests.bench.connection import Connection
from loadtests.bench.journey import Journey, Shopper
from loadtests.bench.stack import Bench, CannotMeasure, Checkout

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Load:
    """One stretch of journeys. CPU is in cores: 1.0 is a core that never rests."""

    journeys: tuple[Journey, ...]
    seconds: float
    generator_cores: float
    checkout_cores: float
    foreign_cores: float
    """What this machine did beside the benchmark meanwhile."""

    @property
    def checkout_milliseconds(self) -> float:
        """Checkout's CPU time per journey: the figure that other programs disturb least."""
        return self.checkout_cores / self.rate * 1000

    @property
    def rate(self) -> float:
        """Journeys per second."""
        return len(self.journeys) / self.seconds

    def quantile(self, share: float, step: str = "seconds") -> float:
        """The latency that `share` of the journeys (or of one of their requests) stay under."""
        ordered = sorted(getattr(journey, step) for journey in self.journeys)
        return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))])


@dataclass(frozen=True, slots=True)
class Subject:
    """What was measured of one database; a list has one entry per round."""

    database: str
    loads: Sequence[Load]
    alone: Load
    """One shopper, nobody else."""

    @property
    def rate(self) -> float:
        return statistics.median(load.rate for load in self.loads)

    def quantile(self, share: float, step: str = "seconds") -> float:
        return statistics.median(load.quantile(share, step) for load in self.loads)

    @property
    def p99_over_single_p50(self) -> float:
        return self.quantile(0.99) / self.alone.quantile(0.5)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part of a round takes, in seconds.

    `scale` is pgbench's own default: all its clients meet at one branch's row. At `roomy_scale`
    each finds a branch of its own, and PostgreSQL's commits share their flushes.
    """

    rounds: int
    journeys: float
    pgbench: float
    alone: float
    shoppers: int = 16
    scale: int = 1
    roomy_scale: int = 16


FULL = Plan(rounds=5, journeys=6.0, pgbench=6.0, alone=3.0)
QUICK = Plan(rounds=2, journeys=2.0, pgbench=3.0, alone=1.0)


class Cars:
    """Numbers of cars that nobody has bought, per checkout; more are listed when they run short."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._listed = 0
        self._next = {kind: itertools.count(1) for kind in bench.checkouts}
        self._taken = dict.fromkeys(bench.checkouts, 0)

    def ensure(self, count: int) -> None:
        """Have at least `count` unsold cars at every checkout."""
        wanted = max(self._taken.values()) + count
        if wanted > self._listed:
            self._listed = wanted
            self._bench.list_cars(wanted)

    def of(self, kind: str) -> Iterator[int]:
        for number in self._next[kind]:
            if number > self._listed:
                raise CannotMeasure("the listed cars ran out in the middle of a round")
            self._taken[kind] = number
            yield number


def load(bench: Bench, checkout: Checkout, cars: Cars, *, shoppers: int, seconds: float) -> Load:
    """`shoppers` buying without a pause for `seconds`."""
    before, foreign = checkout.cpu_seconds(), bench.foreign_seconds()
    cpu, started = time.process_time(), time.perf_counter()
    journeys = uvloop.run(_shop(bench, checkout, cars, shoppers=shoppers, seconds=seconds))
    taken = time.perf_counter() - started
    return Load(
        tuple(journeys),
        # Journeys that were under way at the end are finished, and count with their time.
        seconds=taken,
        generator_cores=(time.process_time() - cpu) / taken,
        checkout_cores=(checkout.cpu_seconds() - before) / taken,
        foreign_cores=(bench.foreign_seconds() - foreign) / taken,
    )


async def _shop(
    bench: Bench, checkout: Checkout, cars: Cars, *, shoppers: int, seconds: float
) -> list[Journey]:
    numbers = cars.of(checkout.database)
    done: list[Journey] = []
    stop_at = time.perf_counter() + seconds

    async def shopper(number: int) -> None:
        connection = await Connection.open(HOST, checkout.port)
        one = Shopper(connection, numbers, number=number, webhook_secret=bench.webhook_secret)
        try:
            while time.perf_counter() < stop_at:
                done.append(await one.buy())
        finally:
            connection.close()

    await asyncio.gather(*(shopper(number) for number in range(shoppers)))
    return done
