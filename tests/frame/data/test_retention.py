"""What has stayed as long as its rule says leaves in small batches, oldest first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Column, Integer, String, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.data import retention
from app.frame.data.database import Database, UtcTime, new_metadata
from app.frame.data.retention import BATCH, Keys, Retention, Rule
from app.kernel.clock import ManualClock
from telemetry.catalogue.frame import RETENTION_OVERDUE, RETENTION_ROWS_REMOVED
from telemetry.testing import Signals, capture

METADATA = new_metadata()
NOTES = Table(
    "notes",
    METADATA,
    Column("book", String(10), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("written_at", UtcTime, nullable=False),
)
DAYS = 30
RULE = Rule(NOTES, "notes", NOTES.c.written_at, timedelta(days=DAYS), which=NOTES.c.book != "kept")


@pytest.fixture
async def database(new_database: Callable[[str], str]) -> AsyncIterator[Database]:
    opened = Database(new_database("notes"))
    async with opened.transaction() as transaction:
        await transaction.run_sync(METADATA.create_all)
    yield opened
    await opened.close()


async def write(database: Database, clock: ManualClock, *, book: str, ages: list[float]) -> None:
    """Notes that are so many days old."""
    rows = [
        {"book": book, "number": number, "written_at": clock.now() - timedelta(days=age)}
        for number, age in enumerate(ages)
    ]
    async with database.transaction() as transaction:
        await transaction.execute(insert(NOTES), rows)


async def left(database: Database) -> list[tuple[str, int]]:
    query = select(NOTES.c.book, NOTES.c.number).order_by(NOTES.c.book, NOTES.c.number)
    async with database.read() as connection:
        return [(row.book, row.number) for row in await connection.execute(query)]


async def turn(database: Database, clock: ManualClock, *rules: Rule) -> tuple[int, Signals]:
    with capture("checkout") as signals:
        removed = await Retention(rules, database, clock, signals.telemetry).turn()
    return removed, signals


async def test_rows_leave_when_they_are_older_than_their_rule_and_others_stay(
    database: Database, clock: ManualClock
) -> None:
    await write(database, clock, book="a", ages=[31, 30.5, 30, 29, 0])
    await write(database, clock, book="kept", ages=[400])

    removed, signals = await turn(database, clock, RULE)

    assert removed == 2
    assert await left(database) == [("a", 2), ("a", 3), ("a", 4), ("kept", 0)]
    assert signals.value(RETENTION_ROWS_REMOVED, table="notes") == 2
    assert signals.value(RETENTION_OVERDUE, table="notes") == 0


async def test_a_turn_removes_batch_after_batch(database: Database, clock: ManualClock) -> None:
    await write(database, clock, book="a", ages=[40] * (2 * BATCH + 1))
    assert (await turn(database, clock, RULE))[0] == 2 * BATCH + 1
    assert await left(database) == []


async def test_a_turn_that_ran_out_of_time_has_removed_the_oldest_and_says_what_is_overdue(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "TURN_SECONDS", -1.0)
    monkeypatch.setattr(retention, "BATCH", 2)
    await write(database, clock, book="a", ages=[31, 34, 32, 33])

    removed, signals = await turn(database, clock, RULE)

    assert (removed, await left(database)) == (2, [("a", 0), ("a", 2)])
    assert signals.value(RETENTION_OVERDUE, table="notes") == 4 * 86_400
    assert (await turn(database, clock, RULE))[0] == 2


async def test_a_row_that_is_not_over_any_more_when_its_batch_begins_stays(
    database: Database, clock: ManualClock
) -> None:
    await write(database, clock, book="a", ages=[40, 40])
    before = clock.now() - RULE.stay
    async with database.transaction() as transaction:
        renewed = NOTES.update().where(NOTES.c.number == 1).values(written_at=clock.now())
        await transaction.execute(renewed)

    assert await RULE.end(database, [("a", 0), ("a", 1)], before) == 1
    assert await left(database) == [("a", 1)]


async def test_a_row_that_cannot_leave_keeps_no_other_and_is_told_of(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    await write(database, clock, book="a", ages=[50, 49, 48, 47, 46])

    async def remove(transaction: AsyncConnection, rule: Rule, keys: Keys, _: object) -> int:
        gone = rule.table.delete().where(rule.among(keys), NOTES.c.number > 1)
        return (await transaction.execute(gone)).rowcount

    removed, signals = await turn(database, clock, replace(RULE, remove=remove))

    assert (removed, await left(database)) == (3, [("a", 0), ("a", 1)])
    assert signals.value(RETENTION_OVERDUE, table="notes") == 20 * 86_400
