"""What drivers say when a database is away, full, read-only or damaged: the one place that knows.

See decision 0068.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

READ_ONLY: Final = "25006"
FULL: Final = "53100"
AWAY: Final = (
    "08",  # the connection broke, or none was made
    "28",  # the role or its password is being changed
    "3D",  # no such database: one is being put in its place
    "53",  # out of connections, memory or disk
    "57",  # shut down, restarted, cancelled
    "58",  # the machine under it failed: input and output
    "25P03",  # the transaction stood still for too long
    "25P04",  # or went on for too long
    READ_ONLY,  # a primary that became a standby
    "XX001",  # damaged on disk
    "XX002",  # or its index
)
"""SQLSTATE classes and codes that say: not now, whatever is asked."""

_OVERTAKEN: Final = (
    "40001",  # lost to a concurrent transaction
    "40P01",  # the same, by deadlock
    "55P03",  # waited too long for a lock
)
"""After these the same request may well succeed."""

_SQLITE_UNFIT: Final = frozenset(
    {
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOTADB,
    }
)
"""What a connection may say for ever after, although the file is well again."""

_SQLITE_AWAY: Final = _SQLITE_UNFIT | {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
}


def sqlstate(error: BaseException | None) -> str:
    """What PostgreSQL said, through whichever driver; empty when it was not PostgreSQL."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""


def sqlite_code(error: BaseException | None) -> int | None:
    """What SQLite said, without its details."""
    code: int | None = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def means_away(error: BaseException) -> bool:
    """Whether the same request may succeed when the database is itself again."""
    if isinstance(error, OSError | PoolTimeout | InterfaceError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    code = sqlite_code(error)
    if code is not None:
        # A missing table is a defect of ours, not a database that is away.
        return code in _SQLITE_AWAY
    if isinstance(error, OperationalError) or error.connection_invalidated:
        return True
    # asyncpg reports a server that shuts down or restarts through its own classes.
    return sqlstate(error).startswith((*AWAY, *_OVERTAKEN))


def means_unstorable(error: BaseException) -> bool:
    """Whether a value fits no column."""
    if isinstance(error, OverflowError):  # SQLite's driver, for integers over 64 bits
        return True
    return isinstance(error, DBAPIError) and sqlstate(error).startswith("22")


def is_for_good(error: BaseException | None) -> bool:
    """Whether the connection that said so would say it for as long as it is open.

    After a failover the address leads to another server than this connection. A file that could
    not be written when it was opened is read-only until it is opened again.
    """
    return sqlstate(error) == READ_ONLY or sqlite_code(error) in _SQLITE_UNFIT


def why_nothing_is_taken(error: BaseException | None) -> str:
    """In words; empty when the error says nothing of the kind."""
    code, state = sqlite_code(error), sqlstate(error)
    if state == FULL or code == sqlite3.SQLITE_FULL:
        return "its disk is full"
    if state == READ_ONLY or code == sqlite3.SQLITE_READONLY:
        return "it is read-only"
    return "its file cannot be used" if code in _SQLITE_UNFIT else ""
