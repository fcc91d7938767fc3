"""Two replicas of a service behind the real gateway, restarted one right after the other."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from rigs.nginx import LocalGateway
from rigs.ports import LOOPBACK
from rigs.processes import ManagedProcess
from rigs.shop import SERVICES, Address, free_addresses, shop_environment, shop_process

pytestmark = pytest.mark.integration


def replica(folder: Path, address: Address) -> ManagedProcess:
    environment = shop_environment(
        folder / str(address.port),
        address,
        service="sandbox",
        different={"CHECKOUT_URL": f"http://{LOOPBACK}:9"},
    )
    return shop_process(environment, folder / f"{address.port}.log", service="sandbox")


def test_replicas_restart_side_by_side_without_a_failed_request(tmp_path: Path) -> None:
    addresses = free_addresses(2)
    replicas = [replica(tmp_path, address) for address in addresses]
    behind = " ".join(f"{LOOPBACK}:{address.port}" for address in addresses)
    gateway = LocalGateway(
        tmp_path / "gateway",
        services=dict.fromkeys(SERVICES, f"{LOOPBACK}:9") | {"sandbox": behind},
    )
    answers: Counter[tuple[str, int]] = Counter()
    stop = threading.Event()

    def shop(method: str, path: str) -> None:
        with httpx.Client(trust_env=False, timeout=30) as browser:
            while not stop.wait(0.02):
                answer = browser.request(method, f"{gateway.url}{path}")
                answers[method, answer.status_code] += 1

    with ExitStack() as running:
        for each, address in zip(replicas, addresses, strict=True):
            running.enter_context(each)
            each.wait_ready(address.ready_url, timeout_seconds=60)
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
        for restarted, address in zip(replicas, addresses, strict=True):
            restarted.stop()
            restarted.start()
            restarted.wait_ready(address.ready_url, timeout_seconds=60)
        stop.set()
        for shopper in shoppers:
            shopper.join()

    assert set(answers) == {("GET", 200), ("POST", 404)}
    assert min(answers.values()) > 50
