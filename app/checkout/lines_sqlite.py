"""Looks and changes on SQLite: one query each, and a list of statements for each shape."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import JSON, LargeBinary

from app.checkout.change import Change
from app.checkout.looks import QUERIES, Look, Query, Seen, query_of
from app.checkout.models import ACTIVE_BY
from app.checkout.shapes import Part, Shape, shape_of, wish_of
from app.checkout.sqlite_file import SqliteFile, Write, moment_of
from app.frame.batches import BatchFailed
from app.frame.database import UtcTime
from app.frame.outbox import Outbox

Sight = TypeVar("Sight")


class _Reading:
    """A query's text, and which of its columns are stored otherwise than Python has them."""

    def __init__(self, query: Query[Any]) -> None:
        self.text = query.text(
            f"(SELECT {', '.join(f':{each} AS {each}' for each in query.asked)})"
        )
        types = [column.type for column in query.columns]
        self._moments = [n for n, each in enumerate(types) if isinstance(each, UtcTime)]
        self._json = [n for n, each in enumerate(types) if isinstance(each, JSON)]

    def values(self, row: Sequence[Any]) -> list[Any]:
        values = list(row)
        for n in self._moments:
            if values[n] is not None:
                values[n] = moment_of(values[n])
        for n in self._json:
            if values[n] is not None:
                values[n] = orjson.loads(values[n])
        return values


_READINGS: Final = {look: _Reading(query) for look, query in QUERIES.items()}


class SqliteLines:
    """Checkout's way to the SQLite file at `path`; for `one_writer` see `SqliteFile`."""

    def __init__(
        self, path: str, one_writer: AbstractAsyncContextManager[Any], outbox: Outbox
    ) -> None:
        self._file = SqliteFile(path, one_writer)
        self._outbox = outbox

    async def look(self, look: Look[Sight]) -> Seen[Sight]:
        query, reading = query_of(look), _READINGS[type(look)]
        asked = {name: getattr(look, name) for name in query.asked}
        try:
            row = self._file.row(reading.text, asked)
        except sqlite3.Error as error:
            raise BatchFailed(type(error).__name__) from error
        return query.seen(reading.values(row or ()))  # there always is one

    async def write(self, change: Change[Any]) -> bool:
        statements, facts = statements_of(shape_of(change)), self._outbox.rows(change.facts)
        return await self._file.write(Write(statements, wish_of(change), facts))

    async def close(self) -> None:
        await self._file.close()


@lru_cache(maxsize=256)
def statements_of(shape: Shape) -> tuple[str, ...]:
    """The guard, which moves the car or else takes the key, and a statement for each other row."""
    guards = "".join(f" AND {guard}" for guard in _guards(shape))
    if shape.car is None:
        first = next(part for part in shape.parts if part is shape.key)
        rest = [part for part in shape.parts if part is not first]
        return (_statement(first, guards), *(_statement(part) for part in rest))
    moved = "".join(f", {name} = :car_{name}" for name in shape.car)
    guard = (
        f"UPDATE cars SET version = version + 1{moved}"
        f" WHERE car_id = :car_id AND version = :seen_version{guards}"
    )
    return (guard, *(_statement(part) for part in shape.parts))


def _guards(shape: Shape) -> Iterator[str]:
    if shape.event is not None:
        yield (
            "NOT EXISTS (SELECT 1 FROM payment_events"
            f" WHERE event_id = :{shape.event.name}_event_id)"
        )
    if shape.key is not None and shape.key.by:
        yield (
            "EXISTS (SELECT 1 FROM idempotency"
            f" WHERE key = :{shape.key.name}_by AND status IS NULL)"
        )
    elif shape.key is not None:
        yield f"NOT EXISTS (SELECT 1 FROM idempotency WHERE key = :{shape.key.name}_key)"
    if shape.room:
        yield (
            "(:room_session = '' OR :room_of_session > (SELECT COUNT(*) FROM holds"
            f" WHERE {ACTIVE_BY['session_id']} AND session_id = :room_session))"
        )
        yield (
            ":room_of_address > (SELECT COUNT(*) FROM holds"
            f" WHERE {ACTIVE_BY['address_hash']} AND address_hash = :room_address)"
        )


def _statement(part: Part, guards: str = "") -> str:
    table, values = part.table.name, [(name, _value(part, name)) for name in part.columns]
    if part.by and not values:
        return f"DELETE FROM {table} WHERE {part.by} = :{part.name}_by"
    if part.by:
        sets = ", ".join(f"{name} = {value}" for name, value in values)
        return f"UPDATE {table} SET {sets} WHERE {part.by} = :{part.name}_by{guards}"
    names = ", ".join(part.columns)
    new = ", ".join(value for _, value in values)
    return f"INSERT INTO {table} ({names}) SELECT {new} WHERE true{guards}"


def _value(part: Part, name: str) -> str:
    value = f":{part.name}_{name}"
    return f"CAST({value} AS BLOB)" if isinstance(part.column(name).type, LargeBinary) else value
