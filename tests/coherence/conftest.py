"""A running shop in which everything that people do has been done once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rigs.processes import wait_until
from telemetry.catalogue.labels import SERVICES
from tests.builders.purchase import DECLINED, Buyer, bearer, key
from tests.builders.running import RunningShop, running_shop

Samples = dict[str, list[tuple[dict[str, str], float]]]
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"


@dataclass(frozen=True)
class Lived:
    """A shop after a busy minute. `bought` is a confirmed order with its token."""

    shop: RunningShop
    bought: dict[str, Any]
    trace_of_order: str

    def samples(self) -> Samples:
        """Every sample of the internal port by its name."""
        found: Samples = {}
        for family in text_string_to_metric_families(self.shop.metrics()):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
        return found

    def openapi(self, service: str) -> dict[str, Any]:
        prefix = "/sandbox" if service == "sandbox" else f"/api/{service}/v1"
        document: dict[str, Any] = httpx.get(
            f"{self.shop.base_url}{prefix}/openapi.json", trust_env=False
        ).json()
        return document


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder: Path = tmp_path_factory.mktemp("shop")
    with (
        running_shop(folder, VITRINE_TRACE_KEEP_RATIO="1") as shop,
        httpx.Client(base_url=shop.base_url, timeout=30, trust_env=False) as client,
    ):
        yield _live(shop, client)


def _live(shop: RunningShop, client: httpx.Client) -> Lived:
    buyer = Buyer(client)
    cars = buyer.cars(limit=4)
    first = buyer.hold(cars[0]["car_id"])
    assert buyer.hold(cars[0]["car_id"]).status_code == 409
    order = buyer.order(first.json()["hold_id"])
    trace_id = client.get(
        f"/api/checkout/v1/orders/{order['order_id']}", headers=bearer(order["order_token"])
    ).headers["x-trace-id"]
    buyer.pay(order)
    bought = {**buyer.settled(order), "order_token": order["order_token"]}
    buyer.buy(cars[1]["car_id"], DECLINED)
    given_back = buyer.hold(cars[2]["car_id"]).json()
    client.delete(f"/api/checkout/v1/holds/{given_back['hold_id']}")
    withdrawn = buyer.buy(cars[3]["car_id"])
    client.post(
        f"/api/checkout/v1/orders/{withdrawn['order_id']}/cancellation",
        headers=key() | bearer(withdrawn["order_token"]),
    )
    client.post("/api/advisor/v1/matches", json={"market": "SE", "needs": {"seats": 5}})
    with httpx.Client(
        base_url=shop.base_url, headers={"user-agent": PHONE}, follow_redirects=True, timeout=30
    ) as visitor:
        assert visitor.get("/").status_code == 200
        assert visitor.get("/se/en/cars").status_code == 200
        assert visitor.get(f"/se/en/cars/{cars[1]['car_id']}").status_code == 200
    client.get("/console")
    wait_until(
        lambda: _settled(shop), timeout_seconds=60, what="a ledger that has booked two orders"
    )
    return Lived(shop, bought, trace_id)


def _settled(shop: RunningShop) -> bool:
    orders = sessions = 0.0
    for family in text_string_to_metric_families(shop.metrics()):
        for sample in family.samples:
            if sample.name == "shop_orders_total":
                orders += sample.value
            if sample.name == "shop_sessions_total":
                sessions += sample.value
    return orders == 2 and sessions >= 1


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)
