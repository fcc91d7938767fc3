"""`python -m app.<service> retake`: what was set aside is shown, and tried again at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from sqlalchemy import text
from typer.testing import CliRunner

from app.catalog.commands import commands as catalog
from app.checkout.commands import cli as checkout
from app.frame.data.consumers import position_table
from app.frame.data.database import Database, new_metadata
from app.frame.data.undigested import Undigested, undigested_table
from app.insight.__main__ import cli as insight

SET_ASIDE = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
CLIS = {"catalog": catalog, "checkout": checkout, "insight": insight}


async def _with_a_fact_set_aside(folder: Path, name: str) -> None:
    metadata = new_metadata()
    position_table(metadata)
    database = Database(f"sqlite+aiosqlite:///{folder / name}.db")
    wire = {"sequence": 7, "id": "evt_7", "type": "source.car.melted"}
    async with database.transaction() as transaction:
        await transaction.run_sync(metadata.create_all)
        await Undigested("source", undigested_table(new_metadata())).add(
            transaction, wire, frozenset({"car_1"}), error="KeyError", attempts=3, now=SET_ASIDE
        )
    await database.close()


async def _due(folder: Path, name: str) -> list[str]:
    database = Database(f"sqlite+aiosqlite:///{folder / name}.db")
    async with database.read() as connection:
        rows = await connection.execute(text("SELECT due_at FROM undigested"))
        found = [str(row.due_at) for row in rows]
    await database.close()
    return found


@pytest.mark.parametrize("name", CLIS)
def test_the_facts_are_listed_and_become_due(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    monkeypatch.setenv("VITRINE_FLAGS", str(tmp_path / "flags.json"))
    monkeypatch.setenv("COLUMNS", "200")
    asyncio.run(_with_a_fact_set_aside(tmp_path, name))
    before = asyncio.run(_due(tmp_path, name))

    shown = CliRunner().invoke(CLIS[name], ["retake", "--show"])
    untouched = asyncio.run(_due(tmp_path, name))
    retaken = CliRunner().invoke(CLIS[name], ["retake"])

    assert (shown.exit_code, retaken.exit_code) == (1, 1)
    for word in ("source", "7", "source.car.melted", "3", "2026-11-27T09:00:00.000Z", "KeyError"):
        assert word in shown.output
        assert word in retaken.output
    assert untouched == before
    assert asyncio.run(_due(tmp_path, name)) < before


@pytest.mark.parametrize("cli", CLIS.values(), ids=CLIS)
def test_a_service_that_never_started_is_one_sentence(
    cli: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    monkeypatch.setenv("VITRINE_FLAGS", str(tmp_path / "flags.json"))

    answer = CliRunner().invoke(cli, ["retake"])

    assert answer.exit_code == 2
    assert "has no tables yet" in answer.output
