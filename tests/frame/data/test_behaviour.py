"""Behaviour facts: collected, written in batches, never lost by a failure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contracts.events import PageViewed
from app.frame.data.behaviour import BATCH, Behaviour
from app.frame.data.database import Database, DatabaseUnavailable
from app.frame.data.outbox import Outbox
from app.kernel.facts import EventContext
from app.storefront.models import METADATA, OUTBOX
from telemetry.testing import capture
from tests.conftest import NewDatabase

CONTEXT = EventContext(session_id="ses_1", market="SE")


class AwayDatabase(Database):
    """A database that is away for the next write."""

    away = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        if self.away:
            raise DatabaseUnavailable("away")
        async with super().transaction() as connection:
            yield connection


async def _open(new_database: NewDatabase, clock: object) -> tuple[AwayDatabase, Outbox]:
    database = AwayDatabase(new_database("storefront"))
    async with database.transaction() as transaction:
        await transaction.run_sync(METADATA.create_all)
    return database, Outbox("storefront", database, OUTBOX, clock)  # type: ignore[arg-type]


async def test_what_is_recorded_is_read_in_order_after_a_flush(
    new_database: NewDatabase, clock: object
) -> None:
    database, outbox = await _open(new_database, clock)
    with capture("storefront") as emitted:
        behaviour = Behaviour(database, outbox, emitted.telemetry, limit=10_000)
        for number in range(BATCH + 5):
            behaviour.record(PageViewed("car", car_id=f"car_{number}"), CONTEXT)

        written = await behaviour.flush()

    events = await outbox.read(after=0, limit=1000)
    assert written == BATCH + 5
    assert [span.name for span in emitted.spans] == ["behaviour.write"] * 2
    assert [event.data["car_id"] for event in events] == [f"car_{n}" for n in range(BATCH + 5)]
    assert events[0].context == CONTEXT
    await database.close()


async def test_a_fact_that_breaks_its_contract_is_left_out_and_keeps_no_other_waiting(
    new_database: NewDatabase, clock: object
) -> None:
    database, outbox = await _open(new_database, clock)
    with capture("storefront") as emitted:
        behaviour = Behaviour(database, outbox, emitted.telemetry)
        behaviour.record(PageViewed("x" * 81), CONTEXT)
        behaviour.record(PageViewed("car"), EventContext(campaign="x" * 101))
        behaviour.record(PageViewed("car"), CONTEXT)
        assert await behaviour.flush() == 1
    assert [line["event"] for line in emitted.logs] == ["behaviour.refused"] * 2
    await database.close()


async def test_a_failed_flush_keeps_the_facts_for_the_next_one(
    new_database: NewDatabase, clock: object
) -> None:
    database, outbox = await _open(new_database, clock)
    with capture("storefront") as emitted:
        behaviour = Behaviour(database, outbox, emitted.telemetry, limit=10)
        behaviour.record(PageViewed("home"), CONTEXT)
        database.away = True
        with pytest.raises(DatabaseUnavailable):
            await behaviour.flush()
        database.away = False

        assert await behaviour.flush() == 1

    assert len(await outbox.read(after=0, limit=10)) == 1
    await database.close()


async def test_a_full_buffer_loses_the_newest_and_says_how_many(
    new_database: NewDatabase, clock: object
) -> None:
    database, outbox = await _open(new_database, clock)
    with capture("storefront") as emitted:
        behaviour = Behaviour(database, outbox, emitted.telemetry, limit=2)
        for page in ("home", "cars", "car"):
            behaviour.record(PageViewed(page), CONTEXT)
        await behaviour.flush()

        assert [line["facts"] for line in emitted.logged("behaviour.lost")] == [1]

    events = await outbox.read(after=0, limit=10)
    assert [event.data["page"] for event in events] == ["home", "cars"]
    await database.close()
