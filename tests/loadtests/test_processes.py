"""The generator and the trickle as the programs that they are, against a small real shop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtests.evidence import read_generator, read_plan, read_requests, read_visits
from loadtests.generator import LOCUSTFILE, Load, generating
from loadtests.orders import orders_seen, read_orders
from tests.loadtests.standin import Mischief, Standin

pytestmark = pytest.mark.integration

ROOT = LOCUSTFILE.parents[1]


def _wait(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def test_locust_runs_the_planned_day_and_leaves_evidence(tmp_path: Path) -> None:
    load = Load("smoke", "trickle", 8.0, 3.0, 0.01, 11)
    with (
        Standin(Mischief(sells_twice=True)) as shop,
        generating(load, host=shop.url, synthetic_key="k", folder=tmp_path) as generator,
    ):
        generator.wait()
        asked = len(shop.requests)
        confirmed = {o["order_id"] for o in shop.orders.values() if o["confirmed_at"]}
    plan, visits, requests = read_plan(tmp_path), read_visits(tmp_path), read_requests(tmp_path)
    assert plan.ended_at > plan.started_at
    assert len(visits) == plan.expected_visits > 10
    assert {visit.ending for visit in visits} <= {"bounced", "browsed", "abandoned", "confirmed"}
    assert len(requests) == asked
    assert set(orders_seen(read_orders(tmp_path / "orders.jsonl"), "confirmed")) == confirmed
    assert read_generator(tmp_path)


def test_closed_doors_end_the_run_early_and_in_order(tmp_path: Path) -> None:
    load = Load("smoke", "trickle", 8.0, 600.0, 0.01, 11)
    with (
        Standin() as shop,
        generating(load, host=shop.url, synthetic_key="k", folder=tmp_path) as generator,
    ):
        _wait(lambda: len(shop.requests) > 10)
        generator.close_doors()
        generator.wait()
    plan = read_plan(tmp_path)
    assert plan.ended_at > 0
    assert len(read_visits(tmp_path)) == plan.expected_visits


def test_failures_are_counted_and_do_not_stop_the_run(tmp_path: Path) -> None:
    load = Load("smoke", "trickle", 8.0, 2.0, 0.01, 11)
    with (
        Standin(Mischief(broken_pages=True)) as shop,
        generating(load, host=shop.url, synthetic_key="k", folder=tmp_path) as generator,
    ):
        generator.wait()
    assert any(request.failed for request in read_requests(tmp_path))
    assert read_plan(tmp_path).ended_at > 0


def test_the_trickle_survives_a_shop_that_is_away_and_ends_on_sigterm() -> None:
    with Standin() as shop:
        away = shop.url
    environment = {**os.environ, "A_KEY": "k"}
    command = [sys.executable, "-m", "loadtests", "trickle", "--every-seconds", "0.05"]
    command += ["--base-url", away, "--synthetic-key-env", "A_KEY"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        with Standin(port=int(away.rpartition(":")[2])) as shop:
            _wait(lambda: len(shop.requests) > 5)
            assert shop.requests[0].headers["x-vitrine-synthetic"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
