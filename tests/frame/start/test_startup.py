"""A data folder that cannot be used: said as it is, and never as damage to a healthy database."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.frame.data.database import damaged
from app.frame.start.startup import read_settings

ADVICE = "free some space, fix its permissions, or set VITRINE_DATA to another folder.\n"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one healthy database in WAL mode, as a shop leaves it."""
    folder = tmp_path / "data"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "advisor.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE kept (id int)")
    monkeypatch.setenv("VITRINE_DATA", str(folder))
    return folder


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        read_settings()
    assert ended.value.code == 2
    return capsys.readouterr().err.removeprefix("vitrine cannot start: ")


@pytest.mark.parametrize("allowed", [64, 255])
def test_too_few_files_are_told_with_what_to_do(
    allowed: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (allowed, 4096))

    assert _said(capsys) == (
        f"this process may open {allowed} files and connections, and needs 256 at the least: run"
        " `ulimit -n 4096` before it (where that is refused, ask root), or set LimitNOFILE= in its"
        " systemd unit.\n"
    )


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("allowed", [256, 1024, resource.RLIM_INFINITY])
def test_enough_files_are_enough(allowed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (allowed, 4096))

    read_settings()


def test_a_healthy_folder_starts_and_keeps_no_probe(data: Path) -> None:
    read_settings()

    assert sorted(path.name for path in data.iterdir()) == ["advisor.db", "keys.json", "made.txt"]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_a_folder_that_takes_no_file_is_named(
    number: int, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("app.frame.start.startup.TemporaryFile", refuse)

    assert _said(capsys) == (
        f"the data folder {data} cannot be written ({os.strerror(number)}): {ADVICE}"
    )


def test_a_file_in_the_folder_s_place_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path / "file"))

    assert _said(capsys).startswith(f"the data folder {tmp_path / 'file'} cannot be written (")


def test_a_database_that_cannot_be_changed_is_named(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "catalog.db").mkdir()  # what root, too, may not open for writing

    why = f"{data / 'catalog.db'}: Is a directory"
    assert _said(capsys) == f"the data folder {data} cannot be written ({why}): {ADVICE}"


def test_nobody_is_told_to_move_a_database_away_that_could_not_be_opened(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", refuse)
    said = damaged(data / "advisor.db")

    assert said is not None
    assert "the file itself may be whole" in said
    assert "move it away" not in said
