"""Databases that are read-only, full, frozen, emptied or late, in both shapes of the shop."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from rigs.postgres import LocalPostgres
from rigs.processes import wait_until
from tests.doors.houses import LONG, House, opened

pytestmark = pytest.mark.integration

DATABASE_SECONDS = 4.0
"""What a request waits for its database, as shipped; and what it may take besides."""
BESIDES_SECONDS = 4.0

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
        answer.headers["retry-after"] == str(problem["retry_after_seconds"]),
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
    """Reach for cars until the disk has no room for one."""
    for _ in range(90):
        answer = shopper.hold()
        if answer.status_code != 201:
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
        for folder in (tmp_path.parents[1], tmp_path.parent, tmp_path):
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


def test_a_full_disk_of_the_embedded_shop_takes_no_holds_and_says_so_until_there_is_room(
    tmp_path: Path,
) -> None:
    with (
        small_disk(tmp_path / "disk", 256) as disk,
        opened("embedded", disk) as house,
        Shopper(house) as shopper,
    ):
        until_held(shopper)
        filler = fill(disk)
        refused = until_told(shopper)
        wait_until(lambda: not shopper.is_ready(), timeout_seconds=10, what="not ready")
        problems = shopper.readiness()
        shown = shopper.read("/se/en/cars")
        filler.unlink()
        until_held(shopper)
        wait_until(shopper.is_ready, timeout_seconds=30, what="it is ready again")

    assert (told_to_come_back(refused), shown) == (COME_BACK, 200)
    assert problems["checkout"] == FULL["checkout"]
