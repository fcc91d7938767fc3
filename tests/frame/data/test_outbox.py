"""Facts leave a service in commit order, gapless, once; whatever runs at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.contracts.events import CarWithdrawn
from app.frame.data.consumers import Behind, Consumer
from app.frame.data.database import Database
from app.frame.data.leases import Leases
from app.frame.data.outbox import Mark, Outbox
from app.frame.data.undigested import Diet
from app.frame.inbound.internal import internal_app
from app.frame.keys import internal_key
from app.frame.outbound.http import DEADLINE, InProcessTransport, NeighbourClient
from app.frame.platform import Platform
from app.kernel.clock import ManualClock
from app.kernel.facts import Event, EventContext
from telemetry.testing import capture
from tests.builders.consuming import EFFECTS, OUTBOX, SINK, SOURCE
from tests.builders.platform import KEYS
from tests.conftest import NewDatabase

CONTEXT = EventContext(market="SE")
PLAIN = Diet()


@dataclass
class World:
    """A source with an outbox and as many replicas of a consumer as a test wants."""

    clock: ManualClock
    platform: Platform
    source: Database
    sink: Database
    outbox: Outbox
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    async def state(self, *cars: str) -> None:
        async with self.source.transaction() as transaction:
            await self.outbox.add(transaction, [CarWithdrawn(car) for car in cars], CONTEXT)

    async def read(self, after: int = 0) -> list[tuple[int, str]]:
        return [
            (event.position, event.data["car_id"])
            for event in await self.outbox.read(after=after, limit=1000)
        ]

    def replica(
        self,
        crash: type[BaseException] | None = None,
        diet: Diet = PLAIN,
        *,
        source: ASGIApp | None = None,
    ) -> Consumer:
        """A consumer that stores each car; `crash` is raised after it did, before the commit."""

        async def apply(transaction: AsyncConnection, events: Sequence[Event]) -> None:
            for event in events:
                await transaction.execute(EFFECTS.insert().values(car_id=str(event.data["car_id"])))
            if crash is not None:
                raise crash

        app = source or internal_app(
            "catalog", self.platform, outbox=self.outbox, router=None, ready=[]
        )
        client = NeighbourClient(
            "http://catalog", InProcessTransport(lambda: app), timeout=DEADLINE
        )
        key = internal_key(KEYS["session_key"], "checkout")
        client.headers["authorization"] = f"Bearer {key}"
        self.clients.append(client)
        with capture("checkout") as signals:
            return Consumer(
                "checkout",
                "catalog",
                client=client,
                database=self.sink,
                leases=Leases(self.sink, self.clock),
                clock=self.clock,
                telemetry=signals.telemetry,
                apply=apply,
                diet=diet,
            )

    async def effects(self) -> list[str]:
        async with self.sink.read() as connection:
            rows = await connection.execute(text("SELECT car_id FROM effects ORDER BY id"))
            return [row.car_id for row in rows]


@pytest.fixture
async def world(
    clock: ManualClock, platform: Platform, new_database: NewDatabase
) -> AsyncIterator[World]:
    source, sink = Database(new_database("source")), Database(new_database("sink"))
    for database, metadata in ((source, SOURCE), (sink, SINK)):
        async with database.transaction() as transaction:
            await transaction.run_sync(metadata.create_all)
    made = World(clock, platform, source, sink, Outbox("catalog", source, OUTBOX, clock))
    yield made
    for client in made.clients:
        await client.aclose()
    await source.close()
    await sink.close()


async def test_facts_are_numbered_from_one_without_gaps(world: World) -> None:
    await world.state("a", "b")
    await world.state()
    await world.state("c")

    assert await world.read() == [(1, "a"), (2, "b"), (3, "c")]
    assert await world.read(after=2) == [(3, "c")]


async def test_a_fact_whose_transaction_failed_was_never_stated(world: World) -> None:
    async def fail() -> None:
        async with world.source.transaction() as transaction:
            await world.outbox.add(transaction, [CarWithdrawn("a")], CONTEXT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await world.state("b")

    assert await world.read() == [(1, "b")]


async def test_concurrent_writers_and_readers_lose_and_double_nothing(world: World) -> None:
    seen: list[tuple[int, str]] = []

    async def write(writer: int) -> None:
        for number in range(10):
            await world.state(f"{writer}-{number}", f"{writer}-{number}-too")

    async def follow() -> None:
        while len(seen) < 120:
            seen.extend(await world.read(after=seen[-1][0] if seen else 0))
            await asyncio.sleep(0)

    async with asyncio.timeout(60):
        await asyncio.gather(*[write(writer) for writer in range(6)], follow(), world.read())

    assert [position for position, _ in seen] == list(range(1, 121))
    assert len({car for _, car in seen}) == 120


@pytest.mark.integration
async def test_an_earlier_row_that_commits_later_is_still_delivered_once(
    world: World,
) -> None:
    if world.source.dialect == "sqlite":
        return  # one writer at a time: the case cannot arise
    written, may_commit = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with world.source.transaction() as transaction:
            await world.outbox.add(transaction, [CarWithdrawn("early id, late commit")], CONTEXT)
            written.set()
            await may_commit.wait()

    slowly = asyncio.create_task(slow())
    await written.wait()
    await world.state("late id, early commit")
    first = await world.read()
    may_commit.set()
    await slowly

    assert first == [(1, "late id, early commit")]
    assert await world.read(after=1) == [(2, "early id, late commit")]


async def test_only_what_every_consumer_has_is_pruned(world: World) -> None:
    await world.state(*[f"car_{number}" for number in range(10)])
    await world.read()
    assert await world.outbox.prune(keep=0) == 0  # nobody has registered yet
    await world.outbox.acknowledge("advisor", Mark(9))
    await world.outbox.acknowledge("insight", Mark(4))

    assert await world.outbox.prune(keep=0) == 3  # the one at which somebody stands stays
    assert [position for position, _ in await world.read()] == [4, 5, 6, 7, 8, 9, 10]
    assert await world.outbox.prune(keep=0) == 0


async def test_lag_is_the_age_of_the_oldest_fact_that_somebody_lacks(world: World) -> None:
    await world.state("a")
    world.clock.advance(seconds=30)
    await world.state("b")
    world.clock.advance(seconds=12)
    await world.read()
    lags = [await world.outbox.lag_seconds()]
    for after in (0, 1, 2):
        await world.outbox.acknowledge("insight", Mark(after))
        lags.append(await world.outbox.lag_seconds())

    assert lags == [42.0, 42.0, 12.0, 0.0]


async def test_a_consumer_stores_everything_in_order_once(world: World) -> None:
    await world.state("a", "b")
    replica = world.replica()
    assert await replica.poll() == 2
    await world.state("c")

    assert [await replica.poll(), await replica.poll()] == [1, 0]
    assert await world.effects() == ["a", "b", "c"]
    assert await replica.position() == 3


async def test_asking_for_nothing_new_writes_nothing(world: World) -> None:
    await world.state("a")
    replica = world.replica()
    await replica.poll()
    await replica.poll()
    if world.source.dialect == "sqlite":
        before = [await _data_version(d) for d in (world.source, world.sink)]
        for _ in range(5):
            world.clock.advance(seconds=0.3)
            await replica.poll()
        assert [await _data_version(d) for d in (world.source, world.sink)] == before
    assert await world.effects() == ["a"]


async def _data_version(database: Database) -> int:
    """The number of pages in the log: every commit adds some."""
    url = Path(str(database.engine.url.database))
    return await asyncio.to_thread(lambda: Path(f"{url}-wal").stat().st_size)


@pytest.mark.parametrize("crash", [MemoryError, asyncio.CancelledError])
async def test_a_crash_between_effect_and_commit_leaves_no_effect(
    world: World, crash: type[BaseException]
) -> None:
    await world.state("a", "b")
    with pytest.raises(crash):
        await world.replica(crash).poll()
    assert await world.effects() == []

    world.clock.advance(seconds=11)  # the crashed holder's lease ends
    assert await world.replica().poll() == 2
    assert await world.effects() == ["a", "b"]


async def test_two_replicas_never_store_the_same_event(world: World) -> None:
    replicas = [world.replica(), world.replica()]
    for number in range(10):
        await world.state(f"car_{number}")
        await asyncio.gather(*[replica.poll() for replica in replicas])
        world.clock.advance(seconds=11)  # every time the other one may take over

    assert await world.effects() == [f"car_{number}" for number in range(10)]


async def _is_behind(consumer: Consumer) -> bool:
    try:
        await consumer.has_caught_up()
    except Behind:
        return True
    return False


async def test_a_consumer_has_caught_up_once_it_read_all_that_stood_there(world: World) -> None:
    await world.state("a", "b")
    replica = world.replica()
    behind = [await _is_behind(replica)]
    await replica.poll()
    behind.append(await _is_behind(replica))
    await world.state("c")
    behind.append(await _is_behind(replica))  # once is enough: more is always on its way

    assert behind == [True, False, False]


async def test_a_source_without_a_single_fact_has_been_read_to_its_end(world: World) -> None:
    replica = world.replica()
    await replica.poll()

    assert not await _is_behind(replica)


async def test_a_replica_that_does_not_read_waits_for_the_one_that_does(world: World) -> None:
    await world.state("a")
    reading, other = world.replica(MemoryError), world.replica()
    with pytest.raises(MemoryError):
        await reading.poll()  # it has the lease, and nothing is stored
    await other.poll()
    behind = [await _is_behind(other)]
    world.clock.advance(seconds=11)
    await world.replica().poll()
    await other.poll()
    behind.append(await _is_behind(other))

    assert behind == [True, False]


@pytest.mark.parametrize(("kept", "behind"), [(["a"], False), ([], True)])
async def test_while_its_source_is_away_a_consumer_works_with_what_it_kept(
    world: World, kept: list[str], behind: bool
) -> None:
    await world.state(*kept)
    await world.replica().poll()
    world.clock.advance(seconds=11)
    restarted = world.replica(source=FastAPI())  # answers 404 to everything

    with pytest.raises(httpx.HTTPStatusError):
        await restarted.poll()

    assert await _is_behind(restarted) is behind


async def test_a_source_that_ends_in_the_middle_of_a_first_reading_leaves_it_behind(
    world: World,
) -> None:
    await world.state("a")
    real = internal_app("catalog", world.platform, outbox=world.outbox, router=None, ready=[])
    answers: Iterator[ASGIApp] = iter([real, real, FastAPI()])  # read, told so, read on

    async def dying(scope: Scope, receive: Receive, send: Send) -> None:
        await next(answers)(scope, receive, send)

    first = world.replica(source=dying)
    with pytest.raises(httpx.HTTPStatusError):
        await first.poll()

    assert (await _is_behind(first), await world.effects()) == (True, ["a"])


async def test_a_lease_has_one_holder_until_it_ends_or_is_given_back(world: World) -> None:
    one, other = Leases(world.sink, world.clock), Leases(world.sink, world.clock)

    first = [await one.claim("sweep", ttl_seconds=10), await other.claim("sweep", ttl_seconds=10)]
    world.clock.advance(seconds=6)
    renewed = await one.claim("sweep", ttl_seconds=10)
    world.clock.advance(seconds=6)
    still = await other.claim("sweep", ttl_seconds=10)
    world.clock.advance(seconds=5)
    taken = [await other.claim("sweep", ttl_seconds=10), await one.claim("sweep", ttl_seconds=10)]
    await other.release_all()
    back = await one.claim("sweep", ttl_seconds=10)

    assert (first, renewed, still, taken, back) == (
        [True, False],
        True,
        False,
        [True, False],
        True,
    )


async def test_a_clock_that_goes_back_leaves_no_lease_with_who_is_gone(world: World) -> None:
    dead, alive = Leases(world.sink, world.clock), Leases(world.sink, world.clock)
    await dead.claim("sweep", ttl_seconds=10)
    world.clock.advance(seconds=-8)
    a_little = await alive.claim("sweep", ttl_seconds=10)
    world.clock.advance(hours=-1)
    far = await alive.claim("sweep", ttl_seconds=10)
    kept = await dead.claim("sweep", ttl_seconds=10)

    assert (a_little, far, kept) == (False, True, False)


async def test_replicas_that_claim_at_once_have_one_winner(world: World) -> None:
    replicas = [Leases(world.sink, world.clock) for _ in range(8)]

    claims = await asyncio.gather(*[one.claim("lapse", ttl_seconds=5) for one in replicas])

    assert sorted(claims) == [False] * 7 + [True]
