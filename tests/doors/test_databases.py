"""Databases that are read-only, full, frozen, emptied or late, in both shapes of the shop."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from rigs.postgres import LocalPostgres
from rigs.processes import ManagedProcess, wait_until
from rigs.shop import ROOT, START_SECONDS, Address, free_addresses
from tests.doors.desks import Desk
from tests.doors.houses import LONG, House, opened

pytestmark = pytest.mark.integration

DATABASE_SECONDS = 4.0
"""What a request waits for its database, as shipped; and what it may take besides."""
BESIDES_SECONDS = 4.0

lengthy = pytest.mark.skipif(not LONG, reason="starts more shops, or a server anew: the long form")

_KEYS = count(1)


class Shopper:
    """Somebody who looks at cars and reaches for them, through the shop's front door."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._client = httpx.Client(base_url=house.url, trust_env=False, timeout=30)
        listed = self._client.get("/api/catalog/v1/cars", params={"market": "SE", "limit": 100})
        self._cars: Iterator[str] = iter([each["car_id"] for each in listed.json()["items"]])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def hold(self) -> httpx.Response:
        """Reach for another car."""
        return self._client.post(
            "/api/checkout/v1/holds",
            json={"car_id": next(self._cars)},
            headers={"idempotency-key": f'"databases-{next(_KEYS):08}"'},
        )

    def read(self, path: str) -> int:
        return self._client.get(path).status_code

    def violations(self) -> int:
        """Rows that break an invariant of checkout's."""
        address = f"{self._house.internal('checkout')}/internal/checkout/invariants"
        found = self._client.get(address, headers=self._house.operator)
        return sum(each["violations"] for each in found.json()["invariants"])

    def is_ready(self, service: str = "checkout") -> bool:
        return self.readiness(service) == {}

    def readiness(self, service: str = "checkout") -> dict[str, Any]:
        """What is wrong with a service, by itself."""
        answer = self._client.get(f"{self._house.internal(service)}/health/ready")
        found: dict[str, Any] = answer.json()["problems"]
        assert answer.is_success == (found == {})
        return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The production shape, whose PostgreSQL something happens to."""
    with opened("production", tmp_path_factory.mktemp("production")) as shop:
        yield shop


@pytest.fixture
def shopper(house: House) -> Iterator[Shopper]:
    with Shopper(house) as somebody:
        yield somebody


def postgres_of(house: House) -> LocalPostgres:
    assert house.postgres is not None
    return house.postgres


def told_to_come_back(answer: httpx.Response) -> tuple[Any, ...]:
    problem = answer.json()
    return (
        answer.status_code,
        problem["type"],
        answer.headers.get("retry-after") == str(problem.get("retry_after_seconds")),
    )


COME_BACK = (503, "/problems/temporarily-unavailable", True)


def until_held(shopper: Shopper) -> None:
    wait_until(lambda: shopper.hold().status_code == 201, timeout_seconds=30, what="a car is held")


def test_a_read_only_database_takes_no_holds_and_says_so_while_cars_are_shown(
    house: House, shopper: Shopper
) -> None:
    """As after a failover: the address leads to a server that takes nothing."""
    postgres = postgres_of(house)

    def become(read_only: str) -> None:
        postgres.query(f"ALTER DATABASE checkout SET default_transaction_read_only = {read_only}")
        postgres.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'checkout'"
        )

    until_held(shopper)
    become("on")
    refused = [shopper.hold() for _ in range(3)]
    wait_until(lambda: not shopper.is_ready(), timeout_seconds=10, what="checkout is not ready")
    problems = shopper.readiness()
    shown = [shopper.read("/se/en"), shopper.read("/se/en/cars"), shopper.is_ready("storefront")]
    become("off")
    wait_until(shopper.is_ready, timeout_seconds=30, what="checkout is ready again")

    assert [told_to_come_back(answer) for answer in refused] == [COME_BACK] * 3
    assert problems == {"checkout": "The database takes nothing: it is read-only."}
    assert shown == [200, 200, True]
    until_held(shopper)


def test_a_frozen_database_is_told_of_within_one_deadline(house: House, shopper: Shopper) -> None:
    postgres = postgres_of(house)
    shopper.read("/se/en/cars")  # makes a session
    until_held(shopper)
    postgres.pause()
    try:
        answers = [
            timed(lambda: shopper.hold().status_code),
            timed(lambda: shopper.read("/api/checkout/v1/holds")),
            timed(lambda: shopper.read("/se/en/cars")),
            timed(lambda: 200 if shopper.is_ready() else 503),
        ]
        if LONG:
            with ThreadPoolExecutor(40) as crowd:
                asked = [crowd.submit(timed, lambda: shopper.hold().status_code) for _ in range(40)]
                crowded = [each.result() for each in asked]
    finally:
        postgres.resume()

    assert [status for status, _ in answers] == [503, 503, 200, 503]
    assert max(seconds for _, seconds in answers) < DATABASE_SECONDS + BESIDES_SECONDS
    if LONG:
        assert {status for status, _ in crowded} == {503}
        assert max(seconds for _, seconds in crowded) < DATABASE_SECONDS + BESIDES_SECONDS
    until_held(shopper)


def timed(ask: Callable[[], int]) -> tuple[int, float]:
    """A status, and the seconds until it came."""
    began = time.monotonic()
    return ask(), time.monotonic() - began


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """A file system of its own; skips where one cannot be made."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte free; deleting the returned file frees it all."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return filler


