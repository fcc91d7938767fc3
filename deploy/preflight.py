"""What must be true before the demo starts; each thing that is not is one sentence."""

import importlib.util
import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from rigs.ports import is_free

NEEDED_MODULES = ("fastapi", "uvicorn", "sqlalchemy", "httpx")
NEEDED_DISK_BYTES = 200 * 1024 * 1024


class CannotStart(Exception):
    """The demo cannot start; the message is the sentence that says why and what to do."""


def check_modules() -> None:
    """Everything that is imported is installed."""
    missing = [name for name in NEEDED_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise CannotStart(
            f"Python packages are missing ({', '.join(missing)}): run `make setup`, "
            "and start with `make demo`."
        )


def check_ports(ports: Mapping[str, int]) -> None:
    """The ports, by the environment variable that chooses each, are free."""
    for variable, port in ports.items():
        if not is_free(port):
            raise CannotStart(
                f"Port {port} is taken by another program: stop that, or choose another port "
                f"with {variable}={port + 10} make demo."
            )


def check_folder(folder: Path) -> None:
    """The folder can be created and written to, and its disk has room."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        raise CannotStart(
            f"The data folder {folder} cannot be written: {error.strerror}."
        ) from error
    free = shutil.disk_usage(folder).free
    if free < NEEDED_DISK_BYTES:
        raise CannotStart(
            f"The disk of {folder} is full ({free // 2**20} MB left): the demo needs "
            f"{NEEDED_DISK_BYTES // 2**20} MB."
        )


def check_databases(folder: Path) -> None:
    """Every SQLite file in the folder can be opened and has a readable schema."""
    for path in sorted(folder.glob("*.db")):
        try:
            # Read-only, so that looking never changes a file that someone may want to rescue.
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as opened:
                opened.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.DatabaseError as error:
            raise CannotStart(
                f"The database {path} is damaged ({error}): restore it from a backup, or move "
                f"{folder} away to start afresh."
            ) from error
