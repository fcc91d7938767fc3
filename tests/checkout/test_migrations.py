"""Each revision can be applied while the version before it serves: its statements still work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, Table

import app.checkout
from app.checkout.models import METADATA
from app.frame.data.database import Database
from tests.conftest import NewDatabase

MIGRATIONS = Path(app.checkout.__file__).parent / "migrations"
REVISIONS = sorted(
    path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py")
)
STEPS = list(pairwise(REVISIONS))
WRITTEN_BY_REQUESTS = (
    *("cars", "holds", "orders", "customers", "payments", "payment_events"),
    *("idempotency", "outbox"),
)
"""In the order in which rows can be added."""

MOMENT = datetime(2026, 11, 27, 9, 0)  # noqa: DTZ001 - stored as UTC without a zone
VALUES: dict[type, Any] = {bool: False, bytes: b"sealed", object: {}, datetime: MOMENT}
"""By Python type; `object` is what a JSON column says that it holds."""


@pytest.fixture
async def database(new_database: NewDatabase) -> AsyncIterator[Database]:
    opened = Database(new_database("checkout"))
    yield opened
    await opened.close()


async def _upgrade(database: Database, revision: str) -> None:
    def run(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        config.attributes["metadata"] = METADATA
        command.upgrade(config, revision)

    async with database.transaction() as connection:
        await connection.run_sync(run)


async def _tables(database: Database) -> dict[str, Table]:
    """The tables as a version that was deployed with this schema knows them."""
    known = MetaData()
    async with database.read() as connection:
        await connection.run_sync(known.reflect)
    return dict(known.tables)


def _row(table: Table, number: int) -> dict[str, Any]:
    """A value for every column, as a version that knows this table fills them."""
    return {
        column.name: _value(column, number)
        for column in table.columns
        if not (table.name == "outbox" and column.name in {"id", "position"})
    }


def _value(column: Any, number: int) -> Any:
    kind = column.type.python_type
    if kind is str:
        return f"{column.name[:6]}_{number}"[: column.type.length]
    return number if kind is int else VALUES[kind]


async def _insert(database: Database, tables: dict[str, Table], number: int) -> None:
    async with database.transaction() as connection:
        for name in WRITTEN_BY_REQUESTS:
            table = tables[name]
            row = _row(table, number)
            keys = {key.parent.name: key for key in table.foreign_keys}
            for column, key in keys.items():
                row[column] = _row(tables[key.column.table.name], number)[key.column.name]
            await connection.execute(table.insert().values(**row))


async def _read(database: Database, tables: dict[str, Table]) -> dict[str, list[Any]]:
    async with database.read() as connection:
        return {
            name: [tuple(row) for row in await connection.execute(tables[name].select())]
            for name in WRITTEN_BY_REQUESTS
        }


@pytest.mark.parametrize(("before", "after"), STEPS, ids=[f"to {after}" for _, after in STEPS])
async def test_the_version_before_reads_and_writes_as_ever(
    database: Database, before: str, after: str
) -> None:
    await _upgrade(database, before)
    old = await _tables(database)
    await _insert(database, old, 1)
    rows = await _read(database, old)

    await _upgrade(database, after)

    assert await _read(database, old) == rows  # what was there is there
    await _insert(database, old, 2)  # and the old statements still add to it
    assert {name: len(found) for name, found in (await _read(database, old)).items()} == (
        dict.fromkeys(WRITTEN_BY_REQUESTS, 2)
    )
