"""The whole shop as a process of its own, as `make demo` runs it, on free ports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rigs.processes import ManagedProcess
from rigs.shop import (
    START_SECONDS,
    free_addresses,
    operator_headers,
    shop_environment,
    shop_process,
)

SYNTHETIC_KEY = "a key for tests"
SESSION_KEY = "a session key for tests"
ALERT_KEY = "an alert key for tests"
OPERATOR = operator_headers(SESSION_KEY)
"""Opens the internal port."""
CONSOLE_PASSWORD = "a password for tests"


@dataclass(frozen=True)
class RunningShop:
    """A running embedded shop; `process` may be killed and started again on the same data."""

    base_url: str
    internal_url: str
    folder: Path
    process: ManagedProcess
    environment: dict[str, str]
    """What the process was told; its commands are told the same."""

    def ready(self) -> None:
        """Wait until it answers on both ports; the public one opens last."""
        self.process.wait_ready(f"{self.base_url}/", timeout_seconds=START_SECONDS)

    def metrics(self) -> str:
        """The classic text exposition of the internal port."""
        return httpx.get(f"{self.internal_url}/metrics", timeout=30, trust_env=False).text

    def log(self) -> list[dict[str, Any]]:
        """All JSON log lines so far."""
        lines = self.process.log_path.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def running_shop(folder: Path, **environment: str) -> Iterator[RunningShop]:
    """Start `python -m app` with its files in `folder`; stopped at the end of the block."""
    (address,) = free_addresses(1)
    different = {
        "VITRINE_SYNTHETIC_KEY": SYNTHETIC_KEY,
        "VITRINE_SESSION_KEY": SESSION_KEY,
        "VITRINE_ALERT_KEY": ALERT_KEY,
        "VITRINE_CONSOLE_PASSWORD": CONSOLE_PASSWORD,
        **environment,
    }
    told = shop_environment(folder, address, different=different)
    with shop_process(told, folder / "shop.log") as process:
        shop = RunningShop(address.url, address.internal_url, folder, process, told)
        shop.ready()
        yield shop
