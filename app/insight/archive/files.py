"""The archive's files: one Parquet file per day and kind, whole or not there at all.

A day is the UTC day of booking, because that is when the ledger learned it: once a later day has
begun nothing can be added to it, however late a fact was. What an entry loses later stands in
`ended` of the day on which it did, so no file of a day that is over ever changes.

DuckDB writes and reads them; docs/ledger.md tells what each column holds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic import TypeAdapter

from app.insight.archive.errors import CannotExport, CannotImport
from app.insight.ledger.accounts import Segment

if TYPE_CHECKING:
    import duckdb

_TEXT, _MOMENT, _NUMBER = "VARCHAR", "TIMESTAMPTZ", "BIGINT"

KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "events": {
        "number": _NUMBER,
        "event_id": _TEXT,
        "source": _TEXT,
        "type": _TEXT,
        "happened_at": _MOMENT,
        "booked_at": _MOMENT,
        "session_id": _TEXT,
        "wire": _TEXT,
    },
    "entries": {
        "subject": _TEXT,
        "measure": _TEXT,
        "label": _TEXT,
        **dict.fromkeys(Segment._fields, _TEXT),
        "channel_group": _TEXT,
        "campaign": _TEXT,
        "counted_at": _MOMENT,
        "happened_at": _MOMENT,
        "amount": _NUMBER,
        "booked_at": _MOMENT,
        "reason": _TEXT,
    },
    "ended": {
        "subject": _TEXT,
        "measure": _TEXT,
        "booked_at": _MOMENT,
        "until": _MOMENT,
        "ended_by": _TEXT,
    },
}
"""Columns of each kind, in DuckDB's types; moments are UTC to the microsecond."""

VERSION: Final = 1
INDEX: Final = "archive.json"
ROW_GROUP: Final = 20_480
"""Rows that a writer keeps in memory: of events about 20 MB."""
MEMORY: Final = "512MB"
AT_A_TIME: Final = 2_000


@dataclass(frozen=True, slots=True)
class Index:
    """What an archive holds: everything that its ledger booked until `booked_until`.

    `last_event` is the last event until then, and `last_at` when it happened: a ledger without it
    is another one. `lacks` says what had left the ledger before it was archived, in a sentence, and
    `other_rules` whether a version with other rules has booked there.
    """

    booked_until: datetime
    last_event: str
    last_at: datetime
    days: tuple[date, ...]
    lacks: str = ""
    other_rules: bool = False


_INDEX: Final = TypeAdapter(Index)


def read_index(folder: Path) -> Index | None:
    """None where there is no archive. Raises `CannotImport` for one that cannot be understood."""
    path = folder / INDEX
    if not path.exists():
        return None
    try:
        content = orjson.loads(path.read_bytes())
        version = content.pop("version")
        if version != VERSION:
            raise CannotImport(f"{path} is of version {version}; this version reads {VERSION}.")
        return _INDEX.validate_python(content)
    except (ValueError, KeyError, AttributeError) as error:
        why = str(error).splitlines()[0]
        raise CannotImport(f"{path} is damaged ({why}): restore or remove it.") from None


def write_index(folder: Path, index: Index) -> None:
    content = {"version": VERSION, **_INDEX.dump_python(index, mode="json")}
    part = folder / f"{INDEX}.part"
    part.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    _settle(part, folder / INDEX)


def path_of(folder: Path, kind: str, day: date) -> Path:
    return folder / kind / f"{day.isoformat()}.parquet"


class Desk:
    """Rows of one run on their way into files: they wait on disk, not in memory."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        for kind, columns in KINDS.items():
            listed = ", ".join(f"{name} {type_of}" for name, type_of in columns.items())
            self._ask(f"CREATE TABLE {kind} ({listed})")

    def lay(self, kind: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._connection.appender(kind) as appender:
            appender.append_rows(rows)

    def file(self, kind: str, day: date, condition: str = "true") -> int:
        """Write the day's file of the waiting rows for which it holds; returns how many."""
        path = path_of(self._folder, kind, day)
        part = path.with_suffix(".parquet.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        written = self._ask(
            f"COPY (SELECT * FROM {kind} WHERE {condition}) TO '{_quoted(part)}'"  # noqa: S608 - our own names
            f" (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
        )
        _settle(part, path)
        self._ask(f"DELETE FROM {kind} WHERE {condition}")  # noqa: S608 - as above
        return int(written[0][0])

    def first_end(self) -> datetime | None:
        """When the first entry ended of those that wait."""
        ((first,),) = self._ask("SELECT min(until) FROM ended")
        return first if first is None else first.astimezone(UTC)

    def _ask(self, statement: str) -> list[Any]:
        """A statement's whole answer: DuckDB takes no other one before."""
        return self._connection.execute(statement).fetchall()


@contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    """A desk whose files go into `folder`. Raises `CannotExport` where it cannot be written."""
    with _sentence(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".part-", dir=folder) as waiting:
            connection = _connect(str(Path(waiting) / "rows.duckdb"))
            try:
                yield Desk(connection, folder)
            finally:
                connection.close()


@contextmanager
def _sentence(folder: Path) -> Iterator[None]:
    """Say what is wrong with the folder: the database is not what failed."""
    import duckdb

    try:
        yield
    except OSError as error:
        raise CannotExport(f"{folder} cannot be written ({error.strerror or error}).") from None
    except duckdb.Error as error:
        why = str(error).splitlines()[0]
        raise CannotExport(f"{folder} cannot be written ({why}).") from None


def events_in(folder: Path, index: Index) -> Iterator[Sequence[Any]]:
    """The rows of `events`, in the order of their booking.

    Raises `CannotImport` when a file is missing or is none.
    """
    import duckdb

    connection = _connect(":memory:")
    try:
        for day in index.days:
            path = path_of(folder, "events", day)
            names = ", ".join(KINDS["events"])
            try:
                found = connection.execute(
                    f"SELECT {names} FROM read_parquet('{_quoted(path)}') ORDER BY number"  # noqa: S608 - as above
                )
                while rows := found.fetchmany(AT_A_TIME):
                    yield from rows
            except duckdb.Error as error:
                why = str(error).splitlines()[0]
                raise CannotImport(f"{path} cannot be read ({why}).") from None
    finally:
        connection.close()


def _connect(database: str) -> duckdb.DuckDBPyConnection:
    import duckdb  # a library of 70 MB, which no service that only serves has in memory

    offline = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    connection = duckdb.connect(database, config={"threads": 1, "memory_limit": MEMORY, **offline})
    connection.execute("SET TimeZone = 'UTC'").fetchall()
    return connection


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _settle(part: Path, path: Path) -> None:
    """Have a file on disk under its name, whole."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
