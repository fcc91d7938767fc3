"""Looks and changes on SQLite: one query each, and a list of statements for each shape."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import JSON

from app.checkout.change import Change
from app.checkout.looks import QUERIES, Look, Query, Reading, Seen
from app.checkout.models import ACTIVE_BY
from app.checkout.shapes import Part, Shape, told, untaken
from app.checkout.sqlite_file import SqliteFile, Write, moment_of
from app.frame.data.batches import BatchFailed
from app.frame.data.database import Database, UtcTime
from app.frame.data.outbox import Outbox

Sight = TypeVar("Sight")


def _reading(query: Query[Sight]) -> Reading[Sight]:
    asked = ", ".join(f":{each} AS {each}" for each in query.asked)
    return Reading(query, query.text(f"(SELECT {asked})"), {UtcTime: moment_of, JSON: orjson.loads})


_READINGS: Final = {look: _reading(query) for look, query in QUERIES.items()}


class SqliteLines:
    """Checkout's way to its SQLite file."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._file = SqliteFile(database)
        self._outbox = outbox

    async def look(self, look: Look[Sight]) -> Seen[Sight]:
        reading = _READINGS[type(look)]
        asked = {name: getattr(look, name) for name in reading.asked}
        try:
            row = self._file.row(reading.text, asked)
        except sqlite3.Error as error:
            raise BatchFailed(type(error).__name__) from error
        return reading.seen(row or ())  # there always is one

    async def write(self, change: Change[Any]) -> bool:
        shape, wish = told(change)
        facts = self._outbox.rows(change.facts)
        return await self._file.write(Write(statements_of(shape), wish, facts))

    async def close(self) -> None:
        await self._file.close()


@cache
def statements_of(shape: Shape) -> tuple[str, ...]:
    """The guard, which moves the car or else takes the key, and a statement for each other row."""
    guards = "".join(f" AND {guard}" for guard in _guards(shape))
    if shape.car is None:
        first, *rest = shape.parts  # its key
        return (_statement(first, guards), *(_statement(part) for part in rest))
    moved = "".join(f", {name} = :car_{name}" for name in shape.car)
    guard = (
        f"UPDATE cars SET version = version + 1{moved}"
        f" WHERE car_id = :car_id AND version = :seen_version{guards}"
    )
    return (guard, *(_statement(part) for part in shape.parts))


def _guards(shape: Shape) -> Iterator[str]:
    yield from untaken(shape, ":")
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
    table, values = part.table.name, [(name, f":{part.name}_{name}") for name in part.columns]
    if part.by and not values:
        return f"DELETE FROM {table} WHERE {part.by} = :{part.name}_by"
    if part.by:
        sets = ", ".join(f"{name} = {value}" for name, value in values)
        return f"UPDATE {table} SET {sets} WHERE {part.by} = :{part.name}_by{guards}"
    names = ", ".join(part.columns)
    new = ", ".join(value for _, value in values)
    return f"INSERT INTO {table} ({names}) SELECT {new} WHERE true{guards}"
