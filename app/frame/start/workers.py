"""Several processes of one program: those that die are replaced, and none outlives who watches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

POLL_SECONDS: Final = 0.1
ESTABLISHED_SECONDS: Final = 20.0
"""Who lived so long had started well; whatever ended it need not end the next one."""

MOST_STARTS: Final = 5
"""As often in a row a worker may die before it is established; then all end."""

PAUSE_SECONDS: Final = 0.5
"""Before the second start in a row; twice as long before each further one."""

STOP_SECONDS: Final = 30.0
"""How long workers may take to stop before they are killed."""

CANNOT_START: Final = 2
GAVE_UP: Final = 1


@dataclass(slots=True)
class _Worker:
    """One of the processes; `failures` are early deaths in a row, times are monotonic seconds."""

    index: int
    process: subprocess.Popen[bytes]
    started_at: float
    failures: int = 0
    due_at: float | None = None
    """When it is started again; None while it runs."""


def supervise(command: Sequence[str], environment: Mapping[str, str], *, count: int) -> int:
    """Run `count` workers until SIGTERM or SIGINT; returns the exit code.

    Each has `VITRINE_WORKER_INDEX` and, on its standard input, a pipe that ends when we do: see
    `end_with_supervisor`. A worker that ends with code 2 has said why it cannot start: all end.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())

    def start(index: int, failures: int = 0) -> _Worker:
        process = subprocess.Popen(
            list(command),
            env={**environment, "VITRINE_WORKER_INDEX": str(index)},
            stdin=subprocess.PIPE,
        )
        return _Worker(index, process, time.monotonic(), failures)

    workers = [start(index) for index in range(count)]
    code = 0
    while not stopping.wait(POLL_SECONDS) and not code:
        for at, worker in enumerate(workers):
            if worker.due_at is None:
                code = code or _look_at(worker)
            elif time.monotonic() >= worker.due_at:
                workers[at] = start(worker.index, worker.failures)
    stopped = _stop(workers)
    return code or stopped


def _look_at(worker: _Worker) -> int:
    """Note that a worker has died; an exit code for all when it is not worth another start."""
    ended, now = worker.process.poll(), time.monotonic()
    if ended is None:
        return 0
    if ended == CANNOT_START:
        return CANNOT_START
    early = now - worker.started_at < ESTABLISHED_SECONDS
    worker.failures = worker.failures + 1 if early else 0
    how = f"by signal {-ended}" if ended < 0 else f"with code {ended}"
    if worker.failures >= MOST_STARTS:
        _say(f"worker {worker.index} ended {how}, {MOST_STARTS} times in a row: all end.")
        return GAVE_UP
    pause = PAUSE_SECONDS * 2 ** (worker.failures - 2) if worker.failures > 1 else 0.0
    _say(f"worker {worker.index} ended {how}: another one is started.")
    worker.due_at = now + pause
    return 0


def _stop(workers: Sequence[_Worker]) -> int:
    """Ask all to stop and wait; the worst code, a signal's as shells have it.

    A worker that had not begun to listen to signals is ended by ours, which is as good.
    """
    processes = [worker.process for worker in workers]
    for process in processes:
        if process.poll() is None:
            process.terminate()
    until = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    codes = {worker.process.returncode for worker in workers if worker.due_at is None}
    bad = sorted(codes - {0, -signal.SIGTERM})
    return 0 if not bad else bad[-1] if bad[-1] > 0 else 128 - bad[-1]


def end_with_supervisor() -> None:
    """In a worker: stop as on SIGTERM when the supervisor is gone, however it went.

    Its end of our standard input closes with it, on every system; nothing is ever written there.
    """

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor", daemon=True).start()


def _say(sentence: str) -> None:
    sys.stderr.write(f"vitrine: {sentence}\n")
