"""Bring a service's database to this version's schema with Alembic."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import MetaData, inspect, text

from app.frame.data.database import Database
from app.frame.made import Lost, refuse_lost, remember, was_made
from app.kernel.errors import CannotStart

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


async def migrate(database: Database, service: str, metadata: MetaData) -> None:
    """Upgrade to the newest revision of `app/<service>/migrations`.

    Replicas that start together wait for the first one (an advisory lock on PostgreSQL, the
    write lock on SQLite). Does nothing, fast, when the schema is current. A newer schema (a
    roll-out that is under way, or was taken back) is served on, with a line that says so, while it
    has all that this version's code uses. Raises `CannotStart` for any other, and for a file that
    has no tables although it was made before (`frame.made`).
    """
    file = database.file
    if file is not None:
        refuse_lost(file)  # before it is opened: SQLite deletes the log beside an empty file
    folder = Path(__file__).parents[2] / service / "migrations"
    async with database.transaction() as connection:
        if database.dialect == "postgresql":
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(:key)"), {"key": _lock_key(service)}
            )
        current, newest = await connection.run_sync(_current), newest_revision(folder)
        if current is None and file is not None and was_made(file):
            raise Lost(file)
        if current is not None and current not in _revisions(folder):
            why = await connection.run_sync(_unfit, metadata)
            later = current.isdecimal() and current > newest
            if why or not later:
                raise CannotStart(
                    f"the database {_where(database)} of {service} has schema {current}; this"
                    f" version knows {newest} and cannot serve on it ({why or 'it is not later'})."
                    " Start the version that made it, or a later one, or name another database."
                )
            sys.stderr.write(
                f"vitrine: the database of {service} has schema {current}, later than {newest},"
                " the newest that this version knows; it has all that this version uses.\n"
            )
        elif current != newest:
            await connection.run_sync(_upgrade, folder, metadata)
    if file is not None:
        remember(file)
    database.expects_tables = True


def newest_revision(folder: Path) -> str:
    """The head of a linear history of files named `<revision>_<what>.py`."""
    return max(_revisions(folder))


def _revisions(folder: Path) -> set[str]:
    return {path.name.split("_")[0] for path in folder.glob("versions/[0-9]*_*.py")}


def _where(database: Database) -> str:
    """The database as a person finds it, without its password."""
    return str(database.engine.url.set(query={}))


def _unfit(connection: Connection, metadata: MetaData) -> str:
    """Why the code behind `metadata` cannot use the tables that are there; empty when it can."""
    there = inspect(connection)
    for table in metadata.sorted_tables:
        if not there.has_table(table.name):
            return f"there is no table {table.name}"
        columns = {column["name"]: column for column in there.get_columns(table.name)}
        for name in table.c.keys() - columns.keys():
            return f"{table.name} has no column {name}"
        for name in columns.keys() - table.c.keys():
            if not columns[name]["nullable"] and columns[name].get("default") is None:
                return f"{table.name} asks for a value in {name}"
    return ""


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _upgrade(connection: Connection, folder: Path, metadata: MetaData) -> None:
    # Alembic takes a third of a second to import: only a start that has work to do pays for it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder))
    config.attributes["connection"] = connection
    config.attributes["metadata"] = metadata
    command.upgrade(config, "head")


def _lock_key(service: str) -> int:
    return int.from_bytes(hashlib.sha256(f"migrate:{service}".encode()).digest()[:4], "big")
