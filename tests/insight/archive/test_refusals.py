"""What cannot be archived, imported or rebuilt is refused with a sentence, and nothing changes."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from pathlib import Path

import orjson
import pytest
from sqlalchemy import insert

from app.insight.archive.errors import (
    CannotExport,
    CannotImport,
    CannotRebuild,
    CannotReplay,
)
from app.insight.archive.exporting import export
from app.insight.archive.files import read_index
from app.insight.archive.importing import import_from
from app.insight.archive.rebuilding import rebuild
from app.insight.models import EVENTS
from tests.builders.crowds import Crowd
from tests.builders.ledgers import Stored, opened


async def changed(ledger: Stored, statement: str) -> None:
    async with ledger.database.transaction() as transaction:
        await transaction.exec_driver_sql(statement)


async def refused(work: Awaitable[object], kind: type[Exception], ledger: Stored) -> str:
    """Why; the ledger has not changed by it."""
    before = await ledger.tables()
    with pytest.raises(kind) as caught:
        await work
    assert await ledger.tables() == before
    return str(caught.value)


async def test_only_an_empty_ledger_is_imported_into(ledger: Stored, tmp_path: Path) -> None:
    await export(ledger.database, tmp_path)
    why = await refused(import_from(tmp_path, ledger.database), CannotImport, ledger)
    assert "not empty" in why
    assert "INSIGHT_DATABASE_URL" in why


async def test_a_folder_without_an_archive_is_not_imported(tmp_path: Path) -> None:
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'empty'}.db") as empty:
        why = await refused(import_from(tmp_path, empty.database), CannotImport, empty)
        assert "has no archive" in why
        (tmp_path / "archive.json").write_text("{}")
        why = await refused(import_from(tmp_path, empty.database), CannotImport, empty)
        assert "is damaged" in why
        (tmp_path / "archive.json").write_text('{"version": 7}')
        why = await refused(import_from(tmp_path, empty.database), CannotImport, empty)
        assert "version 7" in why


async def test_a_damaged_or_missing_file_imports_nothing(ledger: Stored, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    await export(ledger.database, archive)
    found = sorted((archive / "events").iterdir())[1]
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'empty'}.db") as empty:
        found.write_bytes(found.read_bytes()[:100])
        why = await refused(import_from(archive, empty.database), CannotImport, empty)
        assert found.name in why
        found.unlink()
        why = await refused(import_from(archive, empty.database), CannotImport, empty)
        assert found.name in why


@pytest.mark.parametrize("kind", ["ledger.campaign.renamed", "checkout.car.flown"])
async def test_an_event_that_this_version_does_not_know_stops_it(
    kind: str, ledger: Stored, tmp_path: Path
) -> None:
    wire = {"specversion": "1.0", "id": "evt_x", "source": "/ledger", "type": kind}
    wire |= {"time": "2026-11-27T09:00:00Z", "sequence": 0, "data": {}}  # type: ignore[dict-item]
    (head,) = (await ledger.tables())["head"]
    at = datetime.fromisoformat(dict(head)["booked_at"])
    row = {"event_id": "evt_x", "source": "ledger", "type": kind, "at": at, "booked_at": at}
    async with ledger.database.transaction() as transaction:
        told = {**row, "session_id": "", "wire": orjson.dumps(wire).decode()}
        await transaction.execute(insert(EVENTS), [told])
    why = await refused(rebuild(ledger.database), CannotReplay, ledger)
    assert kind in why
    await export(ledger.database, tmp_path / "archive")
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'empty'}.db") as empty:
        why = await refused(import_from(tmp_path / "archive", empty.database), CannotReplay, empty)
    assert kind in why


async def test_a_ledger_older_than_its_events_is_not_rebuilt(
    ledger: Stored, tmp_path: Path
) -> None:
    await changed(ledger, "DELETE FROM events WHERE number <= 100")
    why = await refused(rebuild(ledger.database), CannotRebuild, ledger)
    assert "kept no events" in why
    assert "restore a backup" in why
    await export(ledger.database, tmp_path / "archive")
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'empty'}.db") as empty:
        why = await refused(import_from(tmp_path / "archive", empty.database), CannotImport, empty)
    assert "kept no events" in why


async def test_a_ledger_whose_events_have_left_is_not_rebuilt(
    ledger: Stored, tmp_path: Path
) -> None:
    ledger.clock.advance(days=401)
    await ledger.let_go()
    why = await refused(rebuild(ledger.database), CannotRebuild, ledger)
    assert "INSIGHT_LEDGER_DAYS" in why
    assert "Import an archive" in why
    await export(ledger.database, tmp_path / "archive")
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'empty'}.db") as empty:
        why = await refused(import_from(tmp_path / "archive", empty.database), CannotImport, empty)
    assert "INSIGHT_LEDGER_DAYS" in why


async def test_what_other_rules_have_booked_changes_only_when_it_is_said(
    ledger: Stored, tmp_path: Path
) -> None:
    before = await ledger.tables()
    await changed(ledger, "UPDATE entries SET reason = 'rules' WHERE measure = 'engaged'")
    why = await refused(rebuild(ledger.database), CannotRebuild, ledger)
    assert "--these-rules" in why
    await export(ledger.database, tmp_path / "archive")
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'empty'}.db") as empty:
        work = import_from(tmp_path / "archive", empty.database)
        assert "--these-rules" in await refused(work, CannotImport, empty)
        await import_from(tmp_path / "archive", empty.database, these_rules=True)
        assert (await empty.tables())["entries"] == before["entries"]
    await rebuild(ledger.database, these_rules=True)
    assert await ledger.tables() == before


async def test_two_ledgers_do_not_share_an_archive(ledger: Stored, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    await export(ledger.database, archive)
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'other'}.db") as other:
        await other.tell(Crowd(seed=13, visits=2).told())
        why = await refused(export(other.database, archive), CannotExport, other)
    assert "another ledger" in why
    index = read_index(archive)
    assert index is not None
    assert index.last_event in why
