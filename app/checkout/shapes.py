"""The shape of a change: which columns of which tables it writes. Statements are made per shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Table

from app.checkout.change import Change, End, Put, Set
from app.checkout.models import CARS


@dataclass(frozen=True, slots=True)
class Part:
    """One row that is inserted, or those that are updated or deleted by their column `by`."""

    name: str
    table: Table
    columns: tuple[str, ...]
    by: str = ""

    def column(self, name: str) -> Column[Any]:
        return self.table.c[name]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a change guards itself with, and its parts in the order in which they are written.

    `car` are the columns of the car that change beside its version; None when no car does.
    `event` and `key` are among the parts.
    """

    car: tuple[str, ...] | None
    event: Part | None
    key: Part | None
    room: bool
    parts: tuple[Part, ...]
    names: tuple[tuple[str, ...], ...]
    """Of the values of each part, in a wish."""


def shape_of(change: Change[Any]) -> Shape:
    return _shape(
        None if change.car is None else tuple(_of_car(change)),
        change.event is not None,
        change.key is not None,
        change.room is not None,
        tuple((row.table, row.by, tuple(row.values)) for row in _rows(change)),
    )


@lru_cache(maxsize=1024)
def _shape(
    car: tuple[str, ...] | None,
    event: bool,
    key: bool,
    room: bool,
    rows: tuple[tuple[Table, str, tuple[str, ...]], ...],
) -> Shape:
    parts = tuple(
        Part(f"r{number}", table, columns, by) for number, (table, by, columns) in enumerate(rows)
    )
    return Shape(
        car,
        parts[0] if event else None,
        parts[int(event)] if key else None,
        room,
        parts,
        tuple(tuple(f"{part.name}_{column}" for column in part.columns) for part in parts),
    )


def untaken(shape: Shape, value: str) -> Iterator[str]:
    """What must not be taken, as conditions of both dialects; `value` stands before a wish's name.

    A key whose request never finished must still be without an answer.
    """
    if shape.event is not None:
        wanted = f"{value}{shape.event.name}_event_id"
        yield f"NOT EXISTS (SELECT 1 FROM payment_events e WHERE e.event_id = {wanted})"
    if shape.key is not None and shape.key.by:
        wanted = f"{value}{shape.key.name}_by"
        yield f"EXISTS (SELECT 1 FROM idempotency k WHERE k.key = {wanted} AND k.status IS NULL)"
    elif shape.key is not None:
        wanted = f"{value}{shape.key.name}_key"
        yield f"NOT EXISTS (SELECT 1 FROM idempotency k WHERE k.key = {wanted})"


def wish_of(change: Change[Any], shape: Shape) -> dict[str, Any]:
    """The values of a change of this shape, by the names that its statements use."""
    wish: dict[str, Any] = {}
    if change.car is not None:
        wish = {"car_id": change.car.car_id, "seen_version": change.car.version}
        wish |= {f"car_{name}": value for name, value in _of_car(change).items()}
    if change.room is not None:
        wish["room_session"] = change.room.session_id
        wish["room_address"] = change.room.address_hash
        wish["room_of_session"] = change.room.most_of_session
        wish["room_of_address"] = change.room.most_of_address
    for part, names, row in zip(shape.parts, shape.names, _rows(change), strict=True):
        if part.by:
            wish[f"{part.name}_by"] = row.key
        wish.update(zip(names, map(_text, row.values.values()), strict=True))
    return wish


def _text(value: Any) -> Any:
    """All bytes that we store are those of texts, and travel as such."""
    return value.decode() if isinstance(value, bytes) else value


def _of_car(change: Change[Any]) -> Mapping[str, Any]:
    entry = None if change.car is None else change.sets.get((CARS.name, change.car.car_id))
    return {} if entry is None else entry.values


def _rows(change: Change[Any]) -> list[Put | Set | End]:
    """What lets go of something comes before what takes it, what others refer to before them."""
    rows: list[Put | Set | End] = [each for each in (change.event, change.key) if each]
    rows += [row for row in change.sets.values() if row.table is not CARS]
    rows += change.puts
    rows += change.ends
    return rows
