"""Processes that are killed or restarted: the shop goes on, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import httpx
import pytest

from rigs.processes import alive, descendants, wait_until
from rigs.production import LocalProduction
from rigs.shop import START_SECONDS
from tests.builders.running import running_shop
from tests.doors.houses import LONG

pytestmark = pytest.mark.integration

WORKERS = 3 if LONG else 2


def test_killed_workers_are_replaced_and_none_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    with running_shop(tmp_path, VITRINE_WORKERS=str(WORKERS)) as shop:

        def workers() -> list[int]:
            return sorted(filter(alive, descendants(shop.process.pid)))

        def buys() -> bool:
            try:
                return httpx.get(f"{shop.base_url}/se/en", trust_env=False, timeout=30).is_success
            except httpx.TransportError:
                return False  # it was that worker's

        wait_until(lambda: len(workers()) == WORKERS, timeout_seconds=START_SECONDS)
        for killed in workers() if LONG else workers()[:1]:
            os.kill(killed, signal.SIGKILL)
            wait_until(
                lambda: len(workers()) == WORKERS and killed not in workers(),  # noqa: B023
                timeout_seconds=START_SECONDS,
                what="another worker",
            )
            wait_until(buys, timeout_seconds=START_SECONDS, what="a page")
        last = workers()
        os.kill(shop.process.pid, signal.SIGKILL)
        wait_until(
            lambda: not any(map(alive, last)), timeout_seconds=60, what="the end of all workers"
        )

    assert "Traceback" not in (tmp_path / "shop.log").read_text()


@pytest.mark.skipif(not LONG, reason="its short form is tests/deploy/test_restarts.py")
def test_two_replicas_each_restart_and_no_page_or_hold_is_lost(tmp_path: Path) -> None:
    """Each is away for as long as it takes to start; the next one follows at once."""
    shop = LocalProduction(
        tmp_path,
        environment={"CHECKOUT_MAX_HOLDS_PER_ADDRESS": "100000"},
        twice=("checkout", "storefront"),
    )
    answers: Counter[tuple[str, int]] = Counter()
    stop = threading.Event()

    def look() -> None:
        with httpx.Client(base_url=shop.gateway.url, trust_env=False, timeout=60) as browser:
            while not stop.wait(0.1):
                answers["page", browser.get("/se/en/cars").status_code] += 1

    def hold(cars: list[str]) -> None:
        with httpx.Client(base_url=shop.gateway.url, trust_env=False, timeout=60) as browser:
            for number in count():
                if stop.wait(0.1):
                    return
                answer = browser.post(
                    "/api/checkout/v1/holds",
                    json={"car_id": cars[number % len(cars)]},
                    headers={"idempotency-key": f'"{os.urandom(8).hex()}"'},
                )
                answers["hold", answer.status_code] += 1

    with ExitStack() as running:
        running.enter_context(shop)
        with httpx.Client(base_url=shop.gateway.url, trust_env=False, timeout=60) as browser:
            listed = browser.get("/api/catalog/v1/cars?market=SE&limit=100").json()["items"]
        cars = [car["car_id"] for car in listed]
        shoppers = [
            *(threading.Thread(target=look) for _ in range(2)),
            *(threading.Thread(target=hold, args=(cars[half::2],)) for half in range(2)),
        ]
        for shopper in shoppers:
            shopper.start()
        for name in ("checkout", "storefront"):
            for address, replica in shop.replicas(name).items():
                replica.stop()
                replica.start()
                replica.wait_ready(address.ready_url, timeout_seconds=START_SECONDS)
        stop.set()
        for shopper in shoppers:
            shopper.join()

    # A fifth of the stock is all that strangers hold: then they are told so.
    assert set(answers) <= {("page", 200), ("hold", 201), ("hold", 409), ("hold", 429)}
    assert min(answers["page", 200], answers["hold", 201] + answers["hold", 409]) > 50
