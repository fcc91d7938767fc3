"""A service's own database: PostgreSQL in production, one SQLite file in embedded mode.

One use case is one transaction. `transaction()` writes, `read()` only reads. A database that
is gone becomes `DatabaseUnavailable` (503 with `retry_after_seconds`), whatever the driver raised.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from sqlalchemy import DateTime, Dialect, MetaData, event, inspect, text
from sqlalchemy.engine import Connection, ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.types import TypeDecorator

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
"""How long a request waits for a connection before it is answered with 503.

Five hundred shoppers who reach for one car at once wait in turn and each get an answer; how many
may wait at all is the load shedder's to say.
"""

LEAVING_NOTHING: Final[Mapping[str, Any]] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",
}
"""For a connection that is another one after each commit: every statement is sent anew, without a
name (PostgreSQL's "Extended Query": a named one would outlive its transaction)."""

READ_ONLY: Final = "25006"
_GONE: Final = (
    "08",  # the connection broke, or none was made
    "28",  # the role or its password is being changed
    "53",  # out of connections, memory or disk
    "57",  # shut down, restarted, cancelled
    "58",  # the machine under it failed: input and output
    "25P03",  # the transaction stood still for too long
    READ_ONLY,  # a primary that became a standby
    "40001",  # lost to a concurrent transaction
    "40P01",  # the same, by deadlock
    "55P03",  # waited too long for a lock
)
"""SQLSTATE classes and codes after which the same request may well succeed."""

_SQLITE_GONE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)


class DatabaseUnavailable(Unavailable):
    """The service's database does not answer; nothing was changed."""


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
    """Connections to one database. `dialect` is `sqlite` or `postgresql`."""

    def __init__(
        self,
        url: str,
        *,
        telemetry: Telemetry | None = None,
        pool_size: int = CONNECTIONS,
        pooler: Pooler = "",
    ) -> None:
        parsed = make_url(url)
        self.dialect = parsed.get_backend_name()
        self.pooler = pooler
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
        if self.dialect == "sqlite" and parsed.database not in (None, "", ":memory:"):
            Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
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
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(engine.sync_engine, "begin", _begin_sqlite)
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
                **(LEAVING_NOTHING if self.pooler else {}),
            },
        )
        event.listen(engine.sync_engine, "handle_error", _leave_a_standby)
        return engine

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction: commits when the block ends, rolls back when it raises."""
        async with self.one_writer:
            with _unavailable_when_gone():
                async with self._writing.begin() as connection:
                    yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A read-only snapshot."""
        with _unavailable_when_gone():
            async with self.engine.connect() as connection:
                yield connection

    async def check(self) -> None:
        """Raise `DatabaseUnavailable` unless the database answers a query."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def tables(self) -> set[str]:
        """The names of the tables that exist; empty before the first migration."""
        async with self.read() as connection:
            return await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))

    async def close(self) -> None:
        for write in self.before_close:
            await write()
        await self.engine.dispose()


class _unavailable_when_gone:  # noqa: N801 - reads as a statement where it is used
    """Turn a driver's "the database is gone" into `DatabaseUnavailable`.

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
        if _means_unstorable(error):
            raise InvalidInput("The request has a value that cannot be stored.") from error
        if not _means_gone(error):
            return
        raise DatabaseUnavailable(
            "The database does not answer at the moment; nothing was changed. Try again shortly."
        ) from error


def _means_gone(error: BaseException) -> bool:
    if isinstance(error, OSError | PoolTimeout | InterfaceError):
        return True
    if isinstance(error, OperationalError):
        code = getattr(error.orig, "sqlite_errorcode", None)
        # A missing table is a defect of ours, not a database that is gone.
        return code is None or code & 0xFF in _SQLITE_GONE
    if not isinstance(error, DBAPIError):
        return False
    # asyncpg reports a server that shuts down or restarts through its own classes.
    return error.connection_invalidated or _sqlstate(error).startswith(_GONE)


def _means_unstorable(error: BaseException) -> bool:
    if isinstance(error, OverflowError):  # SQLite's driver, for integers over 64 bits
        return True
    return isinstance(error, DBAPIError) and _sqlstate(error).startswith("22")


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _leave_a_standby(context: ExceptionContext) -> None:
    """After a failover the address leads to another server: connections to this one are dropped."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """WAL with a synchronous log: a confirmed order survives a crash of process or machine."""
    connection.isolation_level = None  # SQLAlchemy's begin event opens transactions, not pysqlite
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        _insist(cursor, f"PRAGMA {pragma}")
    cursor.close()


def _insist(cursor: Any, statement: str) -> None:
    """Changing to WAL does not wait for other processes that start on a new file: do it here."""
    give_up_at = time.monotonic() + SQLITE_BUSY_SECONDS
    while True:
        try:
            cursor.execute(statement)
        except Exception as error:
            busy = getattr(error, "sqlite_errorcode", None) or getattr(
                getattr(error, "orig", None), "sqlite_errorcode", None
            )
            if busy != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
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
    if not path.exists():
        return None
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
