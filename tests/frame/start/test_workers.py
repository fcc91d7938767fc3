"""Several processes of one program: replaced when they die, and none outlives who watches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rigs.processes import alive, wait_until
from rigs.shop import ROOT

pytestmark = pytest.mark.integration

SUPERVISOR = """
import os, sys
from app.frame.start.workers import supervise
sys.exit(supervise([sys.executable, "-c", sys.argv[1]], os.environ, count=2))
"""
STEADY = """
import os, pathlib, signal
from app.frame.start.workers import end_with_supervisor
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
notes = pathlib.Path(os.environ["NOTES"])
(notes / str(os.getpid())).write_text(os.environ["VITRINE_WORKER_INDEX"])
end_with_supervisor()
while True:
    signal.pause()
"""

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a supervisor of two workers with this code; they note their numbers by pid."""
    started: list[subprocess.Popen[str]] = []

    def supervised(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, code],
            cwd=ROOT,
            env={**os.environ, "NOTES": str(tmp_path)},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield supervised
    for process in started:
        process.kill()
        process.communicate()


def running(folder: Path) -> dict[int, str]:
    """The workers that run, by pid, with their numbers."""
    noted = {int(note.name): note.read_text() for note in folder.iterdir()}
    return {pid: number for pid, number in noted.items() if number and alive(pid)}


def two(folder: Path) -> Callable[[], bool]:
    return lambda: sorted(running(folder).values()) == ["0", "1"]


def test_a_worker_that_dies_is_replaced_and_all_stop_when_told(
    start: Start, tmp_path: Path
) -> None:
    process = start(STEADY)
    wait_until(two(tmp_path), timeout_seconds=60)
    (killed,) = [pid for pid, number in running(tmp_path).items() if number == "1"]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: killed not in running(tmp_path), timeout_seconds=60)
    wait_until(two(tmp_path), timeout_seconds=60)
    process.terminate()
    _, said = process.communicate(timeout=60)

    assert (process.returncode, running(tmp_path)) == (0, {})
    assert said == "vitrine: worker 1 ended by signal 9: another one is started.\n"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGHUP])
def test_workers_do_not_outlive_their_supervisor(
    start: Start, tmp_path: Path, end: signal.Signals
) -> None:
    process = start(STEADY)
    wait_until(two(tmp_path), timeout_seconds=60)
    process.send_signal(end)

    wait_until(lambda: not running(tmp_path), timeout_seconds=60, what="the end of all workers")


def test_workers_that_die_at_their_start_again_and_again_end_all_with_a_sentence(
    start: Start,
) -> None:
    process = start("import os; os._exit(3 if os.environ['VITRINE_WORKER_INDEX'] == '1' else 0)")
    _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert said.splitlines()[-1].endswith(", 5 times in a row: all end.")
    assert len(said.splitlines()) <= 10


def test_a_worker_that_cannot_start_ends_all_at_once_with_its_code(
    start: Start, tmp_path: Path
) -> None:
    process = start(
        f"import os, sys\nif os.environ['VITRINE_WORKER_INDEX'] == '1': sys.exit(2)\n{STEADY}"
    )
    _, said = process.communicate(timeout=60)

    assert (process.returncode, said, running(tmp_path)) == (2, "", {})
