"""An export's files: one per day and kind, whole or not there, each written once it is over."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from app.insight.archive import exporting, files
from app.insight.archive.errors import CannotExport
from app.insight.archive.exporting import export
from app.insight.archive.files import KINDS, read_index
from app.insight.archive.importing import import_from
from tests.builders.crowds import Crowd
from tests.builders.ledgers import Stored, opened


def left_over(folder: Path) -> list[Path]:
    return list(folder.rglob("*part*"))


def stamps(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*.parquet")
    }


async def test_a_day_that_is_over_is_written_once(ledger: Stored, tmp_path: Path) -> None:
    await export(ledger.database, tmp_path)
    first = stamps(tmp_path)
    index = read_index(tmp_path)
    assert index is not None
    last = index.days[-1].isoformat()
    assert set(first) == {
        f"{kind}/{day.isoformat()}.parquet" for kind in KINDS for day in index.days
    }
    again = await export(ledger.database, tmp_path)
    assert again is not None
    ledger.clock.advance(days=1)
    await ledger.tell(Crowd(seed=12, visits=3).told())
    await export(ledger.database, tmp_path)
    second = stamps(tmp_path)
    written = {name for name in second if second[name] != first.get(name)}
    assert {name for name in first if second[name] == first[name]} == {
        name for name in first if last not in name
    }
    assert written
    assert left_over(tmp_path) == []


async def test_the_files_have_the_columns_that_are_documented(
    ledger: Stored, tmp_path: Path
) -> None:
    await export(ledger.database, tmp_path)
    for kind, columns in KINDS.items():
        found = duckdb.connect().read_parquet(f"{tmp_path}/{kind}/*.parquet")
        told = {
            name: str(each).replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
            for name, each in zip(found.columns, found.types, strict=True)
        }
        assert told == dict(columns)


async def test_broken_off_anywhere_it_goes_on_and_says_what_is_there(
    ledger: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    await export(ledger.database, whole)
    archive = tmp_path / "archive"
    settle, left = files._settle, 0

    def burn(part: Path, path: Path) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise OSError(28, "No space left on device")
        settle(part, path)

    runs, there = 0, -1
    with monkeypatch.context() as patched:
        patched.setattr(files, "_settle", burn)
        while not left:
            left, runs = 13, runs + 1
            with suppress(CannotExport):
                await export(ledger.database, archive)
            index = read_index(archive)
            assert index is not None
            async with opened(f"sqlite+aiosqlite:///{tmp_path / f'part{runs}'}.db") as part:
                await import_from(archive, part.database)
                tables = await part.tables()
                (head,) = tables["head"]
                assert str(index.booked_until) in dict(head).values()
                assert len(tables["events"]) > there
                there = len(tables["events"])
    assert runs > 2
    assert read_index(archive) == read_index(whole)
    for kind in KINDS:
        both = (f"FROM '{each}/{kind}/*.parquet'" for each in (archive, whole))
        one, two = (duckdb.connect().execute(f"{each} ORDER BY ALL").fetchall() for each in both)
        assert one == two


async def test_an_export_is_of_one_moment(
    ledger: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await ledger.tables()
    number_before = exporting._number_before

    async def meanwhile(*args: object) -> int:
        if len((await ledger.tables())["events"]) == len(before["events"]):
            await ledger.tell(Crowd(seed=12, visits=3).told())
        return await number_before(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(exporting, "_number_before", meanwhile)
    await export(ledger.database, tmp_path)
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'other'}.db") as other:
        await import_from(tmp_path, other.database)
        assert await other.tables() == before
