"""Ledgers with a crowd in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.builders.crowds import Crowd
from tests.builders.ledgers import Stored, opened

CROWD = Crowd(seed=11)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Stored]:
    """On SQLite, with a crowd."""
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'ledger'}.db") as made:
        await made.tell(CROWD.told())
        await made.settle()
        yield made


@pytest.fixture
async def ledger_on_each(new_database: Callable[[str], str]) -> AsyncIterator[Stored]:
    """On SQLite and then on PostgreSQL, with a crowd."""
    async with opened(new_database("insight")) as made:
        await made.tell(CROWD.told())
        await made.settle()
        yield made
