"""A service's own database: PostgreSQL in production, one SQLite file in embedded mode.

One use case is one transaction. `transaction()` writes, `read()` only reads. A database that
is away, full or read-only becomes `DatabaseUnavailable` (503 with `retry_after_seconds`), whatever
the driver raised; see decision 0068.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import orjson
from sqlalchemy import DateTime, Dialect, MetaData, event, inspect, text
from sqlalchemy.engine import URL, Connection, ExceptionContext, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.types import TypeDecorator

from app.frame.data.outages import (
    is_for_good,
    means_away,
    means_unstorable,
    sqlite_code,
    why_nothing_is_taken,
)
from app.frame.data.patience import waiting
from app.frame.settings import CONNECTIONS, Pooler
from app.kernel.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from telemetry.bootstrap import Telemetry

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Constraint names, so that migrations can refer to them on both databases."""

SQLITE_BUSY_SECONDS: Final = 5
POOL_SECONDS: Final = 20
"""How long work that is nobody's request waits for a connection; a request has its patience."""

LEAVING_NOTHING: Final[Mapping[str, Any]] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",
}
"""For a connection that is another one after each commit: every statement is sent anew, without a
name (PostgreSQL's "Extended Query": a named one would outlive its transaction)."""

GOODBYE_SECONDS: Final = 0.5

CHECK_SECONDS: Final = 2.0
"""How long whoever asks whether the database answers waits for it."""

PROBE_SECONDS: Final = 3.0
"""However many ask whether it takes what is written, it is tried so often."""

_BESIDE: Final = ("-wal", "-shm")

_PROBES: Final[Mapping[str, str]] = {
    # A row that every service has; a migration under way must not keep anybody waiting.
    "postgresql": "UPDATE alembic_version SET version_num = version_num WHERE ctid ="
    " (SELECT ctid FROM alembic_version LIMIT 1 FOR UPDATE SKIP LOCKED)",
    # A value that stays the same is written to no table of SQLite's, but to its header.
    "sqlite": "PRAGMA user_version = 1",
}


class DatabaseUnavailable(Unavailable):
    """The service's database does not answer; nothing was changed."""


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """One that is left without ceremony: its server may be frozen, and a request waits."""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's
        await super().close(timeout=min(timeout or GOODBYE_SECONDS, GOODBYE_SECONDS))


def new_metadata() -> MetaData:
    return MetaData(naming_convention=NAMING)


