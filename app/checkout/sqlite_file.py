"""Checkout's SQLite file: one reader, and one writer with up to sixteen effects a commit.

Statements run where they are asked for, in some 10 microseconds each. Only the commit, which waits
for the disk, has a thread.

Each effect is a list of statements. The first one carries the guards and must change a row, else
nothing of that effect happens; one that breaks a rule of the tables fails alone.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from app.frame.data.batches import Batches
from app.frame.data.database import SQLITE_BUSY_SECONDS, Database
from app.frame.data.outages import sqlite_code
from app.frame.data.outbox import FactRow

SAY: Final = (
    "INSERT INTO outbox (event_id, type, time, data, context)"
    " VALUES (:event_id, :type, :time, :data, :context)"
)
BUSY_PAUSE_SECONDS: Final = 0.005
"""Between two tries to write while another process does."""


@dataclass(frozen=True, slots=True)
class Write:
    """An effect: its statements, the values that they name, and its facts."""

    statements: tuple[str, ...]
    values: Mapping[str, Any]
    facts: Sequence[FactRow]


class SqliteFile:
    """The file of `database`, behind whose `one_writer` it takes its turns.

    Waiting for that lock costs less than SQLite's own waiting, which sleeps.
    """

    def __init__(self, database: Database) -> None:
        self._path = database.path
        self._database = database
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkout-commit")
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._batches: Batches[Write, bool] = Batches(self._run)

    def row(self, query: str, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """One row by keys; raises `sqlite3.Error`."""
        try:
            if self._reader is None:
                self._reader = _connected(self._path)
            found: Sequence[Any] | None = self._reader.execute(query, values).fetchone()
        except sqlite3.Error:
            # A read that was broken off goes on seeing the database as it was then.
            broken, self._reader = self._reader, None
            if broken is not None:
                broken.close()
            raise
        return found

    async def write(self, write: Write) -> bool:
        """Whether it took place; raises `BatchFailed` when its batch failed as a whole."""
        return await self._batches.do(write)

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()

    async def _run(self, writes: Sequence[Write]) -> Sequence[bool]:
        async with self._database.one_writer:
            if self._writer is None:
                self._writer = _connected(self._path)
                self._writer.execute("PRAGMA busy_timeout=0")  # nobody else may wait for `_begin`
            connection = self._writer
            try:
                done = await _applied(connection, writes)
                await asyncio.get_running_loop().run_in_executor(self._thread, connection.commit)
            except BaseException as error:
                self._database.refused(error)
                # Whatever state it is in: a connection that kept the write lock would keep
                # everybody from writing. Closing alone does not let go while a traceback holds a
                # cursor.
                self._writer = None
                with suppress(sqlite3.Error):
                    connection.rollback()
                connection.close()
                raise
        return done


async def _begin(connection: sqlite3.Connection) -> None:
    """Take the write lock, from another process after its commit."""
    give_up_at = time.monotonic() + SQLITE_BUSY_SECONDS
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if sqlite_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            await asyncio.sleep(BUSY_PAUSE_SECONDS)
        else:
            return


async def _applied(connection: sqlite3.Connection, writes: Sequence[Write]) -> list[bool]:
    """Open a transaction and make the effects in it; whether each one happened.

    One that breaks a rule of the tables is left out, and the others are made anew.
    """
    broken: set[int] = set()
    while True:
        await _begin(connection)
        done: list[bool] = []
        try:
            for number, write in enumerate(writes):
                done.append(number not in broken and _apply(connection, write))
        except (sqlite3.IntegrityError, OverflowError):
            broken.add(len(done))
            connection.rollback()
        else:
            return done


def _apply(connection: sqlite3.Connection, write: Write) -> bool:
    """Make one effect; False when its guard does not hold, and then nothing is changed."""
    values = _stored(write.values)
    guarded, *rest = write.statements
    if connection.execute(guarded, values).rowcount != 1:
        return False
    for statement in rest:
        connection.execute(statement, values)
    connection.executemany(SAY, [_stored(fact) for fact in write.facts])
    return True


def _connected(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=SQLITE_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    # What `frame.data.database` sets: a confirmed order survives a crash of process or machine.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    # Overwrites what it deletes, which otherwise stays readable in the file's free pages.
    connection.execute("PRAGMA secure_delete=ON")
    return connection


def _stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as `frame.data.database` stores them: naive UTC text, JSON as text."""
    return {
        name: _STORED[type(value)](value) if type(value) in _STORED else value
        for name, value in values.items()
    }


_STORED: Final[Mapping[type, Callable[[Any], str]]] = {
    datetime: lambda moment: moment.astimezone(UTC).isoformat(" ", "microseconds")[:26],
    dict: lambda value: orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode(),
}


def moment_of(stored: str) -> datetime:
    """A stored moment as Python's."""
    return datetime.fromisoformat(stored).replace(tzinfo=UTC)
