"""A whole stack for a rehearsal, on free ports with fresh data, until standard input closes.

    python -m rigs.rehearsal --folder DIR [--scale 12] [--webhook URL]

Starts the shop in embedded mode, Prometheus scraping every second with the alert rules at rehearsal
scale, and Alertmanager telling URL. Prints one line of JSON with the addresses once everything
answers; a failure is one line of text on standard error and exit code 1. The load tests run this as
a program, because they may not import it.
"""

import argparse
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rigs.alertmanager import LocalAlertmanager
from rigs.ports import LOOPBACK, free_ports
from rigs.processes import ManagedProcess, NotReady, ProgramMissing
from rigs.prometheus import LocalPrometheus, Target

ROOT = Path(__file__).resolve().parent.parent
SCRAPE_SECONDS = 1
START_SECONDS = 120.0
REHEARSAL_CARS = 400
"""Cars per market: enough for the abandoned holds of a five-minute day, which expire later."""


def shop(folder: Path, *, port: int, internal_port: int, synthetic_key: str) -> ManagedProcess:
    """The embedded shop with data, flags and log in `folder`; not started."""
    return ManagedProcess(
        "The shop",
        [sys.executable, "-m", "app"],
        log_path=folder / "shop.log",
        environment={
            **os.environ,
            "VITRINE_PORT": str(port),
            "VITRINE_INTERNAL_PORT": str(internal_port),
            "VITRINE_DATA": str(folder / "data"),
            "VITRINE_FLAGS": str(folder / "flags.json"),
            "VITRINE_SYNTHETIC_KEY": synthetic_key,
            "VITRINE_PUBLIC_URL": f"http://{LOOPBACK}:{port}",
            "CATALOG_REHEARSAL_TARGET": str(REHEARSAL_CARS),
            "CATALOG_REHEARSAL_LEAST": str(REHEARSAL_CARS // 2),
        },
        folder=ROOT,
    )


def render_rules(folder: Path, *, scale: float, webhook: str, console: str) -> None:
    """Alert rules and Alertmanager's configuration with windows divided by `scale`."""
    subprocess.run(
        [
            *(sys.executable, "-m", "alerts.build", "--out", str(folder), "--scale", str(scale)),
            *("--scrape", str(SCRAPE_SECONDS), "--webhook", webhook, "--console", console),
        ],
        check=True,
        cwd=ROOT,
    )


def run(folder: Path, *, scale: float, webhook: str | None) -> None:
    """Start everything, print the addresses, wait for the end of input, stop everything."""
    port, internal_port = free_ports(2)
    base, internal = f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{internal_port}"
    key = secrets.token_urlsafe(24)
    told = webhook or f"{internal}/internal/insight/alerts"
    render_rules(folder / "alerts", scale=scale, webhook=told, console=f"{base}/console")
    with contextlib.ExitStack() as running:
        embedded = running.enter_context(
            shop(folder, port=port, internal_port=internal_port, synthetic_key=key)
        )
        receiver = running.enter_context(
            LocalAlertmanager(
                folder / "alertmanager", configuration=folder / "alerts" / "alertmanager.yml"
            )
        )
        embedded.wait_ready(f"{internal}/health/ready", timeout_seconds=START_SECONDS)
        embedded.wait_ready(f"{base}/", timeout_seconds=START_SECONDS)
        scraper = running.enter_context(
            LocalPrometheus(
                folder / "prometheus",
                targets=[Target(f"{LOOPBACK}:{internal_port}", {"component": "vitrine"})],
                alertmanager=receiver.address,
                interval_seconds=SCRAPE_SECONDS,
                rules=folder / "alerts" / "rules",
            )
        )
        scraper.wait_scraped()
        addresses = {
            "base_url": base,
            "internal_url": internal,
            "prometheus_url": scraper.url,
            "alertmanager_url": receiver.url,
            "flags_file": str(folder / "flags.json"),
            "synthetic_key": key,
            "shop_pid": embedded.pid,
        }
        sys.stdout.write(json.dumps(addresses) + "\n")
        sys.stdout.flush()
        # Whoever started us holds the other end; the kernel closes it also when they are killed.
        while sys.stdin.read(1):
            pass


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m rigs.rehearsal", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="for data, logs, rendered rules")
    parser.add_argument("--scale", type=float, default=12.0, help="divide alert windows by this")
    parser.add_argument("--webhook", help="where Alertmanager tells; default: the shop's console")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        run(chosen.folder.resolve(), scale=chosen.scale, webhook=chosen.webhook)
    except KeyboardInterrupt:
        return 0
    except (ProgramMissing, NotReady, OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
