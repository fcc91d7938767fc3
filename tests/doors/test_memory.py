"""A stock as large as it may be is imported and served within the containers' memory."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
import yaml

from app.catalog.settings import CatalogSettings
from rigs.processes import wait_until
from tests.builders.feeds import car, feed
from tests.doors.houses import LONG, House, opened

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
MOST = CatalogSettings.model_fields["most_cars"].default if LONG else 300
SHARE = 0.9
MEBIBYTE = 1024


def _limits() -> dict[str, int]:
    """`mem_limit` of each container in MiB."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return {
        name: int(service["mem_limit"].removesuffix("m"))
        for name, service in compose["services"].items()
    }


def _private(house: House, kind: str = "RssAnon") -> dict[str, int]:
    """Memory of each process that no limit can take back, in MiB."""
    found = {}
    for name, process in house.processes.items():
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        kilobytes = re.search(rf"^{kind}:\s+(\d+) kB", status, re.MULTILINE)
        assert kilobytes
        found[name] = int(kilobytes[1]) // MEBIBYTE
    return found


def test_the_largest_stock_is_imported_and_served_within_nine_tenths_of_the_limits(
    tmp_path: Path,
) -> None:
    limits = _limits()
    most = {"CATALOG_MOST_CARS": str(MOST + 2_000)} if not LONG else {}
    with opened("production", tmp_path, **most) as house:
        shipped = _on_sale(house)
        stock = [car(f"b{number}") for number in range(MOST - shipped if LONG else MOST)]
        answer = _send(house, stock)
        assert (answer.status_code, answer.json()["accepted"]) == (200, len(stock))
        wait_until(
            lambda: _advised(house) and _on_sale(house) == shipped + len(stock),
            timeout_seconds=120,
            what="the advisor and the catalogue to have read the stock",
        )
        used = _private(house)
        one_more = _send(house, [*stock, car("one-more")]) if LONG else None

    assert {n: mib for n, mib in used.items() if mib > limits[n] * SHARE} == {}
    if one_more is not None:
        assert (one_more.status_code, one_more.json()["type"]) == (422, "/problems/stock-too-large")


def _on_sale(house: House) -> int:
    answer = httpx.get(
        f"{house.url}/api/catalog/v1/cars", params={"limit": 1}, trust_env=False, timeout=30
    )
    return int(answer.raise_for_status().json()["total"])


def _advised(house: House) -> bool:
    asked = {"market": "SE", "language": "en"}
    answer = httpx.post(
        f"{house.url}/api/advisor/v1/matches", json=asked, trust_env=False, timeout=30
    )
    return answer.status_code == 200


def _send(house: House, stock: list[dict[str, str]]) -> httpx.Response:
    return httpx.post(
        f"{house.url}/api/catalog/v1/feeds/largest",
        params={"market": "SE"},
        content=feed(stock),
        headers={
            "authorization": f"Bearer {house.secrets['VITRINE_DEALER_KEY']}",
            "content-type": "text/plain",
        },
        trust_env=False,
        timeout=300,
    )
