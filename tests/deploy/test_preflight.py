"""Each way in which the demo cannot start is one sentence."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy import preflight
from deploy.demo import port_from, secrets_of_demo
from deploy.preflight import CannotStart


def test_a_healthy_database_passes(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "checkout.db")) as opened:
        opened.execute("CREATE TABLE orders (order_id TEXT)")

    preflight.check_databases(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["checkout.db"]


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkout.db").write_bytes(b"this is not a database, whatever its name says" * 40)

    with pytest.raises(CannotStart, match=r"checkout\.db is damaged .*restore it from a backup"):
        preflight.check_databases(tmp_path)


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")

    with pytest.raises(CannotStart, match="cannot be written"):
        preflight.check_folder(tmp_path / "data")


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1))

    with pytest.raises(CannotStart, match="is full"):
        preflight.check_folder(tmp_path / "data")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "NEEDED_MODULES", ("json", "no_such_package"))

    with pytest.raises(CannotStart, match=r"missing \(no_such_package\): run `make setup`"):
        preflight.check_modules()


@pytest.mark.parametrize("text", ["", "http", "0", "65536", "-1", "８０"])
def test_a_port_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_PORT", text)

    with pytest.raises(CannotStart, match="is not a port number"):
        port_from("VITRINE_PORT", 8000)


def test_the_default_port_is_taken_when_none_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VITRINE_PORT", raising=False)

    assert port_from("VITRINE_PORT", 8000) == 8000


def test_the_demo_keeps_its_secrets_to_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"VITRINE_CONSOLE_PASSWORD", "VITRINE_SYNTHETIC_KEY", "VITRINE_ALERT_KEY"}
    for name in names:
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "var" / "demo-keys.json"

    first = secrets_of_demo(path)
    second = secrets_of_demo(path)

    assert first == second
    assert set(first) == names
    assert path.stat().st_mode & 0o777 == 0o600


def test_given_secrets_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_CONSOLE_PASSWORD", "given")

    assert secrets_of_demo(tmp_path / "keys.json")["VITRINE_CONSOLE_PASSWORD"] == "given"