def until_told(shopper: Shopper) -> httpx.Response:
    """Reach for cars until the disk has no room for one; somebody may have the first ones."""
    for _ in range(90):
        answer = shopper.hold()
        if answer.status_code not in (201, 409):
            return answer
    raise AssertionError("the disk has room for everybody")


FULL = {"checkout": "The database takes nothing: its disk is full."}


def test_a_full_disk_of_postgresql_takes_no_holds_and_says_so_until_there_is_room(
    house: House, shopper: Shopper, tmp_path: Path
) -> None:
    postgres = postgres_of(house)
    with small_disk(tmp_path / "disk", 64) as disk:
        place = disk / "space"
        place.mkdir()
        for folder in (tmp_path, *tmp_path.parents):
            if folder == Path(tempfile.gettempdir()):
                break
            folder.chmod(0o755)
        subprocess.run(["chown", "--reference", str(postgres.folder), str(place)], check=True)
        postgres.query(f"CREATE TABLESPACE small LOCATION '{place}'")
        moved = "ALL IN TABLESPACE {} SET TABLESPACE {}"
        for kind in ("TABLE", "INDEX"):
            postgres.query(
                f"ALTER {kind} {moved.format('pg_default', 'small')}", database="checkout"
            )
        until_held(shopper)
        filler = fill(disk)
        refused = until_told(shopper)
        problems = shopper.readiness()
        shown = shopper.read("/se/en/cars")
        filler.unlink()
        until_held(shopper)
        wait_until(shopper.is_ready, timeout_seconds=30, what="checkout is ready again")
        for kind in ("TABLE", "INDEX"):
            postgres.query(
                f"ALTER {kind} {moved.format('small', 'pg_default')}", database="checkout"
            )
        postgres.query("DROP TABLESPACE small")

    assert (told_to_come_back(refused), problems, shown) == (COME_BACK, FULL, 200)


RUNBOOK = ROOT / "alerts" / "runbooks" / "DiskFullSoon.md"


@lengthy
def test_a_full_disk_of_the_embedded_shop_is_said_and_mended_by_its_runbook(tmp_path: Path) -> None:
    with small_disk(tmp_path / "var", 192) as disk:
        (disk / "data").mkdir()
        with closing(sqlite3.connect(disk / "data" / "traces.db")) as traces:
            traces.execute("CREATE TABLE much AS SELECT zeroblob(32 * 1024 * 1024) AS traced")
            traces.commit()
        with opened("embedded", disk) as house, Shopper(house) as shopper:
            until_held(shopper)
            fill(disk)
            refused = until_told(shopper)
            wait_until(lambda: not shopper.is_ready(), timeout_seconds=10, what="not ready")
            problems = shopper.readiness()
            shown = shopper.read("/se/en/cars")
            shop = house.processes["checkout"]
            shop.stop()
            desk = Desk(house, tmp_path / "desk")
            removed = [done.returncode for done in desk.type(RUNBOOK, "rm")]
            shop.start()
            shop.wait_ready(f"{house.url}/", timeout_seconds=START_SECONDS)
            until_held(shopper)
            ready = shopper.readiness()
            looked = [done.returncode for done in desk.type(RUNBOOK, "python deploy/ask.py")]
            violations = shopper.violations()

    assert (told_to_come_back(refused), shown) == (COME_BACK, 200)
    assert problems["checkout"] == FULL["checkout"]
    assert (ready, violations, removed, looked) == ({}, 0, [0, 0], [0, 0])


