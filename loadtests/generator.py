"""Running the load: Locust in a process of its own, so that its CPU is measured and never ours."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCUSTFILE = ROOT / "loadtests" / "locustfile.py"
LOCUST_FAILED_REQUESTS = 1
"""Locust's exit code when some requests failed: the verdict weighs those, not Locust."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to generate. `pace` scales think times, `repeat_seconds` how long orders are retried."""

    shape: str
    mix: str
    base_rate: float
    seconds: float
    pace: float
    seed: int
    repeat_seconds: float = 10.0


class GeneratorFailed(Exception):
    """Locust itself ended badly; the message says where its log is."""


class Generator:
    """One Locust run, writing evidence into `folder`."""

    def __init__(self, load: Load, *, host: str, synthetic_key: str, folder: Path) -> None:
        self._log = folder / "locust.log"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._command = [
            *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless"),
            *("--host", host, "--users", "1", "--spawn-rate", "1"),
            *("--shape", load.shape, "--mix", load.mix, "--base-rate", str(load.base_rate)),
            *("--seconds", str(load.seconds), "--pace", str(load.pace), "--seed", str(load.seed)),
            *("--repeat-seconds", str(load.repeat_seconds), "--evidence", str(folder)),
            *("--csv", str(folder / "locust"), "--only-summary", "--stop-timeout", "5"),
        ]
        self._environment = {
            # Locust would take a host, users and tags from LOCUST_… of somebody's shell.
            **{key: value for key, value in os.environ.items() if not key.startswith("LOCUST_")},
            "VITRINE_SYNTHETIC_KEY": synthetic_key,
        }

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait(self) -> None:
        """Wait for the last shopper.

        Raises:
            GeneratorFailed: Locust ended with an error of its own.
        """
        code = self._process.wait() if self._process else 0
        if code not in (0, LOCUST_FAILED_REQUESTS):
            raise GeneratorFailed(f"Locust ended with code {code}; see {self._log}")

    def close_doors(self) -> None:
        """Let no further shopper in; `wait` then returns once those inside have left."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        """End it now; the evidence stays as it is."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@contextlib.contextmanager
def generating(load: Load, *, host: str, synthetic_key: str, folder: Path) -> Iterator[Generator]:
    """The load for as long as the block runs, at most."""
    generator = Generator(load, host=host, synthetic_key=synthetic_key, folder=folder)
    generator.start()
    try:
        yield generator
    finally:
        generator.stop()
