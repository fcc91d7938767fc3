"""Bring a service's database to this version's schema with Alembic."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import MetaData, inspect, text

from app.frame.database import Database

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


async def migrate(database: Database, service: str, metadata: MetaData) -> None:
    """Upgrade to the newest revision of `app/<service>/migrations`.

    Replicas that start together wait for the first one (an advisory lock on PostgreSQL, the
    write lock on SQLite). Does nothing, fast, when the schema is current.
    """
    folder = Path(__file__).parent.parent / service / "migrations"
    async with database.transaction() as connection:
        if database.dialect == "postgresql":
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(:key)"), {"key": _lock_key(service)}
            )
        if await connection.run_sync(_current) != newest_revision(folder):
            await connection.run_sync(_upgrade, folder, metadata)


def newest_revision(folder: Path) -> str:
    """The head of a linear history of files named `<revision>_<what>.py`."""
    return max(path.name.split("_")[0] for path in folder.glob("versions/[0-9]*_*.py"))


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
