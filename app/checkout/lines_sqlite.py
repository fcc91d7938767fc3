"""Looks and changes on SQLite: one writer thread, up to sixteen changes in one transaction.

Each change is a list of statements in a savepoint of its own. The first one is the guard and must
change a row; a statement that fails undoes its change alone.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import fields
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import orjson
from sqlalchemy import JSON, LargeBinary

from app.checkout.change import Change, Look, Sight
from app.checkout.looks import ORDER, ROWS, sight_of
from app.checkout.models import METADATA
from app.checkout.shapes import Part, Shape, shape_of, wish_of
from app.frame.batches import Batches, BatchFailed
from app.frame.database import UtcTime
from app.frame.outbox import Outbox

SAY: Final = (
    "INSERT INTO outbox (event_id, type, time, data, context)"
    " VALUES (:event_id, :type, :time, :data, :context)"
)
BUSY_SECONDS: Final = 5.0

_ASKED: Final = ORDER.format(asked="(SELECT :order_id AS order_id, :event_id AS event_id)")
_TABLES: Final = {"o": "orders", "p": "payments", "h": "holds", "c": "cars"}
_COLUMNS: Final = [
    METADATA.tables[_TABLES[alias]].c[column.name] for alias, row in ROWS for column in fields(row)
]
_MOMENTS: Final = [n for n, column in enumerate(_COLUMNS) if isinstance(column.type, UtcTime)]
_JSON: Final = [n for n, column in enumerate(_COLUMNS) if isinstance(column.type, JSON)]


class SqliteLines:
    """Checkout's way to the SQLite file at `path`.

    `one_writer` is the lock behind which this process's other transactions take turns: waiting for
    it costs less than SQLite's own waiting, which sleeps.
    """

    def __init__(
        self, path: str, one_writer: AbstractAsyncContextManager[Any], outbox: Outbox
    ) -> None:
        self._path = path
        self._one_writer = one_writer
        self._outbox = outbox
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkout-writer")
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._batches: Batches[Change[Any], bool] = Batches(self._run)

    async def look(self, look: Look) -> Sight | None:
        """By keys, in some 20 microseconds: less than the way to another thread and back."""
        try:
            if self._reader is None:
                self._reader = _connected(self._path)
            asked = {"order_id": look.order_id, "event_id": look.event_id}
            row = self._reader.execute(_ASKED, asked).fetchone()
        except sqlite3.Error as error:
            # A read that was broken off goes on seeing the database as it was then.
            broken, self._reader = self._reader, None
            if broken is not None:
                broken.close()
            raise BatchFailed(type(error).__name__) from error
        return None if row is None else sight_of(_read(row))

    async def write(self, change: Change[Any]) -> bool:
        return await self._batches.do(change)

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()

    async def _run(self, changes: Sequence[Change[Any]]) -> Sequence[bool]:
        wishes = [
            (
                statements_of(shape_of(change)),
                _stored(wish_of(change)),
                [_stored(fact) for fact in self._outbox.rows(change.facts)],
            )
            for change in changes
        ]
        async with self._one_writer:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, self._write, wishes
            )

    def _write(self, wishes: Sequence[_Wish]) -> list[bool]:
        if self._writer is None:
            self._writer = _connected(self._path)
        connection = self._writer
        try:
            connection.execute("BEGIN IMMEDIATE")
            done = [_apply(connection, *wish) for wish in wishes]
            connection.execute("COMMIT")
        except BaseException:
            # Whatever state it is in: a connection that kept the write lock would keep everybody
            # from writing. Closing alone does not let go while a traceback holds a cursor.
            self._writer = None
            with suppress(sqlite3.Error):
                connection.rollback()
            connection.close()
            raise
        return done


_Wish = tuple[tuple[str, ...], dict[str, Any], list[dict[str, Any]]]
"""Statements, their values, facts."""


@lru_cache(maxsize=256)
def statements_of(shape: Shape) -> tuple[str, ...]:
    """The guard, which moves the car, and a statement for each row."""
    moved = "".join(f", {name} = :car_{name}" for name in shape.car)
    new = (
        " AND NOT EXISTS (SELECT 1 FROM payment_events WHERE event_id = :r0_event_id)"
        if shape.event
        else ""
    )
    guard = (
        f"UPDATE cars SET version = version + 1{moved}"  # noqa: S608 - our own names
        f" WHERE car_id = :car_id AND version = :seen_version{new}"
    )
    return (guard, *(_statement(part) for part in shape.parts))


def _statement(part: Part) -> str:
    if part.by:
        values = ", ".join(f"{name} = {_value(part, name)}" for name in part.columns)
        return f"UPDATE {part.table.name} SET {values} WHERE {part.by} = :{part.name}_by"  # noqa: S608
    names, values = ", ".join(part.columns), ", ".join(_value(part, n) for n in part.columns)
    return f"INSERT INTO {part.table.name} ({names}) VALUES ({values})"  # noqa: S608


def _value(part: Part, name: str) -> str:
    value = f":{part.name}_{name}"
    return f"CAST({value} AS BLOB)" if isinstance(part.column(name).type, LargeBinary) else value


def _apply(
    connection: sqlite3.Connection,
    statements: tuple[str, ...],
    values: dict[str, Any],
    facts: list[dict[str, Any]],
) -> bool:
    """Make one change in the open transaction; False when it did not happen."""
    guard, *rest = statements
    connection.execute("SAVEPOINT effect")
    try:
        done = connection.execute(guard, values).rowcount == 1
        if done:
            for statement in rest:
                connection.execute(statement, values)
            connection.executemany(SAY, facts)
    except (sqlite3.IntegrityError, OverflowError):
        done = False
    if not done:
        connection.execute("ROLLBACK TO effect")
    connection.execute("RELEASE effect")
    return done


def _connected(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    # What `frame.database` sets: a confirmed order survives a crash of process or machine.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def _stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as `frame.database` stores them: naive UTC text, JSON as text."""
    return {name: _as_stored(value) for name, value in values.items()}


def _as_stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, dict):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return value


def _read(row: Sequence[Any]) -> list[Any]:
    values = list(row)
    for n in _MOMENTS:
        if values[n] is not None:
            values[n] = datetime.fromisoformat(values[n]).replace(tzinfo=UTC)
    for n in _JSON:
        if values[n] is not None:
            values[n] = orjson.loads(values[n])
    return values
