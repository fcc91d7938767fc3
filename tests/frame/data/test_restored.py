"""A restored database is noticed by whoever read from it, and nobody goes on by number alone."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contracts.events import CarWithdrawn
from app.frame.data.consumers import Consumer
from app.frame.data.database import Database
from app.frame.data.histories import Batch, Parted, Read, digest, last_agreed
from app.frame.data.leases import Leases
from app.frame.data.outbox import HistoryDiffers, Mark, Outbox
from app.frame.data.undigested import Diet
from app.frame.inbound.internal import internal_app
from app.frame.keys import internal_key
from app.frame.outbound.http import DEADLINE, InProcessTransport, NeighbourClient
from app.frame.platform import Platform
from app.kernel.clock import ManualClock
from app.kernel.facts import Event, EventContext
from telemetry.catalogue.frame import CONSUMER_EVENTS_MISSED, CONSUMER_PARTED
from telemetry.testing import Signals, capture
from tests.builders.consuming import EFFECTS, OUTBOX, SINK, SOURCE
from tests.builders.platform import KEYS

CONTEXT = EventContext(market="SE")


class World:
    """A source and its consumer on files, each of which can be taken back to an earlier moment."""

    def __init__(
        self, folder: Path, clock: ManualClock, platform: Platform, signals: Signals
    ) -> None:
        self.folder = folder
        self.clock = clock
        self.platform = platform
        self.signals = signals
        self.databases: dict[str, Database] = {}
        self.clients: list[NeighbourClient] = []

    async def open(self, name: str) -> None:
        self.databases[name] = Database(f"sqlite+aiosqlite:///{self.folder / name}.db")
        async with self.databases[name].transaction() as transaction:
            await transaction.run_sync((SOURCE if name == "source" else SINK).create_all)
        if name == "source":
            self.outbox = Outbox("catalog", self.databases[name], OUTBOX, self.clock)
        else:
            self.leases = Leases(self.databases[name], self.clock)
        self.consumer = self._consumer() if len(self.databases) == 2 else None

    async def back_up(self, name: str) -> None:
        await self.databases[name].close()
        shutil.copy(self.folder / f"{name}.db", self.folder / f"{name}.backup")
        await self.open(name)

    async def restore(self, name: str) -> None:
        await self.databases[name].close()
        shutil.copy(self.folder / f"{name}.backup", self.folder / f"{name}.db")
        await self.open(name)

    async def state(self, *cars: str) -> None:
        async with self.databases["source"].transaction() as transaction:
            await self.outbox.add(transaction, [CarWithdrawn(car) for car in cars], CONTEXT)

    async def restated(self, *cars: str) -> None:
        """What `python -m app.catalog restored` does."""
        facts = [(CarWithdrawn(car), CONTEXT) for car in cars]
        async with self.databases["source"].transaction() as transaction:
            await self.outbox.begin_epoch(transaction, facts)

    async def poll(self) -> int:
        assert self.consumer is not None
        return await self.consumer.poll()

    async def effects(self) -> list[str]:
        async with self.databases["sink"].read() as connection:
            rows = await connection.execute(text("SELECT car_id FROM effects ORDER BY id"))
            return [row.car_id for row in rows]

    def parted(self) -> bool:
        return self.signals.value(CONSUMER_PARTED, source="catalog") == 1

    def _consumer(self) -> Consumer:
        async def apply(transaction: AsyncConnection, events: Sequence[Event]) -> None:
            for event in events:
                await transaction.execute(EFFECTS.insert().values(car_id=event.data["car_id"]))

        app = internal_app("catalog", self.platform, outbox=self.outbox, router=None, ready=[])
        client = NeighbourClient(
            "http://catalog", InProcessTransport(lambda: app), timeout=DEADLINE
        )
        key = internal_key(KEYS["session_key"], "checkout")
        client.headers["authorization"] = f"Bearer {key}"
        self.clients.append(client)
        return Consumer(
            "checkout",
            "catalog",
            client=client,
            database=self.databases["sink"],
            leases=self.leases,
            clock=self.clock,
            telemetry=self.signals.telemetry,
            apply=apply,
            diet=Diet(subjects=("car_id",)),
        )


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock, platform: Platform) -> AsyncIterator[World]:
    with capture("checkout") as signals:
        made = World(tmp_path, clock, platform, signals)
        await made.open("source")
        await made.open("sink")
        yield made
        for client in made.clients:
            await client.aclose()
        for database in made.databases.values():
            await database.close()


async def _source_is_taken_back(world: World) -> None:
    """The consumer has read a, b, lost, lost too; the source knows only a and b."""
    await world.state("a", "b")
    await world.poll()
    await world.back_up("source")
    await world.state("lost", "lost too")
    await world.poll()
    await world.restore("source")


@pytest.mark.parametrize("written", [(), ("c",), ("c", "d"), ("c", "d", "e")])
async def test_a_source_that_was_restored_is_noticed_however_far_it_has_come_since(
    world: World, written: Sequence[str]
) -> None:
    await _source_is_taken_back(world)
    await world.state(*written)

    for _ in range(2):
        with pytest.raises(Parted):
            await world.poll()
    world.clock.advance(seconds=30)
    with pytest.raises(Parted):
        await world.poll()

    assert world.consumer is not None
    assert (world.parted(), world.consumer.lag_seconds) == (True, 30.0)
    assert await world.effects() == ["a", "b", "lost", "lost too"]
    with pytest.raises(Parted, match="HistoryParted"):
        await world.consumer.has_not_parted()


@pytest.mark.parametrize("written", [(), ("c",), ("c", "d", "e")])
async def test_once_all_is_stated_anew_a_consumer_goes_on_from_where_both_agree(
    world: World, written: Sequence[str]
) -> None:
    await _source_is_taken_back(world)
    await world.state(*written)
    with pytest.raises(Parted):
        await world.poll()
    await world.restated("how it is")
    await world.state("later")

    await world.poll()
    await world.poll()

    assert await world.effects() == ["a", "b", "lost", "lost too", *written, "how it is", "later"]
    assert world.consumer is not None
    assert (world.parted(), world.consumer.lag_seconds) == (False, 0.0)
    await world.consumer.has_not_parted()


async def test_a_consumer_that_had_not_read_what_was_lost_goes_on_without_a_word(
    world: World,
) -> None:
    await world.state("a", "b")
    await world.poll()
    await world.back_up("source")
    await world.state("lost unread")
    await world.restore("source")
    await world.state("c")
    await world.poll()

    assert (await world.effects(), world.parted()) == (["a", "b", "c"], False)


async def test_a_consumer_that_was_restored_reads_again_what_its_database_lacks(
    world: World,
) -> None:
    await world.state("a")
    await world.poll()
    await world.back_up("sink")
    await world.state("b", "c")
    await world.poll()
    await world.restore("sink")
    await world.poll()

    assert (await world.effects(), world.parted()) == (["a", "b", "c"], False)


async def test_what_was_pruned_before_a_restored_consumer_read_it_is_never_skipped_silently(
    world: World,
) -> None:
    await world.state("a")
    await world.poll()
    await world.back_up("sink")
    await world.state("b", "c", "d")
    await world.poll()
    await world.poll()
    assert await world.outbox.prune(keep=0) == 3
    await world.restore("sink")
    with pytest.raises(Parted, match="does not keep the fact at 1 any more"):
        await world.poll()
    seen = (await world.effects(), world.parted())
    await world.restated("how it is")
    await world.poll()

    assert seen == (["a"], True)
    assert await world.effects() == ["a", "d", "how it is"]
    assert world.signals.value(CONSUMER_EVENTS_MISSED, source="catalog") == 2
    assert not world.parted()


async def test_a_consumer_that_begins_at_an_outbox_that_was_pruned_says_so(world: World) -> None:
    await world.state("a", "b")
    await world.poll()
    await world.poll()
    assert await world.outbox.prune(keep=0) == 1
    await world.databases["sink"].close()
    (world.folder / "sink.db").unlink()
    await world.open("sink")

    with pytest.raises(Parted, match="no longer all that follows 0"):
        await world.poll()
    assert await world.effects() == []


async def test_facts_that_were_numbered_anew_in_another_order_are_stored_once(
    world: World,
) -> None:
    await world.state("a")
    await world.poll()
    await world.state("b", "c")
    await world.back_up("source")
    async with world.databases["source"].transaction() as transaction:  # c was committed first
        await transaction.execute(text("UPDATE outbox SET position = 2 WHERE id = 3"))
        await transaction.execute(text("UPDATE outbox SET position = 3 WHERE id = 2"))
        await transaction.execute(text("UPDATE outbox_head SET position = 3"))
    await world.poll()
    await world.restore("source")
    with pytest.raises(Parted):
        await world.poll()
    await world.restated()
    await world.state("d")
    await world.poll()

    assert await world.effects() == ["a", "c", "b", "d"]


async def test_a_database_of_the_version_before_is_read_on_and_marked_from_then_on(
    world: World,
) -> None:
    await world.state("a")
    await world.poll()
    async with world.databases["sink"].transaction() as transaction:
        await transaction.execute(text("DELETE FROM consumer_history"))
        await transaction.execute(
            text("UPDATE consumer_positions SET event_id = NULL, marked = NULL, epoch = NULL")
        )
    await world.state("b")
    await world.poll()
    await world.state("read by a replica of it", "c")
    await world.outbox.read(after=0, limit=1)
    async with world.databases["sink"].transaction() as transaction:
        await transaction.execute(text("UPDATE consumer_positions SET position = 3"))
    await world.poll()

    assert (await world.effects(), world.parted()) == (["a", "b", "c"], False)


async def test_nobody_acknowledges_what_is_not_there(world: World) -> None:
    await world.state("a", "b")
    await world.poll()

    with pytest.raises(HistoryDiffers, match="has 2 facts, and you say that you have read 9"):
        await world.outbox.acknowledge("insight", Mark(9))
    with pytest.raises(HistoryDiffers, match="another fact at 2"):
        await world.outbox.acknowledge("insight", Mark(2, "evt_of_another_history"))
    assert await world.outbox.prune(keep=0) == 1  # up to where its one consumer stands


@pytest.mark.parametrize("agreed", range(8))
async def test_where_two_histories_part_is_found_wherever_it_is(agreed: int) -> None:
    batches = [
        Batch(last, [digest(f"evt_{at}") for at in range(first, last + 1)])
        for first, last in ((1, 2), (3, 3), (4, 7))
    ]
    source: list[Read] = [
        (at, f"evt_{at}" if at <= agreed else f"evt_new_{at}") for at in range(1, 10)
    ]

    async def ask(after: int, limit: int) -> Sequence[Read]:
        return [each for each in source if each[0] > after][:limit]

    assert await last_agreed(batches, ask, otherwise=0) == agreed
