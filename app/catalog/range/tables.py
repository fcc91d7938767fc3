"""Typed reading of the range's TOML files; every fault names file, entry and field."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any


class RangeError(ValueError):
    """The shipped data is wrong: the sentence names the file, the entry and the field."""


@dataclass(slots=True)
class Table:
    """One TOML table while it is being read.

    `file` and `entry` only serve messages. `finish()` refuses keys that nobody asked for, because a
    misspelt optional key would otherwise be ignored in silence.
    """

    file: str
    entry: str
    values: Mapping[str, Any]
    _seen: set[str] = field(default_factory=set)

    def wrong(self, name: str, problem: str) -> RangeError:
        """The error to raise for field `name`."""
        return RangeError(f"{self.file}: {self.entry}: {name}: {problem}")

    def has(self, name: str) -> bool:
        """Whether the optional field `name` is present."""
        return name in self.values

    def _get(self, name: str) -> Any:
        self._seen.add(name)
        if name not in self.values:
            raise self.wrong(name, "is missing")
        return self.values[name]

    def text(self, name: str, among: Collection[str] = ()) -> str:
        """A non-empty string, one of `among` when given."""
        value = self._get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(name, f"must be a text, not {value!r}")
        if among and value not in among:
            raise self.wrong(name, f"must be one of {', '.join(sorted(among))}, not {value!r}")
        return value

    def integer(self, name: str, least: int, most: int) -> int:
        """A whole number in [least, most]."""
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.wrong(name, f"must be a whole number from {least} to {most}, not {value!r}")
        return value

    def number(self, name: str, least: float, most: float) -> float:
        """A number in [least, most]."""
        value = self._get(name)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise self.wrong(name, f"must be a number, not {value!r}")
        if not least <= value <= most:
            raise self.wrong(name, f"must be from {least:g} to {most:g}, not {value!r}")
        return float(value)

    def flag(self, name: str) -> bool:
        """`true` or `false`."""
        value = self._get(name)
        if not isinstance(value, bool):
            raise self.wrong(name, f"must be true or false, not {value!r}")
        return value

    def day(self, name: str) -> date:
        """A calendar day."""
        value = self._get(name)
        if not isinstance(value, date):
            raise self.wrong(name, f"must be a date, not {value!r}")
        return value

    def days(self, name: str) -> tuple[date, ...]:
        """A list of calendar days."""
        value = self._get(name)
        if not isinstance(value, list) or not all(type(item) is date for item in value):
            raise self.wrong(name, f"must be a list of dates like [2026-12-23], not {value!r}")
        return tuple(value)

    def texts(self, name: str, among: Collection[str] = ()) -> tuple[str, ...]:
        """A list of different strings, each one of `among` when given."""
        value = self._get(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(name, f"must be a list of texts, not {value!r}")
        unknown = [item for item in value if among and item not in among]
        if unknown:
            raise self.wrong(name, f"names {unknown[0]!r}, which does not exist")
        if len(set(value)) != len(value):
            raise self.wrong(name, "names something twice")
        return tuple(value)

    def table(self, name: str) -> Table:
        """A nested table."""
        value = self._get(name)
        if not isinstance(value, dict):
            raise self.wrong(name, f"must be a table, not {value!r}")
        return Table(self.file, f"{self.entry}: {name}", value)

    def tables(self, name: str) -> tuple[Table, ...]:
        """An array of tables; each is called by its `code` or `dealer_id` in messages."""
        value = self._get(name)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(name, "must be a list of tables")
        return tuple(
            Table(
                self.file,
                f"{name} {item.get('code', item.get('dealer_id', f'number {position}'))}",
                item,
            )
            for position, item in enumerate(value, start=1)
        )

    def finish(self) -> None:
        """Refuse fields that nothing reads."""
        extra = sorted(set(self.values) - self._seen)
        if extra:
            raise self.wrong(extra[0], "is not a field of this table")


def read_table(path: Path) -> Table:
    """Read one TOML file; damage or absence is a `RangeError` naming the file."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RangeError(f"{path.name}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RangeError(f"{path.name}: is not valid TOML: {error}") from error
    return Table(path.name, str(values.get("model_id", "file")), values)
