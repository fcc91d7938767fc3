"""Looks and changes on SQLite: one query each, and a list of statements for each shape."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import fields
from functools import lru_cache
from typing import Any, Final

import orjson
from sqlalchemy import JSON, LargeBinary

from app.checkout.change import Change, Look, Sight
from app.checkout.looks import ORDER, ROWS, sight_of
from app.checkout.models import METADATA
from app.checkout.shapes import Part, Shape, shape_of, wish_of
from app.checkout.sqlite_file import SqliteFile, Write, moment_of
from app.frame.batches import BatchFailed
from app.frame.database import UtcTime
from app.frame.outbox import Outbox

_ASKED: Final = ORDER.format(asked="(SELECT :order_id AS order_id, :event_id AS event_id)")
_TABLES: Final = {"o": "orders", "p": "payments", "h": "holds", "c": "cars"}
_COLUMNS: Final = [
    METADATA.tables[_TABLES[alias]].c[column.name] for alias, row in ROWS for column in fields(row)
]
_MOMENTS: Final = [n for n, column in enumerate(_COLUMNS) if isinstance(column.type, UtcTime)]
_JSON: Final = [n for n, column in enumerate(_COLUMNS) if isinstance(column.type, JSON)]


class SqliteLines:
    """Checkout's way to the SQLite file at `path`; for `one_writer` see `SqliteFile`."""

    def __init__(
        self, path: str, one_writer: AbstractAsyncContextManager[Any], outbox: Outbox
    ) -> None:
        self._file = SqliteFile(path, one_writer)
        self._outbox = outbox

    async def look(self, look: Look) -> Sight | None:
        asked = {"order_id": look.order_id, "event_id": look.event_id}
        try:
            row = self._file.row(_ASKED, asked)
        except sqlite3.Error as error:
            raise BatchFailed(type(error).__name__) from error
        return None if row is None else sight_of(_read(row))

    async def write(self, change: Change[Any]) -> bool:
        statements, facts = statements_of(shape_of(change)), self._outbox.rows(change.facts)
        return await self._file.write(Write(statements, wish_of(change), facts))

    async def close(self) -> None:
        await self._file.close()


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


def _read(row: Sequence[Any]) -> list[Any]:
    values = list(row)
    for n in _MOMENTS:
        if values[n] is not None:
            values[n] = moment_of(values[n])
    for n in _JSON:
        if values[n] is not None:
            values[n] = orjson.loads(values[n])
    return values
