"""Two replicas of a service behind the real gateway, restarted one right after the other."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from rigs.nginx import LocalGateway
from rigs.ports import LOOPBACK, free_ports
from rigs.postgres import SERVICES
from rigs.processes import ManagedProcess

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


def replica(folder: Path, port: int, internal_port: int) -> ManagedProcess:
    return ManagedProcess(
        f"sandbox on {port}",
        [sys.executable, "-m", "app.sandbox"],
        log_path=folder / f"{port}.log",
        environment={
            **{key: value for key, value in os.environ.items() if not key.startswith("VITRINE_")},
            "SANDBOX_PORT": str(port),
            "SANDBOX_INTERNAL_PORT": str(internal_port),
            "VITRINE_DATA": str(folder / str(port)),
            "VITRINE_FLAGS": str(folder / "flags.json"),
            "CHECKOUT_URL": f"http://{LOOPBACK}:9",
        },
        folder=ROOT,
    )


def test_replicas_restart_side_by_side_without_a_failed_request(tmp_path: Path) -> None:
    ports = free_ports(4)
    replicas = [replica(tmp_path, *ports[at : at + 2]) for at in (0, 2)]
    addresses = " ".join(f"{LOOPBACK}:{port}" for port in ports[::2])
    gateway = LocalGateway(
        tmp_path / "gateway",
        services=dict.fromkeys(SERVICES, f"{LOOPBACK}:9") | {"sandbox": addresses},
    )
    answers: Counter[tuple[str, int]] = Counter()
    stop = threading.Event()

    def shop(method: str, path: str) -> None:
        with httpx.Client(trust_env=False, timeout=30) as browser:
            while not stop.wait(0.02):
                answer = browser.request(method, f"{gateway.url}{path}")
                answers[method, answer.status_code] += 1

    with ExitStack() as running:
        for each, internal in zip(replicas, ports[1::2], strict=True):
            running.enter_context(each)
            each.wait_ready(f"http://{LOOPBACK}:{internal}/health/ready", timeout_seconds=60)
        running.enter_context(gateway)
        shoppers = [
            threading.Thread(target=shop, args=(method, path))
            for method, path in (
                ("GET", "/sandbox/style.css"),
                ("POST", "/sandbox/pay/pay_nobody"),
                ("POST", "/sandbox/pay/pay_nobody/challenge"),
            )
        ]
        for shopper in shoppers:
            shopper.start()
        for restarted, internal in zip(replicas, ports[1::2], strict=True):
            restarted.stop()
            restarted.start()
            restarted.wait_ready(f"http://{LOOPBACK}:{internal}/health/ready", timeout_seconds=60)
        stop.set()
        for shopper in shoppers:
            shopper.join()

    assert set(answers) == {("GET", 200), ("POST", 404)}
    assert min(answers.values()) > 50
