"""There is one clock in the product, and it is handed in.

It begins with a bug. Pages took the age of a cookie from `time.time()` while the hold that the
cookie remembers ends by the platform's clock. A test let that clock stand still on the 27th of
November 2026, and passed until the day before came: from then on the two clocks disagreed about
what was still held, and `make test` failed on every machine without a line having been changed.
"""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]

READ_THE_MACHINE: Final = frozenset(
    {
        "time.time",
        "time.time_ns",
        "time.clock_gettime",
        "time.clock_gettime_ns",
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "datetime.datetime.today",
        "datetime.date.today",
        "sqlalchemy.func.now",
        "sqlalchemy.sql.func.now",
    }
)
READ_IT_WITHOUT_AN_ARGUMENT: Final = frozenset({"time.gmtime", "time.localtime", "time.ctime"})
BY_THE_DATABASE: Final = "CURRENT_TIME"

ALLOWED: Final = {
    "app/kernel/clock.py": "is the clock",
    "telemetry/logs.py": "a line says when it was written; telemetry imports nothing of ours",
    "telemetry/spans.py": "spans carry the machine's time, as OpenTelemetry's own do",
    "tests/builders/localstripe_server.py": "a process of its own, as Stripe is",
    "tests/coherence/test_clock.py": "names what it forbids",
    "tests/loadtests": "load tests measure real servers",
}


def readings(source: str) -> Iterator[int]:
    """The lines of a module that read the machine's time, by whatever name it was imported."""
    tree = _parsed(source)
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {
                alias.asname or alias.name.partition(".")[0]: (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
                for alias in node.names
            }
        elif isinstance(node, ast.ImportFrom):
            known |= {
                alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
            }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            if _origin(node, known) in READ_THE_MACHINE:
                yield node.lineno
        elif isinstance(node, ast.Call) and not node.args:
            if _origin(node.func, known) in READ_IT_WITHOUT_AN_ARGUMENT:
                yield node.lineno
        elif isinstance(node, ast.Constant) and BY_THE_DATABASE in str(node.value):
            yield node.lineno


def _parsed(source: str) -> ast.Module:
    """The module, with the collector at rest.

    Python 3.11 counts the depth of all parsers in one place. A collection in the middle lets other
    threads run, and one that logs an error parses the lines of its traceback: then neither adds up.
    """
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        gc.enable()


def _origin(node: ast.expr, known: dict[str, str]) -> str:
    """`datetime.datetime.now` of `when.now`, where `when` was imported as that class."""
    if isinstance(node, ast.Attribute):
        return f"{_origin(node.value, known)}.{node.attr}"
    return known.get(node.id, "") if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("room", ["app", "telemetry", "tests"])
def test_nobody_but_the_clock_reads_the_machine_s_time(room: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / room).rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith(tuple(ALLOWED))
        for line in readings(path.read_text())
    ]

    assert found == [], "take the platform's Clock (app/kernel/clock.py) instead"


def test_every_exception_is_still_one() -> None:
    def needed(name: str) -> bool:
        paths = (ROOT / name).rglob("*.py") if (ROOT / name).is_dir() else [ROOT / name]
        return any(next(readings(path.read_text()), 0) for path in paths)

    assert [name for name in ALLOWED if not needed(name)] == []


@pytest.mark.parametrize(
    ("source", "caught"),
    [
        ("import time\ntime.time()", True),
        ("import time as t\nstarted = t.time_ns", True),
        ("from time import time\ntime()", True),
        ("from datetime import UTC, datetime\ndatetime.now(UTC)", True),
        ("import datetime as dt\ndt.datetime.utcnow()", True),
        ("from datetime import date as day\nday.today()", True),
        ("from sqlalchemy import func\nfunc.now()", True),
        ("import time\ntime.gmtime()", True),
        ("sql = 'UPDATE cars SET at = CURRENT_TIMESTAMP'", True),
        ("import time\ntime.monotonic() - time.perf_counter()", False),
        ("import time\ntime.gmtime(0)", False),
        ("self.clock.now()", False),
        ("from datetime import datetime\ndatetime.fromtimestamp(0)", False),
    ],
)
def test_a_reading_is_found_by_whatever_name(source: str, caught: bool) -> None:
    assert any(readings(source)) == caught
