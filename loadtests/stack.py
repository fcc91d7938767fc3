"""Where the stack under test is: given by addresses, or started for this run and ended with it."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.books import Books
from loadtests.watching import AlertmanagerApi, PrometheusApi

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 30.0
START_SECONDS = 120.0
POLL_SECONDS = 0.1
LAST_LINES, LINE_LENGTH = 5, 300


class CannotRehearse(Exception):
    """The stack did not start, or an address is missing; the message is for the person."""


@dataclass(frozen=True)
class Stack:
    """The addresses of a running stack; `flags_file` is None when faults cannot be injected."""

    base_url: str
    internal_url: str
    prometheus_url: str
    alertmanager_url: str
    flags_file: Path | None
    synthetic_key: str

    @property
    def books(self) -> Books:
        return Books(self.internal_url)

    @property
    def prometheus(self) -> PrometheusApi:
        return PrometheusApi(self.prometheus_url)

    @property
    def alertmanager(self) -> AlertmanagerApi:
        return AlertmanagerApi(self.alertmanager_url)


@contextlib.contextmanager
def started_stack(folder: Path, *, scale: float, webhook: str | None = None) -> Iterator[Stack]:
    """A stack of our own on free ports, with its files in `folder`.

    It runs as a program that ends when its standard input closes, so it never outlives us.

    Raises:
        CannotRehearse: it did not start; the message has its last words.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "rigs.rehearsal", "--folder", str(folder)]
    command += ["--scale", str(scale), *(("--webhook", webhook) if webhook else ())]
    with (folder / "stack.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("{"):
            raise CannotRehearse(f"the stack did not start ({folder}): {_last_words(folder)}")
        yield _stack_of(json.loads(line))
    finally:
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _last_words(folder: Path) -> str:
    """The end of what the stack said, each line cut short: a person reads it."""
    said = (folder / "stack.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(line[:LINE_LENGTH] for line in [*said[:1], *said[1:][-LAST_LINES:]])


def _stack_of(addresses: dict[str, Any]) -> Stack:
    return Stack(
        base_url=addresses["base_url"],
        internal_url=addresses["internal_url"],
        prometheus_url=addresses["prometheus_url"],
        alertmanager_url=addresses["alertmanager_url"],
        flags_file=Path(addresses["flags_file"]),
        synthetic_key=addresses["synthetic_key"],
    )


class MortalShop:
    """An embedded shop that this run may kill: same ports and data each time it is started."""

    def __init__(self, folder: Path, command: tuple[str, ...] = ("-m", "app")) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self.internal_port = _free_ports(2)
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.internal_url = f"http://127.0.0.1:{self.internal_port}"
        self.synthetic_key = secrets.token_urlsafe(24)

    @property
    def books(self) -> Books:
        return Books(self.internal_url)

    def start(self) -> float:
        """Start it and wait until it is ready; returns the seconds that took.

        Raises:
            CannotRehearse: it ended, or was not ready in time.
        """
        began = time.monotonic()
        with (self._folder / "shop.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._command],
                cwd=ROOT,
                env={
                    **os.environ,
                    "VITRINE_PORT": str(self.port),
                    "VITRINE_INTERNAL_PORT": str(self.internal_port),
                    "VITRINE_DATA": str(self._folder / "data"),
                    "VITRINE_FLAGS": str(self._folder / "flags.json"),
                    "VITRINE_SYNTHETIC_KEY": self.synthetic_key,
                    "VITRINE_PUBLIC_URL": self.base_url,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        while not self.books.ready():
            if self._process.poll() is not None or time.monotonic() - began > START_SECONDS:
                self.kill()
                raise CannotRehearse(f"the shop did not start; see {self._folder / 'shop.log'}")
            time.sleep(POLL_SECONDS)
        return time.monotonic() - began

    def kill(self) -> None:
        """Kill -9: no chance to tidy up."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


def _free_ports(count: int) -> tuple[int, ...]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return tuple(int(each.getsockname()[1]) for each in sockets)