@lengthy
def test_a_database_that_somebody_keeps_locked_is_told_of_and_an_emptied_one_is_no_new_shop(
    tmp_path: Path,
) -> None:
    checkout = tmp_path / "data" / "checkout.db"
    with opened("embedded", tmp_path) as house, Shopper(house) as shopper:
        until_held(shopper)
        with closing(sqlite3.connect(checkout, isolation_level=None)) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            locked, seconds = timed(lambda: shopper.hold().status_code)
            shown = shopper.read("/se/en/cars")
            problems = shopper.readiness()
        until_held(shopper)
        shop = house.processes["checkout"]
        shop.stop()
        for path in checkout.parent.glob("checkout.db*"):
            path.write_bytes(b"")
        shop.start()
        wait_until(lambda: not shop.running, timeout_seconds=START_SECONDS, what="it has ended")
        told = shop.log_tail(1)
        ended = shop.exit_code
        record = tmp_path / "data" / "made.txt"
        record.write_text(record.read_text().replace("checkout.db\n", ""))
        shop.start()
        shop.wait_ready(f"{house.internal('checkout')}/health/live", timeout_seconds=START_SECONDS)
        desk = Desk(house, tmp_path / "desk")
        document = ROOT / "docs" / "restoring.md"
        said = [
            desk.type(document, "python -m app.checkout restored", service=name)[0].returncode
            for name in ("checkout", "catalog")
        ]
        shop.wait_ready(f"{house.url}/", timeout_seconds=START_SECONDS)
        again = shopper.readiness()

    assert (locked, shown, said, again) == (503, 200, [0, 0], {})
    assert seconds < DATABASE_SECONDS + BESIDES_SECONDS
    assert set(problems) == {"checkout"}
    assert ended == 2
    assert told == (
        f"vitrine cannot start: {checkout} is missing or empty, and this shop has had one:"
        " restore it (docs/on-call.md, *Restoring*). If a new one is meant, delete the line"
        f" checkout.db from {record}."
    )


AHEAD = (
    "import runpy, sys; from datetime import timedelta; from app.kernel.clock import SystemClock;"
    " own = SystemClock.now; SystemClock.now = lambda self: own(self) + timedelta(minutes=16);"
    " sys.argv = ['app.checkout']; runpy.run_module('app.checkout', run_name='__main__')"
)
"""Checkout on a machine whose clock is sixteen minutes ahead: longer than a hold lasts."""


@lengthy
def test_a_replica_whose_clock_is_ahead_ends_nobody_s_hold(house: House, shopper: Shopper) -> None:
    (address,) = free_addresses(1)
    environment = {
        **house.environment("checkout"),
        "CHECKOUT_PORT": str(address.port),
        "CHECKOUT_INTERNAL_PORT": str(address.internal_port),
    }
    log = house.processes["checkout"].log_path.with_name("ahead.log")
    command = [sys.executable, "-c", AHEAD]
    held = shopper.hold().json()
    with ManagedProcess(
        "checkout ahead", command, log_path=log, environment=environment, folder=ROOT
    ) as ahead:
        ahead.wait_ready(address.ready_url, timeout_seconds=START_SECONDS)
        wait_until(lambda: 955 < skew(address) < 965, timeout_seconds=60, what="skew is told")
        first = sweeper(house)
        house.processes["checkout"].pause()  # the other one sweeps now
        try:
            wait_until(lambda: sweeper(house) != first, timeout_seconds=60, what="it sweeps")
            path = f"/api/checkout/v1/holds/{held['hold_id']}"
            still = httpx.get(f"{address.url}{path}", trust_env=False, timeout=30)
        finally:
            house.processes["checkout"].resume()

    assert (still.status_code, still.json()) == (200, held)
    assert shopper.read(path) == 200


def skew(address: Address) -> float:
    """How far a process says that its machine is ahead of its database."""
    text = httpx.get(f"{address.internal_url}/metrics", trust_env=False, timeout=30).text
    found = re.search(r"^clock_skew_seconds\{.*\} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def sweeper(house: House) -> str:
    """Which process ends the holds that ran out."""
    found = "SELECT holder FROM leases WHERE name = 'job:sweep'"
    return postgres_of(house).query(found, database="checkout")


@lengthy
def test_a_primary_that_became_a_standby_is_survived_until_it_is_promoted(
    house: House, shopper: Shopper
) -> None:
    postgres = postgres_of(house)
    until_held(shopper)
    postgres.stop()
    (postgres.folder / "data" / "standby.signal").touch()
    postgres.start()
    wait_until(lambda: shopper.hold().status_code == 503, timeout_seconds=30, what="refused")
    refused = shopper.hold()
    wait_until(
        lambda: shopper.readiness() == {"checkout": "The database takes nothing: it is read-only."},
        timeout_seconds=30,
        what="it is told as read-only",
    )
    shown = shopper.read("/se/en/cars")
    postgres.query("SELECT pg_promote()")
    until_held(shopper)
    wait_until(shopper.is_ready, timeout_seconds=30, what="checkout is ready again")

    assert (told_to_come_back(refused), shown) == (COME_BACK, 200)
