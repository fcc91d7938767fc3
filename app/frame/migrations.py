"""Bring a service's database to this version's schema with Alembic."""

from __future__ import annotations

import hashlib
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, text
from sqlalchemy.engine import Connection

from app.frame.database import Database


async def migrate(database: Database, service: str, metadata: MetaData) -> None:
    """Upgrade to the newest revision of `app/<service>/migrations`.

    Replicas that start together wait for the first one (an advisory lock on PostgreSQL, the
    write lock on SQLite). Does nothing, fast, when the schema is current.
    """
    folder = Path(__file__).parent.parent / service / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    async with database.transaction() as connection:
        if database.dialect == "postgresql":
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(:key)"), {"key": _lock_key(service)}
            )
        await connection.run_sync(_upgrade, config, metadata)


def _upgrade(connection: Connection, config: Config, metadata: MetaData) -> None:
    current = MigrationContext.configure(connection).get_current_revision()
    if current == ScriptDirectory.from_config(config).get_current_head():
        return
    config.attributes["connection"] = connection
    config.attributes["metadata"] = metadata
    command.upgrade(config, "head")


def _lock_key(service: str) -> int:
    return int.from_bytes(hashlib.sha256(f"migrate:{service}".encode()).digest()[:4], "big")
