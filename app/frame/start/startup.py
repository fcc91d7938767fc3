"""From environment variables to a platform, with one clear sentence for whatever is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final, NoReturn

import uvloop
from pydantic import ValidationError

from app.frame.data.database import damaged
from app.frame.flags import Flags
from app.frame.keys import with_keys
from app.frame.platform import Platform
from app.frame.settings import PlatformSettings, explain
from app.frame.start.files import files_allowed, files_needed
from app.kernel.errors import CannotStart, VitrineError
from telemetry.environment import export_from
from telemetry.instruments import MetricRegistry
from telemetry.tracestore import TraceStore

VERSION: Final = "0.1.0"
CANNOT_START: Final = 2
DATABASE_FILES: Final = (".db", ".db-wal", ".db-shm")


def read_settings(service: str = "") -> PlatformSettings:
    """The settings with one service's secrets, or all; ends the process with a sentence if not."""
    _forget_libpq()
    _need_files(service)
    try:
        settings = PlatformSettings()
    except ValidationError as error:
        cannot_start(explain(error))
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        _try_to_write(settings.data)
        return with_keys(settings, service)
    except CannotStart as error:
        cannot_start(str(error))
    except OSError as error:
        file = f"{error.filename}: " if str(error.filename).endswith(DATABASE_FILES) else ""
        cannot_start(
            f"the data folder {settings.data} cannot be written"
            f" ({file}{error.strerror}): free some space, fix its permissions, or set VITRINE_DATA"
            " to another folder."
        )
    except ValueError as error:
        cannot_start(f"{settings.data / 'keys.json'} is damaged ({error}): restore or remove it.")


def _try_to_write(data: Path) -> None:
    """Raises OSError when a file cannot be made there or a database's cannot be changed."""
    with TemporaryFile(dir=data) as probe:
        probe.write(bytes(4096))
    for path in sorted(data.iterdir()):
        if path.name.endswith(DATABASE_FILES):
            path.open("r+b").close()


def _need_files(service: str) -> None:
    allowed, needed = files_allowed(), files_needed(service)
    if allowed < needed:
        cannot_start(
            f"this process may open {allowed} files and connections, and needs {needed} at the"
            " least: run `ulimit -n 4096` before it (where that is refused, ask root), or set"
            " LimitNOFILE= in its systemd unit."
        )


def _forget_libpq() -> None:
    """`<SERVICE>_DATABASE_URL` says all: asyncpg would fill its gaps from another program's PG…."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


def new_platform(settings: PlatformSettings, *, local_traces: bool) -> Platform:
    """A platform for this process. `local_traces` keeps interesting traces in the data folder."""
    for path in sorted(settings.data.glob("*.db")):
        sentence = damaged(path)
        if sentence:
            cannot_start(sentence)
    otlp, sentences = export_from(os.environ)
    for sentence in sentences:
        sys.stderr.write(f"vitrine: {sentence}\n")
    return Platform(
        settings=settings,
        registry=MetricRegistry(),
        flags=_flags(settings.flags),
        traces=(
            TraceStore(settings.data / "traces.db", keep_ratio=settings.trace_keep_ratio)
            if local_traces
            else None
        ),
        version=VERSION,
        revision=os.environ.get("VITRINE_REVISION") or _revision(),
        otlp=otlp,
    )


def _flags(path: Path) -> Flags:
    try:
        return Flags(path)
    except CannotStart as error:
        cannot_start(str(error))
    except OSError as error:
        cannot_start(
            f"the flag file {path} cannot be made ({error.strerror}): fix its folder's"
            " permissions, or set VITRINE_FLAGS to another file."
        )


def run_until_stopped(main: Coroutine[Any, Any, None]) -> None:
    """Run a process's main; every expected failure is one sentence and an exit code."""
    with one_sentence():
        uvloop.run(main)


@contextmanager
def one_sentence() -> Iterator[None]:
    """End the process with a sentence for every failure that is expected inside."""
    try:
        yield
    except CannotStart as error:
        cannot_start(str(error))
    except ValidationError as error:
        cannot_start(explain(error))
    except VitrineError as error:
        cannot_start(error.detail)
    except OSError as error:
        cannot_start(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))


def cannot_start(sentence: str) -> NoReturn:
    """Say why on standard error and end with exit code 2."""
    sys.stderr.write(f"vitrine cannot start: {sentence}\n")
    raise SystemExit(CANNOT_START)


def _revision() -> str:
    """The commit of the working tree; `unknown` outside one."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return "unknown"
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            timeout=2,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() or "unknown"
