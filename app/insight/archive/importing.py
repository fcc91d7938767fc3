"""Making a ledger of an archive: an empty database becomes the ledger that was archived."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC
from pathlib import Path

from sqlalchemy import Table, func, insert, select

from app.frame.data.database import Database
from app.insight.archive.errors import CannotImport
from app.insight.archive.files import KINDS, Index, events_in, read_index
from app.insight.archive.replay import Told, replayed
from app.insight.archive.scratch import FOLLOW, ROWS, copied, count_on, scratch
from app.insight.ledger.books import Books
from app.insight.ledger.changes import Changes
from app.insight.ledger.store import Store, Transaction
from app.insight.models import EVENTS


async def import_from(folder: Path, database: Database, *, these_rules: bool = False) -> Index:
    """Fill an empty ledger with what the archive holds, or leave it empty; returns its index.

    Raises `CannotImport` when there is no archive, it lacks something or the ledger is not empty,
    and `CannotReplay`. `these_rules`: also where a version with other rules has booked.
    """
    index = read_index(folder)
    if index is None:
        raise CannotImport(f"{folder} has no archive: `python -m app.insight export` makes one.")
    if index.lacks:
        raise CannotImport(f"the archive in {folder} lacks what it takes: {index.lacks}")
    if index.other_rules and not these_rules:
        raise CannotImport(
            f"a version with other rules has booked into the ledger of {folder}, and reports as of"
            " then would change to what these rules make of it. Say --these-rules if that is"
            " wanted."
        )
    async with database.read() as connection:
        await _must_be_empty(connection)
    async with scratch() as made:
        await replayed(_told(folder, index), made)
        store = Store(database)
        async with store.writing() as transaction, made.read() as source:
            await _must_be_empty(transaction)
            await _keep(transaction, folder, index)
            for table in FOLLOW:
                await copied(table, source, transaction)
            await store.save(transaction, Books(), Changes(), index.booked_until)
    return index


async def _told(folder: Path, index: Index) -> AsyncIterator[Told]:
    columns = list(KINDS["events"])
    places = [columns.index(name) for name in ("number", "booked_at", "wire")]
    for row in events_in(folder, index):
        number, booked_at, wire = (row[place] for place in places)
        yield Told(number, booked_at.astimezone(UTC), wire)


async def _keep(transaction: Transaction, folder: Path, index: Index) -> None:
    """Store the events with their numbers."""
    columns = ["at" if name == "happened_at" else name for name in KINDS["events"]]
    rows = []
    for row in events_in(folder, index):
        rows.append(dict(zip(columns, row, strict=True)))
        if len(rows) == ROWS:
            await transaction.execute(insert(EVENTS), rows)
            rows.clear()
    if rows:
        await transaction.execute(insert(EVENTS), rows)
    await count_on(transaction)


async def _must_be_empty(connection: Transaction) -> None:
    tables: tuple[Table, ...] = (EVENTS, *FOLLOW)
    for table in tables:
        if await connection.scalar(select(func.count()).select_from(table)):
            raise CannotImport(
                f"the ledger is not empty (its table {table.name} has rows): stop insight, and name"
                " a new database in INSIGHT_DATABASE_URL, or move var/data/insight.db away."
            )
