"""Run the project's checks, the cheap ones side by side, and say in one line each how they went.

    python -m deploy.check          `make check`: under a minute
    python -m deploy.check --all    `make test`: every test
    python -m deploy.check --moments    `make test-moments`: the unit tests on other days

A check's own output is shown only when it fails. The exit code is 1 when any check failed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = ("app", "telemetry", "dashboards", "alerts", "bench", "loadtests", "deploy", "rigs", "tests")
NOT_UNIT = "integration or browser"
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
SCRATCH_BYTES = 4 << 30


@dataclass(frozen=True)
class Check:
    """One command that must end with exit code 0."""

    name: str
    command: tuple[str, ...]


def python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)


STATIC = (
    Check("format", python("ruff", "format", "--check", *CODE)),
    Check("lint", python("ruff", "check", "--quiet", *CODE)),
    Check("rendered boards unchanged", python("dashboards.build", "--check")),
    Check("rendered metrics page unchanged", python("dashboards.metrics", "--check")),
    Check("rendered rules unchanged", python("alerts.build", "--check")),
    Check("imports", (str(Path(sys.executable).with_name("lint-imports")),)),
    Check("types", python("mypy")),
)


FAST = f"not ({NOT_UNIT} or thorough)"
UNIT = f"not ({NOT_UNIT})"

MOMENTS = {
    "a night in which the clocks change": "2027-03-28T00:59:30+00:00",  # 01:59:30 in Stockholm
    "the last minute of a year": "2026-12-31T23:59:10+00:00",
    "a 29 February": "2028-02-29T11:00:00+00:00",
    "five years on": "2031-11-26T13:00:00+00:00",
}
"""When the unit tests run again: a test that passes today may be overtaken by the calendar."""
MOMENT_OF_TEST = "five years on"


def unit_tests(chosen: str, processes: int) -> Check:
    """Tests of one process; the inner loop leaves out those that take their time."""
    return Check("unit tests", python("pytest", "-q", "-m", chosen, "-n", str(processes)))


def on(moment: str, check: Check) -> Check:
    """The check with the product's one clock started at a moment (tests/conftest.py)."""
    shifted = ("env", f"VITRINE_TEST_MOMENT={MOMENTS[moment]}", *check.command)
    return Check(f"{check.name}, {moment}", shifted)


# Tests that start servers measure waiting, not work: two at a time, each file in one process so
# that a file's fixtures (one PostgreSQL, one Prometheus) start once.
INTEGRATION_TESTS = Check(
    "integration tests",
    python("pytest", "-q", "-m", "integration and not browser", "-n2", "--dist=loadfile"),
)
BROWSER_TESTS = Check("browser tests", python("pytest", "-q", "-m", "browser"))


def run(check: Check) -> tuple[Check, int, str, float]:
    started = time.monotonic()
    done = subprocess.run(
        check.command,
        check=False,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return check, done.returncode, done.stdout, time.monotonic() - started


def report(result: tuple[Check, int, str, float]) -> bool:
    """Print one check's line, and its output when it failed; whether it passed."""
    check, code, output, seconds = result
    passed = code == 0
    lines = output.strip().splitlines()
    summary = f"  {lines[-1].strip('= ')}" if "tests" in check.name and lines else ""
    sys.stdout.write(f"  {'ok  ' if passed else 'FAIL'} {check.name} ({seconds:.1f} s){summary}\n")
    if not passed:
        sys.stdout.write(f"{output}\n")
    sys.stdout.flush()
    return passed


@contextmanager
def scratch() -> Iterator[None]:
    """Have the tests' databases in memory where there is room for them.

    A busy disk can keep a commit waiting for seconds; no test is about the disk.
    """
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < SCRATCH_BYTES:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="vitrine-tests-", dir=MEMORY) as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        os.environ["TMPDIR"] = folder
        yield


def main(arguments: list[str]) -> int:
    """All checks, their temporary files out of the disk's way; 0 when all passed."""
    with scratch():
        return check_moments() if "--moments" in arguments else check_all(arguments)


def check_moments() -> int:
    """The unit tests at each moment, one after the other."""
    units = unit_tests(UNIT, os.cpu_count() or 2)
    passed = [report(run(on(moment, units))) for moment in MOMENTS]
    return 0 if all(passed) else 1


def check_all(arguments: list[str]) -> int:
    """Static checks and unit tests side by side; then, with ``--all``, the slower tests in turn."""
    processes = os.cpu_count() or 2
    passed = True
    with ThreadPoolExecutor(max_workers=2) as pool:
        # The longest first, so that the short ones fill the other core.
        units = unit_tests(UNIT if "--all" in arguments else FAST, processes)
        side_by_side = [pool.submit(run, check) for check in (units, *STATIC)]
        for future in as_completed(side_by_side):
            passed = report(future.result()) and passed
    if "--all" in arguments:
        passed = report(run(on(MOMENT_OF_TEST, unit_tests(FAST, processes)))) and passed
        for check in (INTEGRATION_TESTS, BROWSER_TESTS):
            sys.stdout.write(f"  {check.name}:\n")
            sys.stdout.flush()
            # Minutes long: their progress is shown as it happens.
            done = subprocess.run(check.command, check=False, cwd=ROOT)
            passed = done.returncode == 0 and passed
    return 0 if passed else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
