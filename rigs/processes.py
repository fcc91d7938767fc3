"""Real programs, run natively: found, started, waited for, paused, stopped, and never left behind.

Every process gets its own session and process group and a log file. It is stopped by the pid that
was started here, with its children. When this program itself is killed, the kernel ends the
process (see ``tether.py``).
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

TETHER = Path(__file__).with_name("tether.py")
POLL_SECONDS = 0.05
FURTHER_FOLDERS = ("/usr/sbin", "/usr/local/bin", "/usr/local/sbin")


class ProgramMissing(Exception):
    """A program is not installed; the message names the line that installs it."""


class NotReady(Exception):
    """A process ended or its time ran out before it was ready; the message has its last words."""


@dataclass(frozen=True)
class Program:
    """Something to install: the names that distributions give it, and Debian's package."""

    names: tuple[str, ...]
    package: str
    folders: tuple[str, ...] = ()

    def find(self) -> Path | None:
        """Where it is, or None."""
        path = os.pathsep.join([*self.folders, os.environ.get("PATH", ""), *FURTHER_FOLDERS])
        for name in self.names:
            found = shutil.which(name, path=path)
            if found:
                return Path(found)
        return None

    def require(self) -> Path:
        """Where it is.

        Raises:
            ProgramMissing: with the line that installs it on Debian.
        """
        found = self.find()
        if found is None:
            raise ProgramMissing(
                f"{self.names[0]} is not installed. On Debian or Ubuntu: "
                f"sudo apt-get install -y --no-install-recommends {self.package}"
            )
        return found


@dataclass(frozen=True)
class User:
    """A user without privileges, for programs that refuse to run as root."""

    uid: int
    gid: int


def unprivileged(*names: str) -> User | None:
    """The first existing one of ``names`` when this is root; None (stay who we are) otherwise."""
    if os.geteuid() != 0:
        return None
    for name in names:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return User(entry.pw_uid, entry.pw_gid)
    raise KeyError(f"none of the users {', '.join(names)} exists")


def wait_until(
    condition: Callable[[], bool], *, timeout_seconds: float, what: str = "condition"
) -> None:
    """Return when ``condition`` holds.

    Raises:
        NotReady: it did not hold within ``timeout_seconds``.
    """
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NotReady(f"{what}: not within {timeout_seconds:.0f} s")
        time.sleep(POLL_SECONDS)


def answers(url: str) -> bool:
    """Whether a GET of ``url`` is answered with a success now."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False, follow_redirects=True).is_success
    except httpx.HTTPError:
        return False


def descendants(pid: int) -> list[int]:
    """The children of a process and theirs (Linux; empty where /proc does not tell)."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        # A thread may end while it is looked at.
        with contextlib.suppress(OSError):
            for child in path.read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and only waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class ManagedProcess:
    """One program: ``start``, ``wait_ready``, ``pause`` and ``resume``, ``stop``; also a context.

    ``parent_death_signal`` is what it gets when this program dies without stopping it, and
    ``stop_signal`` what ``stop`` sends first. Start it from a thread that outlives it.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log_path: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        user: User | None = None,
        pipe_output: bool = False,
        stop_signal: signal.Signals = signal.SIGTERM,
        parent_death_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.command = tuple(str(part) for part in command)
        self.log_path = log_path
        self._environment = environment
        self._folder = folder
        self._user = user
        self._pipe_output = pipe_output
        self._stop_signal = stop_signal
        self._parent_death_signal = parent_death_signal
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id; the program must have been started."""
        return self._started().pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the program; its output goes to the end of its log (or to ``lines``)."""
        if self.running:
            raise RuntimeError(f"{self.name} is running already")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        uid, gid = (self._user.uid, self._user.gid) if self._user else (-1, -1)
        tether = [sys.executable, "-I", "-S", str(TETHER), str(int(self._parent_death_signal))]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*tether, str(os.getpid()), str(uid), str(gid), "--", *self.command],
                cwd=self._folder,
                env=None if self._environment is None else dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._pipe_output else log,
                stderr=subprocess.STDOUT if self._pipe_output else log,
                start_new_session=True,
            )

    def lines(self) -> Iterator[bytes]:
        """Output lines as they come, until the program ends; each is written to the log as well."""
        stream = self._started().stdout
        if stream is None:
            raise RuntimeError(f"{self.name} was not started with pipe_output")
        with self.log_path.open("ab") as log:
            for line in stream:
                log.write(line)
                log.flush()
                yield line

    def wait_ready(self, ready: str | Callable[[], bool], *, timeout_seconds: float = 30.0) -> None:
        """Return when a URL answers with a success or a predicate holds.

        Raises:
            NotReady: the program ended, or was not ready in time.
        """
        holds = partial(answers, ready) if isinstance(ready, str) else ready
        deadline = time.monotonic() + timeout_seconds
        while not holds():
            if not self.running:
                raise NotReady(f"{self.name} ended with code {self.exit_code}.\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise NotReady(
                    f"{self.name} was not ready within {timeout_seconds:.0f} s.\n{self.log_tail()}"
                )
            time.sleep(POLL_SECONDS)

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers, as in a long stall."""
        self.signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal_all(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a chance to tidy up (kill -9), with its children."""
        family = descendants(self.pid) if self.running else []
        self.signal_all(signal.SIGKILL)
        self._reap()
        wait_until(
            lambda: not any(map(alive, family)), timeout_seconds=10, what=f"{self.name} gone"
        )

    def ask_to_stop(self) -> None:
        """Send what ``stop`` sends and do not wait: several programs can end side by side."""
        process = self._process
        if process is not None and process.poll() is None:
            # Only the program itself is asked: it knows how to end its children.
            process.send_signal(self._stop_signal)
            process.send_signal(signal.SIGCONT)

    def stop(self, *, grace_seconds: float = 10.0) -> None:
        """Ask it to end, and end it with its children when it does not in ``grace_seconds``."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            self.ask_to_stop()
            try:
                process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                self.signal_all(signal.SIGKILL)
        self._reap()
        # Children that outlived it, if any, are still in its group.
        self.signal_all(signal.SIGKILL)

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the program and its descendants; those that are gone are passed over.

        The group alone is not enough: PostgreSQL's children each lead a session of their own.
        """
        family = descendants(self.pid) if self.running else []
        # The group's id is its leader's pid, since the program leads its own session.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
        for pid in family:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        try:
            text = self.log_path.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    def _reap(self) -> None:
        process = self._process
        if process is not None:
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