class UtcTime(TypeDecorator[datetime]):
    """A UTC moment: `timestamptz` on PostgreSQL, naive UTC text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _dumps(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


class Database:
    """Connections to one database. `dialect` is `sqlite` or `postgresql`.

    `most_bytes` is what it may take in PostgreSQL; 0 when nobody said.
    """

    def __init__(
        self,
        url: str,
        *,
        telemetry: Telemetry | None = None,
        pool_size: int = CONNECTIONS,
        pooler: Pooler = "",
        most_bytes: int = 0,
    ) -> None:
        parsed = make_url(url)
        self.dialect = parsed.get_backend_name()
        self.pooler = pooler
        self._most_bytes = most_bytes
        self.engine = self._engine(url, pool_size)
        self._writing = self.engine.execution_options(vitrine_write=True)
        self.url = url
        self.path = str(parsed.database)
        self.one_writer: AbstractAsyncContextManager[Any] = (
            asyncio.Lock() if self.dialect == "sqlite" else nullcontext()
        )
        """Behind it the writers of this process take turns; SQLite itself only knows to sleep."""
        self.before_close: list[Callable[[], Awaitable[None]]] = []
        """What is still written when the service stops."""
        self._probing = asyncio.Lock()
        self._probe_at = 0.0
        self._refusal = ""
        self.file = _file_of(parsed) if self.dialect == "sqlite" else None
        """SQLite's; None where there is none."""
        self.expects_tables = False
        """Whether a connection to an empty database is one to the wrong place."""
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        if telemetry is not None:
            telemetry.instrument_engine(self.engine.sync_engine)

    def _engine(self, url: str, pool_size: int) -> AsyncEngine:
        if self.dialect == "sqlite":
            engine = create_async_engine(
                url,
                hide_parameters=True,
                json_serializer=_dumps,
                json_deserializer=orjson.loads,
                connect_args={"timeout": SQLITE_BUSY_SECONDS},
                pool_size=pool_size,
                max_overflow=0,
                pool_timeout=POOL_SECONDS,
            )
            event.listen(engine.sync_engine, "connect", self._prepare_sqlite)
            event.listen(engine.sync_engine, "begin", _begin_sqlite)
            event.listen(engine.sync_engine, "handle_error", _leave_what_is_unfit)
            return engine
        engine = create_async_engine(
            url,
            hide_parameters=True,
            json_serializer=_dumps,
            json_deserializer=orjson.loads,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_SECONDS,
            pool_pre_ping=True,
            connect_args={
                "timeout": 5,
                "command_timeout": 10,
                "connection_class": _Connection,
                **(LEAVING_NOTHING if self.pooler else {}),
            },
        )
        event.listen(engine.sync_engine, "handle_error", _leave_what_is_unfit)
        return engine

    def _prepare_sqlite(self, connection: Any, _record: Any) -> None:
        """WAL with a synchronous log: a confirmed order survives a crash of process or machine."""
        connection.isolation_level = None  # SQLAlchemy's begin event opens transactions
        cursor = connection.cursor()
        cursor.execute("PRAGMA schema_version")
        if self.expects_tables and cursor.fetchone() == (0,):
            connection.close()
            raise DatabaseUnavailable(f"{self.path} is empty: somebody took it away.")
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            _insist(cursor, f"PRAGMA {pragma}")
        cursor.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction: commits when the block ends, rolls back when it raises."""
        try:
            with _unavailable_when_away():
                async with waiting(), self.one_writer, self._writing.begin() as connection:
                    yield connection
        except DatabaseUnavailable as error:
            self.refused(error.__cause__)
            raise

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A read-only snapshot."""
        with _unavailable_when_away():
            async with waiting(), self.engine.connect() as connection:
                yield connection

    async def check(self) -> None:
        """Raise `DatabaseUnavailable` unless it answers a query and takes what is written.

        However many ask, it is written to once in `PROBE_SECONDS`. A write of somebody else's
        that it refused counts as well: a full disk may still have room for one row.
        """
        with _unavailable_when_away():
            async with asyncio.timeout(CHECK_SECONDS):
                async with self.read() as connection:
                    await connection.execute(text("SELECT 1"))
                async with self._probing:
                    if time.monotonic() >= self._probe_at:
                        await self._probe()
        if self._refusal:
            raise DatabaseUnavailable(f"The database takes nothing: {self._refusal}.")

    async def _probe(self) -> None:
        self._refusal = ""
        self._probe_at = time.monotonic() + PROBE_SECONDS
        with suppress(DatabaseUnavailable):  # `refused` has noted why
            async with self.transaction() as transaction:
                await transaction.execute(text(_PROBES[self.dialect]))

    def refused(self, error: BaseException | None) -> None:
        """Note a write that failed, if that was because the database is full or read-only."""
        why = why_nothing_is_taken(error)
        if why:
            self._refusal = why
            self._probe_at = time.monotonic() + PROBE_SECONDS

    async def tables(self) -> set[str]:
        """The names of the tables that exist; empty before the first migration."""
        async with self.read() as connection:
            return await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))

    async def extent(self) -> tuple[int, int | None]:
        """Bytes that it takes, and by how many it may grow: None where nobody said."""
        if self.file is not None:
            beside = (self.file, *(self.file.with_name(self.file.name + end) for end in _BESIDE))
            taken = sum(each.stat().st_size for each in beside if each.exists())
            return taken, shutil.disk_usage(self.file.parent).free
        if self.dialect == "sqlite":
            return 0, None
        async with self.read() as connection:
            taken = await connection.scalar(text("SELECT pg_database_size(current_database())"))
        return taken, self._most_bytes - taken if self._most_bytes else None

    async def close(self) -> None:
        for write in self.before_close:
            await write()
        await self.engine.dispose()


class _unavailable_when_away:  # noqa: N801 - reads as a statement where it is used
    """Turn a driver's "the database is away" into `DatabaseUnavailable`.

    A value that no column can hold (a NUL character, a number of 20 digits) is the caller's
    mistake: `InvalidInput`, on both databases.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if error is None:
            return
        if means_unstorable(error):
            raise InvalidInput("The request has a value that cannot be stored.") from error
        if not means_away(error):
            return
        raise DatabaseUnavailable(
            "The database does not answer at the moment; nothing was changed. Try again shortly."
        ) from error


def _leave_what_is_unfit(context: ExceptionContext) -> None:
    """Drop connections that would go on refusing.

    All of PostgreSQL's, since the address leads to another server by now. One of SQLite's is rolled
    back first: closed at once, it would keep its lock while a traceback holds a cursor.
    """
    if not is_for_good(context.original_exception):
        return
    if context.dialect.name != "sqlite":
        context.is_disconnect = True
    elif context.connection is not None:
        context.connection.connection.invalidate(soft=True)


def _file_of(url: URL) -> Path | None:
    if url.database in (None, "", ":memory:") or str(url.database).startswith("file:"):
        return None
    return Path(str(url.database))


def _insist(cursor: Any, statement: str) -> None:
    """Changing to WAL does not wait for other processes that start on a new file: do it here."""
    give_up_at = time.monotonic() + SQLITE_BUSY_SECONDS
    while True:
        try:
            cursor.execute(statement)
        except Exception as error:
            if sqlite_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("vitrine_write", False)
    # IMMEDIATE takes the write lock at once: a deferred transaction that upgrades can deadlock.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def damaged(path: Path) -> str | None:
    """One sentence when `path` is not a usable SQLite file, else None."""
    if not path.exists() or path.stat().st_size == 0:
        return None  # whether it may be empty, `frame.made` knows
    try:
        with sqlite3.connect(path) as connection:
            row = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        return (
            f"{path} cannot be opened at the moment ({error}); the file itself may be whole: look"
            f" at the permissions and the space of {path.parent}, and at who else uses it."
        )
    except sqlite3.DatabaseError as error:
        return f"{path} is not a usable SQLite database ({error}); restore it or move it away."
    return None if row == ("ok",) else f"{path} is damaged ({row[0]}); restore it or move it away."
