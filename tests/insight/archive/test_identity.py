"""Rebuilt, or exported and imported: a ledger is the same, with its whole history."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from app.insight.archive.exporting import export
from app.insight.archive.importing import import_from
from app.insight.archive.rebuilding import rebuild
from app.insight.ledger.invariants import violations
from app.insight.ledger.readings import Readings
from tests.builders.crowds import Crowd
from tests.builders.ledgers import Stored, opened

SEEDS = (1, 2, 3)


def parts(tables: dict[str, list[object]]) -> dict[str, int]:
    return {name: len(rows) for name, rows in tables.items()}


async def test_the_crowd_restates_and_every_law_holds(ledger: Stored) -> None:
    async with ledger.database.read() as connection:
        reasons = set(await connection.scalars(text("SELECT DISTINCT reason FROM entries")))
        ends = set(await connection.scalars(text("SELECT DISTINCT ended_by FROM entries")))
    assert {"first", "late", "suspect"} <= reasons
    assert {"late", "suspect", "return", "late_payment"} & (ends | reasons)
    assert violations(await Readings(ledger.store).totals()) == []


async def test_rebuilding_changes_nothing(ledger_on_each: Stored) -> None:
    ledger = ledger_on_each
    before = await ledger.tables()
    await rebuild(ledger.database)
    after = await ledger.tables()
    assert parts(after) == parts(before)
    assert after == before


@pytest.mark.parametrize("seed", SEEDS)
async def test_export_and_import_make_the_same_ledger(seed: int, tmp_path: Path) -> None:
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'one'}.db") as one:
        await one.tell(Crowd(seed).told())
        await one.settle()
        await export(one.database, tmp_path / "archive")
        async with opened(f"sqlite+aiosqlite:///{tmp_path / 'two'}.db") as two:
            await import_from(tmp_path / "archive", two.database)
            assert await two.tables() == await one.tables()
