"""The shape of a change: which columns of which tables it writes. Statements are made per shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table

from app.checkout.change import Change, Put, Set
from app.checkout.models import CARS


@dataclass(frozen=True, slots=True)
class Part:
    """One row that is written: inserted, or updated by its primary key `by`."""

    name: str
    table: Table
    columns: tuple[str, ...]
    by: str = ""

    def column(self, name: str) -> Column[Any]:
        return self.table.c[name]


@dataclass(frozen=True, slots=True)
class Shape:
    """`car` are the columns of the car that change beside its version."""

    car: tuple[str, ...]
    event: bool
    parts: tuple[Part, ...]


def shape_of(change: Change[Any]) -> Shape:
    return Shape(
        tuple(_values_of_car(change)),
        change.event is not None,
        tuple(part for part, _, _ in _parts(change)),
    )


def wish_of(change: Change[Any]) -> dict[str, Any]:
    """The values of a change, by the names that its statements use."""
    wish = {"car_id": change.car.car_id, "seen_version": change.car.version}
    wish |= {f"car_{name}": value for name, value in _values_of_car(change).items()}
    for part, key, values in _parts(change):
        if part.by:
            wish[f"{part.name}_by"] = key
        wish |= {f"{part.name}_{name}": value for name, value in values.items()}
    return wish


def _values_of_car(change: Change[Any]) -> dict[str, Any]:
    entry = change.sets.get((CARS.name, change.car.car_id))
    return {} if entry is None else dict(sorted(entry.values.items()))


def _parts(change: Change[Any]) -> Iterator[tuple[Part, str, dict[str, Any]]]:
    """Each row with its part, its key and its values; what others refer to comes first."""
    puts = ([change.event] if change.event else []) + change.puts
    rows: list[Put | Set] = [*puts]
    rows += [row for row in change.sets.values() if row.table is not CARS]
    for number, row in enumerate(rows):
        values = dict(sorted(row.values.items()))
        name = f"r{number}"
        if isinstance(row, Set):
            by = row.table.primary_key.columns[0].name
            yield Part(name, row.table, tuple(values), by), row.key, values
        else:
            yield Part(name, row.table, tuple(values)), "", values
