"""Where a worker's time goes: py-spy looks at it from outside, and its stacks are added up.

Only the holder of the interpreter's lock is sampled, so work that drops the lock (SQLite inside a
statement, the disk) is missing from the shares.
"""

import contextlib
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.stack import CannotMeasure, Checkout

PER_SECOND = 100
FRAME = re.compile(r"^(?P<function>.+) \((?P<file>[^()]*?)(?::\d+)?\)$")

OWNERS = (
    ("app/", "our code (app)"),
    ("telemetry/", "our telemetry"),
    ("opentelemetry/", "OpenTelemetry SDK"),
    ("structlog/", "structlog"),
    ("prometheus_client/", "prometheus-client"),
    ("sqlalchemy/", "SQLAlchemy"),
    ("asyncpg/", "asyncpg"),
    ("aiosqlite/", "aiosqlite"),
    ("sqlite3", "aiosqlite"),
    ("fastapi/", "FastAPI"),
    ("starlette/", "Starlette"),
    ("pydantic", "Pydantic"),
    ("uvicorn/", "uvicorn"),
    ("httpx/", "httpx and httpcore"),
    ("httpcore/", "httpx and httpcore"),
    ("anyio/", "httpx and httpcore"),
    ("h11/", "httpx and httpcore"),
    ("stamina/", "stamina and tenacity"),
    ("tenacity/", "stamina and tenacity"),
    ("cryptography/", "cryptography"),
)
"""Path prefixes below site-packages or the project, and whose time it is."""


@dataclass
class Profile:
    """Shares of a worker's busy time, 0 to 1."""

    samples: int = 0
    own: Counter[str] = field(default_factory=Counter)
    """Samples by owner of the innermost frame: who was really computing."""
    owner_inclusive: Counter[str] = field(default_factory=Counter)
    functions: Counter[str] = field(default_factory=Counter)
    """Samples by function of ours anywhere in the stack: what it costs with what it calls."""
    leaves: Counter[str] = field(default_factory=Counter)

    def summary(self, *, microseconds_per_journey: float, most: int = 25) -> str:
        """Markdown: shares, and microseconds of CPU per journey (three requests)."""

        def rows(counted: Counter[str]) -> Iterable[str]:
            for name, count in counted.most_common(most):
                share = count / max(self.samples, 1)
                yield f"| {name} | {share:.1%} | {share * microseconds_per_journey:.0f} |"

        parts: list[str] = []
        for title, counted in (
            ("Who computes (innermost frame)", self.own),
            ("Who is on the stack (inclusive)", self.owner_inclusive),
            ("Our functions, with what they call", self.functions),
            ("Innermost functions", self.leaves),
        ):
            parts += [f"### {title}", "", "| | share | µs per journey |", "|---|---|---|"]
            parts += [*rows(counted), ""]
        return "\n".join(parts)


@contextlib.contextmanager
def recording(checkout: Checkout, folder: Path, *, seconds: float) -> Iterator[Path]:
    """Record the worker's stacks while the block runs; the file is complete after it."""
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if program is None:
        raise CannotMeasure("py-spy is not installed: `make setup-dev` installs it")
    path = folder / f"{checkout.name}.stacks"
    recorder = subprocess.Popen(
        [
            *(program, "record", "--pid", str(checkout.workers[0].pid), "--output", str(path)),
            *("--format", "raw", "--rate", str(PER_SECOND), "--full-filenames"),
            # Whoever holds the interpreter's lock computes; a thread in a system call waits.
            *("--duration", str(max(1, round(seconds))), "--nonblocking", "--gil"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield path
    finally:
        told, _ = recorder.communicate(timeout=seconds + 60)
    if recorder.returncode != 0 or not path.exists():
        raise CannotMeasure(f"py-spy: {told.strip()[-500:]}")


def read(path: Path) -> Profile:
    """Add up py-spy's raw stacks (`outer;inner count`)."""
    profile = Profile()
    for line in path.read_text(errors="replace").splitlines():
        stack, _, number = line.rpartition(" ")
        count = int(number)
        frames = [_frame(frame) for frame in stack.split(";")]
        if not frames:
            continue
        profile.samples += count
        function, file = frames[-1]
        profile.own[_owner(file)] += count
        profile.leaves[f"{function} ({file})"] += count
        for owner in {_owner(file) for _, file in frames}:
            profile.owner_inclusive[owner] += count
        for ours in {
            f"`{file}` {function}" for function, file in frames if file.startswith(("app/", "tele"))
        }:
            profile.functions[ours] += count
    return profile


def _frame(text: str) -> tuple[str, str]:
    found = FRAME.match(text)
    return (found["function"], _short(found["file"])) if found else (text, "")


def _short(file: str) -> str:
    """A path from the package on."""
    for mark in ("/site-packages/", "/lib/python3"):
        if mark in file:
            below = file.rpartition(mark)[2]
            return below.partition("/")[2] if mark == "/lib/python3" else below
    for package in ("app/", "telemetry/"):
        at = file.find(f"/{package}")
        if at >= 0:
            return file[at + 1 :]
    return file


def _owner(file: str) -> str:
    for prefix, owner in OWNERS:
        if file.startswith(prefix):
            return owner
    return "Python and the event loop"
