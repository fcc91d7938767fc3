"""Ledgers with a crowd in them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.builders.crowds import Crowd
from tests.builders.ledgers import Stored, opened

CROWD = Crowd(seed=11, visits=50)


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, datetime]:
    """A ledger's file after the crowd, and the time there."""
    file = tmp_path_factory.mktemp("lived") / "ledger.db"

    async def live() -> datetime:
        async with opened(f"sqlite+aiosqlite:///{file}") as made:
            await made.tell(CROWD.told())
            await made.settle()
            return made.clock.now()

    return file, asyncio.run(live())


@pytest.fixture
async def ledger(lived: tuple[Path, datetime], tmp_path: Path) -> AsyncIterator[Stored]:
    """On SQLite, with a crowd."""
    file, now = lived
    shutil.copy(file, tmp_path / "ledger.db")
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}") as made:
        made.clock.advance(seconds=(now - made.clock.now()).total_seconds())
        yield made


@pytest.fixture
async def ledger_on_each(new_database: Callable[[str], str]) -> AsyncIterator[Stored]:
    """On SQLite and then on PostgreSQL, with a crowd."""
    async with opened(new_database("insight")) as made:
        await made.tell(CROWD.told())
        await made.settle()
        yield made
