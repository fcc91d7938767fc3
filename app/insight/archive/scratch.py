"""A ledger beside the ledger: a temporary SQLite file with the same tables, and copies of them.

What is worked out anew is worked out there, and put in place in one transaction or not at all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import RowMapping, Table, delete, insert, select, text

from app.frame.data.database import Database
from app.insight.ledger.store import Transaction
from app.insight.models import (
    CARS,
    CHECKOUTS,
    COUNTERS,
    ENTRIES,
    METADATA,
    ORDERS,
    RESTATED,
    SESSIONS,
)

FOLLOW: Final = (SESSIONS, CHECKOUTS, ORDERS, ENTRIES, COUNTERS, RESTATED, CARS)
"""The tables that follow from `events`: replayed in their order, these are their rows."""

ROWS: Final = 2_000
"""Rows that are in memory at a time."""


@asynccontextmanager
async def scratch() -> AsyncIterator[Database]:
    """An empty ledger in a temporary file (TMPDIR says where), which is gone afterwards."""
    with TemporaryDirectory(prefix="vitrine-ledger-") as folder:
        database = Database(f"sqlite+aiosqlite:///{Path(folder) / 'ledger.db'}")
        try:
            async with database.transaction() as transaction:
                await transaction.run_sync(METADATA.create_all)
            yield database
        finally:
            await database.close()


@asynccontextmanager
async def snapshot(database: Database) -> AsyncIterator[Transaction]:
    """Many reads of one moment, while the service books on."""
    if database.dialect != "postgresql":
        async with database.read() as connection:
            yield connection
        return
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


async def rows_of(connection: Transaction, table: Table) -> AsyncIterator[Sequence[RowMapping]]:
    """All rows by key, some at a time: each read is short, however long the table is."""
    (key, *more) = table.primary_key.columns
    if more:  # exported numbers: as many as there are labels
        found = (await connection.execute(select(table))).mappings().all()
        for start in range(0, len(found), ROWS):
            yield found[start : start + ROWS]
        return
    query = select(table).order_by(key).limit(ROWS)
    part = (await connection.execute(query)).mappings().all()
    while part:
        yield part
        after = query.where(key > part[-1][key.name])
        part = (await connection.execute(after)).mappings().all()


async def copied(table: Table, source: Transaction, target: Transaction) -> int:
    """Add a table's rows to the same table elsewhere; returns how many.

    The entries' own numbers are the target's to give: nothing names an entry by it.
    """
    count = 0
    async for rows in rows_of(source, table):
        values = [dict(row) for row in rows]
        if table is ENTRIES:
            for value in values:
                del value["number"]
        await target.execute(insert(table), values)
        count += len(rows)
    return count


async def emptied(table: Table, transaction: Transaction) -> None:
    """Remove all rows, some at a time: a long statement would meet the driver's time-out."""
    async for rows in rows_of(transaction, table):
        (key, *more) = table.primary_key.columns
        within = () if more else (key >= rows[0][key.name], key <= rows[-1][key.name])
        await transaction.execute(delete(table).where(*within))


async def count_on(transaction: Transaction) -> None:
    """Have PostgreSQL number the next event after those that were stored with their numbers."""
    if transaction.dialect.name == "postgresql":
        await transaction.execute(
            text(
                "SELECT setval(pg_get_serial_sequence('events', 'number'),"
                " COALESCE(MAX(number), 0) + 1, false) FROM events"
            )
        )
