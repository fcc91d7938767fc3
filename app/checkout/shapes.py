"""The shape of a change: which columns of which tables it writes. Statements are made per shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Column, Table

from app.checkout.change import Change, End, Put, Room, Set
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


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What a change guards itself with, and its parts in the order in which they are written.

    Changes of one shape share it: there are as many as rules make.

    `car` are the columns of the car that change beside its version; None when no car does.
    `event` and `key` are among the parts.
    """

    car: tuple[str, ...] | None
    event: Part | None
    key: Part | None
    room: bool
    parts: tuple[Part, ...]
    names: tuple[str, ...]
    """By which its statements know a wish's values, in the order of `told`."""


def told(change: Change[Any]) -> tuple[Shape, dict[str, Any]]:
    """A change's shape and its wish: its values by the names that the shape's statements use."""
    car: tuple[str, ...] | None = None
    values: list[Any] = []
    if change.car is not None:
        entry = change.sets.get((CARS.name, change.car.car_id))
        moved = {} if entry is None else entry.values
        car = tuple(moved)
        values += (change.car.car_id, change.car.version, *moved.values())
    if change.room is not None:
        values += change.room
    rows: list[tuple[Table, str, tuple[str, ...]]] = []
    for row in _rows(change):
        rows.append((row.table, row.by, tuple(row.values)))
        if row.by:
            values.append(row.key)
        values += row.values.values()
    event, key, room = change.event is not None, change.key is not None, change.room is not None
    shape = _shape(car, event, key, room, tuple(rows))
    return shape, dict(zip(shape.names, values, strict=True))


@cache
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
    names = [] if car is None else ["car_id", "seen_version", *(f"car_{name}" for name in car)]
    names += [f"room_{name}" for name in Room._fields] if room else []
    for part in parts:
        names += [f"{part.name}_by"] if part.by else []
        names += [f"{part.name}_{column}" for column in part.columns]
    return Shape(
        car,
        parts[0] if event else None,
        parts[int(event)] if key else None,
        room,
        parts,
        tuple(names),
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


def _rows(change: Change[Any]) -> list[Put | Set | End]:
    """What lets go of something comes before what takes it, what others refer to before them."""
    return [
        *(each for each in (change.event, change.key) if each is not None),
        *(row for row in change.sets.values() if row.table is not CARS),
        *change.puts,
        *change.ends,
    ]
