"""One event that cannot be digested stops nobody, is lost by nobody, and is taken again once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Column, Integer, String, Table, text
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.frame.data.consumers import Consumer, position_table
from app.frame.data.database import Database, DatabaseUnavailable, new_metadata
from app.frame.data.leases import Leases, lease_table
from app.frame.data.undigested import Diet
from app.frame.outbound.http import DEADLINE, InProcessTransport, NeighbourClient
from app.frame.start.retaking import make_due
from app.kernel.clock import ManualClock
from app.kernel.facts import Event
from telemetry.catalogue.frame import CONSUMER_EVENTS_SET_ASIDE, CONSUMER_EVENTS_UNDIGESTED
from telemetry.testing import Signals, capture
from tests.conftest import NewDatabase

SINK = new_metadata()
position_table(SINK)
lease_table(SINK)
EFFECTS = Table(
    "effects", SINK, Column("id", Integer, primary_key=True), Column("word", String(10))
)
IN_ORDER = Diet(subjects=("car",), types=frozenset({"said"}))
LATEST = Diet(subjects=("car",), types=frozenset({"said"}), latest_wins=True)


class World:
    """A source that says whatever a test wants, and replicas that keep what it says."""

    def __init__(self, database: Database, clock: ManualClock, signals: Signals) -> None:
        self.database = database
        self.clock = clock
        self.signals = signals
        self.wires: list[dict[str, Any]] = []
        self.fault: Callable[[str], None] = _too_long
        app = Starlette(routes=[Route("/internal/catalog/events", self._serve)])
        self.client = NeighbourClient(
            "http://catalog", InProcessTransport(lambda: app), timeout=DEADLINE
        )

    async def _serve(self, request: Request) -> Response:
        after = int(request.query_params["after"])
        found = [wire for wire in self.wires if wire["sequence"] > after]
        return Response(json.dumps({"items": found}), media_type="application/json")

    def say(self, car: Any, word: Any, **changed: Any) -> None:
        position = len(self.wires) + 1
        self.wires.append(
            {
                "specversion": "1.0",
                "id": f"evt_{position}",
                "source": "/catalog",
                "type": "said",
                "time": "2026-11-27T09:00:00Z",
                "sequence": position,
                "data": {"car": car, "word": word},
                **changed,
            }
        )

    def replica(self, diet: Diet) -> Consumer:
        async def apply(transaction: AsyncConnection, events: Sequence[Event]) -> None:
            for event in events:
                self.fault(event.data["word"])
                await transaction.execute(EFFECTS.insert().values(word=event.data["word"]))

        return Consumer(
            "checkout",
            "catalog",
            client=self.client,
            database=self.database,
            leases=Leases(self.database, self.clock),
            clock=self.clock,
            telemetry=self.signals.telemetry,
            apply=apply,
            diet=diet,
        )

    async def kept(self) -> list[str]:
        async with self.database.read() as connection:
            rows = await connection.execute(text("SELECT word FROM effects ORDER BY id"))
            return [row.word for row in rows]

    async def aside(self) -> list[tuple[int, int]]:
        """(position, attempts) of what is set aside."""
        async with self.database.read() as connection:
            rows = await connection.execute(
                text("SELECT position, attempts FROM undigested ORDER BY position")
            )
            return [(row.position, row.attempts) for row in rows]


def _too_long(word: str) -> None:
    if len(word) > 5:
        raise ValueError("as a column that is too narrow would")


def _nothing(_: str) -> None:
    return


@pytest.fixture
async def world(clock: ManualClock, new_database: NewDatabase) -> AsyncIterator[World]:
    database = Database(new_database("sink"))
    async with database.transaction() as transaction:
        await transaction.run_sync(SINK.create_all)
    with capture("checkout") as signals:
        made = World(database, clock, signals)
        yield made
    await made.client.aclose()
    await database.close()


POISON: dict[str, dict[str, Any]] = {
    "too long": {"data": {"car": "b", "word": "x" * 300}},
    "of another type": {"data": {"car": "b", "word": 5}},
    "missing": {"data": {"car": "b"}},
    "no data": {"data": None},
    "NUL": {"data": {"car": "b", "word": "x\x00" * 9}},
    "half a character": {"data": {"car": "b", "word": "\ud800" * 9}},
    "a huge number": {"data": {"car": "b", "word": 2**63}},
    "a far version": {"specversion": "9.0"},
    "no time": {"time": None},
    "no id": {"id": None},
    "a context of another type": {"market": ["SE"]},
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
@pytest.mark.parametrize("diet", [IN_ORDER, LATEST], ids=["in order", "latest wins"])
async def test_the_others_are_digested_and_the_poison_once_after_the_fix(
    world: World, poison: dict[str, Any], diet: Diet
) -> None:
    world.say("a", "one")
    world.say("b", "two", **poison)
    world.say("c", "three")
    world.say("x", "never", type="of a later version")
    replica = world.replica(diet)

    await replica.poll()

    assert await world.kept() == ["one", "three"]
    assert await replica.position() == 4
    assert await world.aside() == [(2, 1)]
    assert replica.lag_seconds == 1.0
    assert world.signals.value(CONSUMER_EVENTS_SET_ASIDE, source="catalog") == 1
    await replica.poll()
    assert world.signals.value(CONSUMER_EVENTS_UNDIGESTED, source="catalog") == 1

    # The fix: whatever it is that it lacked, a corrected copy stands for a corrected consumer.
    await _mend(world)
    for _ in range(3):
        await world.replica(diet).poll()
        world.clock.advance(seconds=11)
    assert await world.kept() == ["one", "three", "two"]
    assert await world.aside() == []


async def _mend(world: World) -> None:
    good = {**world.wires[0], "id": "evt_2", "sequence": 2, "data": {"car": "b", "word": "two"}}
    async with world.database.transaction() as transaction:
        await transaction.execute(
            text("UPDATE undigested SET payload = :good"), {"good": json.dumps(good)}
        )
    world.clock.advance(seconds=11)  # the first replica's lease ends


async def test_it_is_tried_with_growing_pauses_and_at_each_start(world: World) -> None:
    world.say("a", "too long")
    replica = world.replica(LATEST)
    attempts = []
    for seconds in (0, 29, 2, 50, 20):
        world.clock.advance(seconds=seconds)
        await replica.poll()
        attempts.append((await world.aside())[0][1])
    assert attempts == [1, 1, 2, 2, 3]
    world.clock.advance(seconds=11)
    await world.replica(LATEST).poll()
    assert await world.aside() == [(1, 4)]


async def test_later_facts_of_the_subject_wait_and_follow_in_order(world: World) -> None:
    for car, word in (("a", "too long"), ("b", "b1"), ("a", "a2"), ("a", "a3")):
        world.say(car, word)
    replica = world.replica(IN_ORDER)
    await replica.poll()
    world.say("a", "a4")
    world.say("b", "b2")
    await replica.poll()
    assert await world.kept() == ["b1", "b2"]
    assert [position for position, _ in await world.aside()] == [1, 3, 4, 5]

    world.fault = _nothing
    world.clock.advance(seconds=11)
    await world.replica(IN_ORDER).poll()
    assert await world.kept() == ["b1", "b2", "too long", "a2", "a3", "a4"]
    assert await world.aside() == []


async def test_a_later_fact_that_says_it_all_replaces_the_one_set_aside(world: World) -> None:
    world.say("a", "too long")
    world.say("b", "too long")
    replica = world.replica(LATEST)
    await replica.poll()
    world.say("a", "new")
    await replica.poll()
    assert (await world.kept(), await world.aside()) == (["new"], [(2, 1)])

    world.fault = _nothing
    world.clock.advance(seconds=11)
    await world.replica(LATEST).poll()
    assert await world.kept() == ["new", "too long"]  # car b's; never the older word about a


@pytest.mark.parametrize("away", [DatabaseUnavailable("away"), ConnectionResetError(), OSError()])
async def test_while_something_is_away_nothing_is_set_aside(world: World, away: Exception) -> None:
    def fail(_: str) -> None:
        raise away

    world.say("a", "one")
    world.fault = fail
    replica = world.replica(LATEST)
    with pytest.raises((DatabaseUnavailable, OSError)):
        await replica.poll()
    assert (await world.kept(), await world.aside(), await replica.position()) == ([], [], 0)
    world.fault = _too_long
    await replica.poll()
    assert await world.kept() == ["one"]


async def test_an_operator_has_it_tried_at_the_next_poll(world: World) -> None:
    world.say("a", "too long")
    world.say("a", "a2")
    replica = world.replica(IN_ORDER)
    await replica.poll()
    world.fault = _nothing
    await replica.poll()
    assert await world.kept() == []  # its pause is not over

    await make_due(world.database)
    await replica.poll()
    assert await world.kept() == ["too long", "a2"]
