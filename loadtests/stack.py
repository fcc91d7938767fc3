"""Where the stack under test is: given by addresses, or started for this run and ended with it."""

import contextlib
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtests.books import Books
from loadtests.watching import AlertmanagerApi, PrometheusApi
from rigs.processes import NotReady, ProgramMissing
from rigs.rehearsal import rehearsal
from rigs.shop import (
    START_SECONDS,
    free_addresses,
    operator_headers,
    shop_environment,
    shop_process,
)

STOP_SECONDS = 30.0


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
    session_key: str
    """Makes the operator's key of the internal port."""

    @property
    def books(self) -> Books:
        return Books(self.internal_url, operator_headers(self.session_key))

    @property
    def prometheus(self) -> PrometheusApi:
        return PrometheusApi(self.prometheus_url)

    @property
    def alertmanager(self) -> AlertmanagerApi:
        return AlertmanagerApi(self.alertmanager_url)


@contextlib.contextmanager
def started_stack(folder: Path, *, scale: float, webhook: str | None = None) -> Iterator[Stack]:
    """A stack of our own on free ports, with its files in `folder`; it never outlives us.

    Raises:
        CannotRehearse: it did not start; the message has its last words.
    """
    with contextlib.ExitStack() as running:
        try:
            found = running.enter_context(rehearsal(folder, scale=scale, webhook=webhook))
        except (ProgramMissing, NotReady, OSError, subprocess.CalledProcessError) as error:
            raise CannotRehearse(f"the stack did not start ({folder}): {error}") from error
        yield Stack(
            base_url=found.shop.url,
            internal_url=found.shop.internal_url,
            prometheus_url=found.prometheus_url,
            alertmanager_url=found.alertmanager_url,
            flags_file=found.flags_file,
            synthetic_key=found.synthetic_key,
            session_key=found.session_key,
        )


class MortalShop:
    """An embedded shop that this run may kill: same ports and data each time it is started."""

    def __init__(self, folder: Path) -> None:
        (address,) = free_addresses(1)
        self.base_url, self.internal_url = address.url, address.internal_url
        self.synthetic_key, self._session_key = (secrets.token_urlsafe(24) for _ in range(2))
        different = {
            "VITRINE_SYNTHETIC_KEY": self.synthetic_key,
            "VITRINE_SESSION_KEY": self._session_key,
            "VITRINE_PUBLIC_URL": address.url,
        }
        self._process = shop_process(
            shop_environment(folder, address, different=different), folder / "shop.log"
        )

    @property
    def books(self) -> Books:
        return Books(self.internal_url, operator_headers(self._session_key))

    def start(self) -> float:
        """Start it and wait until it is ready; returns the seconds that took.

        Raises:
            CannotRehearse: it ended, or was not ready in time.
        """
        began = time.monotonic()
        self._process.start()
        try:
            self._process.wait_ready(self.books.ready, timeout_seconds=START_SECONDS)
        except NotReady as error:
            self.kill()
            raise CannotRehearse(f"the shop did not start: {error}") from error
        return time.monotonic() - began

    def kill(self) -> None:
        """Kill -9: no chance to tidy up."""
        self._process.kill()

    def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        self._process.stop(grace_seconds=STOP_SECONDS)
