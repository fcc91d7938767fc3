"""A stock as large as it may be is imported and served within the containers' memory."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import httpx
import pytest
import yaml

from app.catalog.settings import CatalogSettings
from app.contracts.catalog import Fuel
from rigs.processes import wait_until
from tests.builders.feeds import exported
from tests.doors.houses import LONG, House, opened

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not LONG, reason="thirty thousand cars take minutes: the long form"),
]

ROOT = Path(__file__).parents[2]
MOST = CatalogSettings.model_fields["most_cars"].default
SHARE = 0.9
MEBIBYTE = 1024
CHARACTERS = 2_000
"""Of each car's description: what nobody reads of a row is sent all the same."""


def _limits() -> dict[str, int]:
    """`mem_limit` of each container in MiB."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return {
        name: int(service["mem_limit"].removesuffix("m"))
        for name, service in compose["services"].items()
    }


def _private(house: House) -> dict[str, int]:
    """Memory of each process that no limit can take back, in MiB."""
    found = {}
    for name, process in house.processes.items():
        try:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        except OSError:  # it is being restarted
            continue
        kilobytes = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
        if kilobytes:
            found[name] = int(kilobytes[1]) // MEBIBYTE
    return found


@contextmanager
def _peaks(house: House) -> Iterator[dict[str, int]]:
    """The most that `_private` finds of each process in the block, looked at all the time."""
    most: dict[str, int] = {}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for name, mebibytes in _private(house).items():
                most[name] = max(most.get(name, 0), mebibytes)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield most
    finally:
        over.set()
        looking.join()


def test_the_largest_stock_is_imported_and_served_within_nine_tenths_of_the_limits(
    tmp_path: Path,
) -> None:
    limits = _limits()
    with opened("production", tmp_path) as house, _peaks(house) as used:
        shipped = _on_sale(house, market="SE")
        count = MOST - _on_sale(house)
        _tell("idle", used)
        for krone in (0, 1):  # the second time each car costs something else
            began = time.monotonic()
            answer = _send(house, exported(count, dearer=krone, characters=CHARACTERS))
            assert (answer.status_code, answer.json()["accepted"]) == (200, count)
            _tell(f"{count} cars imported in {time.monotonic() - began:.0f} s", used)
            _wait(house, shipped + count)
            _tell("and read by the advisor", used)
        for name in ("catalog", "advisor"):
            house.processes[name].stop()
            house.processes[name].start()
        _wait(house, shipped + count)
        _tell("started again", _private(house))
        one_more = _send(house, exported(count + 1, characters=0))
        assert (one_more.status_code, one_more.json()["type"]) == (
            422,
            "/problems/stock-too-large",
        )
        assert "CATALOG_MOST_CARS" in one_more.json()["detail"]

    assert {n: mib for n, mib in used.items() if mib > limits[n] * SHARE} == {}


def _tell(what: str, used: dict[str, int]) -> None:
    print(f"{what}: {used}")  # noqa: T201 - the figures of docs/feeds.md, by `pytest -s`


def _wait(house: House, cars: int) -> None:
    wait_until(
        lambda: _advised(house) == _on_sale(house, market="SE") == cars,
        timeout_seconds=300,
        what="the advisor and the catalogue to have read the stock",
    )


def _on_sale(house: House, **where: str) -> int:
    """Cars that the catalogue shows; -1 while it starts."""
    answer = httpx.get(
        f"{house.url}/api/catalog/v1/cars",
        params={"limit": "1", **where},
        trust_env=False,
        timeout=60,
    )
    return int(answer.json()["total"]) if answer.status_code == 200 else -1


def _advised(house: House) -> int:
    """Swedish cars that the advisor knows of, all of models in the range; -1 while it starts."""
    found = 0
    for fuel in get_args(Fuel):
        asked = {"market": "SE", "limit": 20, "needs": {"fuels": [fuel]}}
        answer = httpx.post(
            f"{house.url}/api/advisor/v1/matches", json=asked, trust_env=False, timeout=60
        )
        if answer.status_code != 200:
            return -1
        found += sum(match["available"] for match in answer.json()["matches"])
    return found


def _send(house: House, content: bytes) -> httpx.Response:
    return httpx.post(
        f"{house.url}/api/catalog/v1/feeds/largest",
        params={"market": "SE"},
        content=content,
        headers={
            "authorization": f"Bearer {house.secrets['VITRINE_DEALER_KEY']}",
            "content-type": "text/plain",
        },
        trust_env=False,
        timeout=300,
    )
