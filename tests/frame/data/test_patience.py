"""One deadline for all that a request asks of its database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from app.frame.data.batches import Batches, BatchFailed
from app.frame.data.database import Database, DatabaseUnavailable
from app.frame.data.patience import PATIENCE, Patience, is_exhausted, unhurried
from tests.conftest import NewDatabase


@contextmanager
def request_of(seconds: float) -> Iterator[Patience]:
    """What the edge does around a request."""
    patience = Patience(seconds)
    token = PATIENCE.set(patience)
    try:
        yield patience
    finally:
        PATIENCE.reset(token)


async def test_every_transaction_takes_from_the_same_seconds(new_database: NewDatabase) -> None:
    database = Database(new_database("patience"))
    async with database.transaction() as transaction:
        await transaction.execute(text("CREATE TABLE t (n INTEGER PRIMARY KEY)"))

    async def write(number: int, seconds: float) -> None:
        async with database.transaction() as transaction:
            await transaction.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})
            await asyncio.sleep(seconds)

    with request_of(10) as patience:
        await write(1, 0.3)
        spent = 10 - patience.seconds
        patience.seconds = 0.2
        with pytest.raises(DatabaseUnavailable):
            await write(2, 60)
        exhausted = is_exhausted()
        with unhurried():  # an import
            await write(3, 0.3)
    await write(4, 0.3)  # a job
    async with database.read() as connection:
        written = [row[0] for row in await connection.execute(text("SELECT n FROM t ORDER BY n"))]
    await database.close()

    assert spent >= 0.3
    assert exhausted
    assert written == [1, 3, 4]


async def test_whose_patience_is_over_leaves_a_batch_to_the_others() -> None:
    ran: list[Sequence[str]] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def run(items: Sequence[str]) -> Sequence[str]:
        ran.append(items)
        begun.set()
        await go_on.wait()
        return items

    async def ask(item: str, seconds: float) -> str:
        with request_of(seconds):
            return await batches.do(item)

    batches = Batches(run)
    first = asyncio.create_task(batches.do("a job"))
    await begun.wait()
    impatient = asyncio.create_task(ask("impatient", 0.01))
    patient = asyncio.create_task(ask("patient", 60))
    await asyncio.sleep(0.1)
    go_on.set()

    assert (await first, await patient) == ("a job", "patient")
    with pytest.raises(BatchFailed):
        await impatient
    assert ran == [["a job"], ["patient"]]
