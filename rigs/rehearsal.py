"""A whole stack for a rehearsal, on free ports with fresh data: the embedded shop and its watchers.

Prometheus scrapes every second with the alert rules at rehearsal scale, Alertmanager tells a
webhook. All of it ends with whoever started it, even when that is killed.
"""

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rigs.alertmanager import LocalAlertmanager
from rigs.ports import LOOPBACK
from rigs.processes import ManagedProcess
from rigs.prometheus import LocalPrometheus, Target
from rigs.shop import ROOT, START_SECONDS, Address, free_addresses, shop_environment, shop_process

SCRAPE_SECONDS = 1
REHEARSAL_CARS = 400
"""Cars per market: enough for the abandoned holds of a five-minute day, which expire later."""


@dataclass(frozen=True)
class Rehearsal:
    """What runs, and where."""

    shop: Address
    prometheus_url: str
    alertmanager_url: str
    flags_file: Path
    synthetic_key: str
    session_key: str


@contextlib.contextmanager
def rehearsal(folder: Path, *, scale: float, webhook: str | None = None) -> Iterator[Rehearsal]:
    """Everything, answering, with alert windows divided by `scale` and files in `folder`.

    Without a `webhook` Alertmanager tells the shop's console.

    Raises:
        ProgramMissing, NotReady, OSError, subprocess.CalledProcessError: it did not start.
    """
    (shop,) = free_addresses(1)
    keys = {
        f"VITRINE_{name}_KEY": secrets.token_urlsafe(24)
        for name in ("SYNTHETIC", "SESSION", "ALERT")
    }
    told = webhook or f"{shop.internal_url}/internal/insight/alerts"
    _render_rules(folder / "alerts", scale=scale, webhook=told, console=f"{shop.url}/console")
    with contextlib.ExitStack() as running:
        embedded = running.enter_context(_shop(folder, shop, keys))
        receiver = running.enter_context(
            LocalAlertmanager(
                folder / "alertmanager",
                key=keys["VITRINE_ALERT_KEY"],
                configuration=folder / "alerts" / "alertmanager.yml",
            )
        )
        embedded.wait_ready(shop.ready_url, timeout_seconds=START_SECONDS)
        embedded.wait_ready(f"{shop.url}/", timeout_seconds=START_SECONDS)
        scraper = running.enter_context(
            LocalPrometheus(
                folder / "prometheus",
                targets=[Target(f"{LOOPBACK}:{shop.internal_port}", {"component": "vitrine"})],
                alertmanager=receiver.address,
                interval_seconds=SCRAPE_SECONDS,
                rules=folder / "alerts" / "rules",
            )
        )
        scraper.wait_scraped()
        yield Rehearsal(
            shop,
            scraper.url,
            receiver.url,
            folder / "flags.json",
            keys["VITRINE_SYNTHETIC_KEY"],
            keys["VITRINE_SESSION_KEY"],
        )


def _shop(folder: Path, address: Address, keys: Mapping[str, str]) -> ManagedProcess:
    """The embedded shop with data, flags and log in `folder`; not started."""
    different = {
        **keys,
        "VITRINE_PUBLIC_URL": address.url,
        "CATALOG_REHEARSAL_TARGET": str(REHEARSAL_CARS),
        "CATALOG_REHEARSAL_LEAST": str(REHEARSAL_CARS // 2),
    }
    return shop_process(shop_environment(folder, address, different=different), folder / "shop.log")


def _render_rules(folder: Path, *, scale: float, webhook: str, console: str) -> None:
    """Alert rules and Alertmanager's configuration with windows divided by `scale`."""
    subprocess.run(
        [
            *(sys.executable, "-m", "alerts.build", "--out", str(folder), "--scale", str(scale)),
            *("--scrape", str(SCRAPE_SECONDS), "--webhook", webhook, "--console", console),
        ],
        check=True,
        cwd=ROOT,
    )
