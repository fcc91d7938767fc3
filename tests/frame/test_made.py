"""An empty file where a database lived is a loss, not a new shop."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from app.frame.data.database import Database, DatabaseUnavailable
from app.frame.data.migrations import migrate
from app.frame.keys import with_keys
from app.frame.made import RECORD, Lost
from app.frame.settings import PlatformSettings
from app.sandbox.models import METADATA


async def started(folder: Path) -> None:
    """What a start does to a service's database."""
    database = Database(f"sqlite+aiosqlite:///{folder}/sandbox.db")
    try:
        await migrate(database, "sandbox", METADATA)
    finally:
        await database.close()


def removed(file: Path) -> None:
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()


def truncated(file: Path) -> None:
    removed(file)
    file.touch()


def replaced(file: Path) -> None:
    """By a database without tables."""
    removed(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 1")


@pytest.mark.parametrize("empty", [removed, truncated, replaced])
async def test_an_emptied_database_is_refused_with_a_sentence_until_that_is_meant(
    tmp_path: Path, empty: Callable[[Path], None]
) -> None:
    for _ in range(2):
        await started(tmp_path)
    file = tmp_path / "sandbox.db"
    empty(file)
    with pytest.raises(Lost) as refused:
        await started(tmp_path)
    record = tmp_path / RECORD
    record.write_text(record.read_text().replace("sandbox.db\n", ""))
    await started(tmp_path)

    assert str(refused.value) == (
        f"{file} is missing or empty, and this shop has had one: restore it (docs/on-call.md,"
        f" *Restoring*). If a new one is meant, delete the line sandbox.db from {record}."
    )
    assert record.read_text() == "sandbox.db\n"


async def test_the_log_beside_an_emptied_database_is_left_for_who_restores_it(
    tmp_path: Path,
) -> None:
    await started(tmp_path)
    (tmp_path / "sandbox.db").write_bytes(b"")
    (tmp_path / "sandbox.db-wal").write_bytes(b"what was written last")
    with pytest.raises(Lost):
        await started(tmp_path)

    assert (tmp_path / "sandbox.db-wal").read_bytes() == b"what was written last"


async def test_a_database_from_before_the_record_is_remembered(tmp_path: Path) -> None:
    await started(tmp_path)
    (tmp_path / RECORD).unlink()
    await started(tmp_path)

    assert (tmp_path / RECORD).read_text() == "sandbox.db\n"


async def test_a_database_that_is_taken_away_from_a_running_shop_is_unavailable(
    tmp_path: Path,
) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/sandbox.db", pool_size=2)
    await migrate(database, "sandbox", METADATA)
    await database.engine.dispose()
    removed(tmp_path / "sandbox.db")
    with pytest.raises(DatabaseUnavailable, match=r"sandbox\.db is empty"):
        async with database.read() as connection:
            await connection.execute(text("SELECT * FROM payments"))
    await database.close()


def test_lost_keys_are_not_made_anew(tmp_path: Path) -> None:
    settings = PlatformSettings(environment="development", data=tmp_path)
    first = with_keys(settings)
    again = with_keys(settings)
    (tmp_path / "keys.json").unlink()
    with pytest.raises(Lost, match=r"delete the line keys\.json"):
        with_keys(settings)

    assert again == first
