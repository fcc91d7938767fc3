"""Rounds: every checkout, pgbench, every checkout …: a noisy machine is noisy for all of them."""

import asyncio
import contextlib
import itertools
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import uvloop

from bench.connection import Connection
from bench.journey import Journey, Shopper
from bench.stack import Bench, CannotMeasure, Checkout

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Load:
    """One stretch of journeys. CPU is in cores: 1.0 is a core that never rests."""

    journeys: tuple[Journey, ...]
    seconds: float
    generator_cores: float
    checkout_cores: float
    postgres_cores: float
    foreign_cores: float
    """What this machine did beside the benchmark meanwhile."""

    @property
    def checkout_milliseconds(self) -> float:
        """Checkout's CPU time per journey: the figure that other programs disturb least."""
        return self.checkout_cores / self.rate * 1000

    @property
    def postgres_milliseconds(self) -> float:
        """What PostgreSQL computes for a journey: work that moved there is not gone."""
        return self.postgres_cores / self.rate * 1000

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
    """What was measured of one checkout; a list has one entry per round."""

    name: str
    loads: Sequence[Load]
    alone: Sequence[Load] = ()
    """One shopper, nobody else; of those checkouts that are judged."""

    def median(self, name: str) -> float:
        """Of one of a load's figures, over rounds."""
        return statistics.median(float(getattr(load, name)) for load in self.loads)

    def quantile(self, share: float, step: str = "seconds") -> float:
        return statistics.median(load.quantile(share, step) for load in self.loads)

    # Ratios are taken round by round: what disturbs a round disturbs both sides of them.

    def per_transaction(self, pgbench: Sequence[float]) -> float:
        """Journeys per pgbench transaction, whose rates by round these are."""
        pairs = zip(self.loads, pgbench, strict=True)
        return statistics.median(load.rate / rate for load, rate in pairs)

    def cpu_of(self, base: "Subject") -> float:
        """Checkout's CPU per journey as a share of that of `base`."""
        pairs = zip(self.loads, base.loads, strict=True)
        return statistics.median(
            own.checkout_milliseconds / other.checkout_milliseconds for own, other in pairs
        )

    @property
    def stretch(self) -> float:
        """p99 of many shoppers over p50 of one."""
        pairs = zip(self.loads, self.alone, strict=True)
        return statistics.median(many.quantile(0.99) / one.quantile(0.5) for many, one in pairs)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part of a round takes, in seconds.

    At pgbench's own default `scale` of 1 all its clients meet at one branch's row and it measures
    a queue. At 16 each client finds a branch of its own, and commits share their flushes.
    """

    rounds: int
    journeys: float
    pgbench: float
    alone: float
    warm_up: float
    shoppers: int = 16
    scale: int = 16


FULL = Plan(rounds=6, journeys=6.0, pgbench=6.0, alone=1.5, warm_up=1.5)
QUICK = Plan(rounds=2, journeys=1.5, pgbench=2.0, alone=0.7, warm_up=0.7)


class Course:
    """Every checkout that takes part, by name; counts what is bought at each."""

    def __init__(self, bench: Bench, names: Sequence[str]) -> None:
        self.names = names
        self._bench = bench
        self._listed = 0
        self._next = {name: itertools.count(1) for name in names}
        self._taken = dict.fromkeys(names, 0)
        self._made = dict.fromkeys(names, 0)

    def warm_up(self, plan: Plan) -> float:
        """Let statements be prepared and caches fill; the fastest checkout's journeys a second."""
        return max(
            self.load(name, shoppers=plan.shoppers, seconds=plan.warm_up).rate
            for name in self.names
        )

    def list_cars(self, count: int) -> None:
        """Have at least `count` unsold cars at every checkout."""
        wanted = max(self._taken.values()) + count
        if wanted > self._listed:
            self._listed = wanted
            self._bench.list_cars(wanted)

    def load(self, name: str, *, shoppers: int, seconds: float) -> Load:
        """`shoppers` buying without a pause, while the other checkouts are frozen."""
        bench, checkout = self._bench, self._bench.checkouts[name]
        with contextlib.ExitStack() as around:
            for other in bench.checkouts.values():
                if other is not checkout:
                    around.enter_context(other.frozen())
            if len(checkout.workers) > 1:  # they have all cores: share them
                around.enter_context(all_cores())
            before, postgres = checkout.cpu_seconds(), bench.postgres_seconds()
            foreign = bench.foreign_seconds()
            cpu, started = time.process_time(), time.perf_counter()
            journeys = uvloop.run(self._shop(checkout, shoppers=shoppers, seconds=seconds))
            taken = time.perf_counter() - started
            self._made[name] += len(journeys)
            return Load(
                tuple(journeys),
                # Journeys that were under way at the end are finished, and count with their time.
                seconds=taken,
                generator_cores=(time.process_time() - cpu) / taken,
                checkout_cores=(checkout.cpu_seconds() - before) / taken,
                postgres_cores=(bench.postgres_seconds() - postgres) / taken,
                foreign_cores=(bench.foreign_seconds() - foreign) / taken,
            )

    def pgbench(self, plan: Plan) -> float:
        """Transactions a second, while every checkout is frozen; its tables are filled anew."""
        with contextlib.ExitStack() as around:
            for checkout in self._bench.checkouts.values():
                around.enter_context(checkout.frozen())
            around.enter_context(all_cores())
            self._bench.prepare_pgbench(plan.scale)
            return self._bench.pgbench(clients=plan.shoppers, seconds=plan.pgbench)

    def differences(self) -> list[str]:
        """What the books say against what the shoppers saw; empty when they agree."""
        found: list[str] = []
        for name, made in self._made.items():
            checkout = self._bench.checkouts[name]
            if (confirmed := checkout.confirmed()) != made:
                found.append(f"{name}: {made} journeys and {confirmed} confirmed orders")
            found += [f"{name}: {rule} is broken" for rule in checkout.broken()]
        return found

    def _cars(self, name: str) -> Iterator[int]:
        for number in self._next[name]:
            if number > self._listed:
                raise CannotMeasure("the listed cars ran out in the middle of a round")
            self._taken[name] = number
            yield number

    async def _shop(self, checkout: Checkout, *, shoppers: int, seconds: float) -> list[Journey]:
        numbers = self._cars(checkout.name)
        secret = self._bench.webhook_secret
        done: list[Journey] = []
        stop_at = time.perf_counter() + seconds

        async def shopper(number: int) -> None:
            connections = [await Connection.open(HOST, each.port) for each in checkout.workers]
            one = Shopper(connections, numbers, number=number, webhook_secret=secret)
            try:
                while time.perf_counter() < stop_at:
                    done.append(await one.buy())
            finally:
                for connection in connections:
                    connection.close()

        await asyncio.gather(*(shopper(number) for number in range(shoppers)))
        return done


@contextlib.contextmanager
def all_cores() -> Iterator[None]:
    """This program, and those that are started in the block, may run on all cores."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)
