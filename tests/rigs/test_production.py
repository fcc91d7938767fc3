"""The production shape with real processes: a car is bought through the gateway, on PostgreSQL."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rigs.processes import wait_until
from rigs.production import LocalProduction
from rigs.prometheus import LocalPrometheus
from rigs.shop import SERVICES

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalProduction]:
    with LocalProduction(tmp_path_factory.mktemp("production")) as running:
        yield running


@pytest.fixture
def shopper(production: LocalProduction) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=production.gateway.url, timeout=20.0, trust_env=False) as client:
        yield client


def once() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def order_a_car(shopper: httpx.Client) -> dict[str, Any]:
    """Hold the first available car in Sweden and order it."""
    cars = shopper.get("/api/catalog/v1/cars", params={"market": "SE", "limit": 5}).json()["items"]
    holds: list[dict[str, Any]] = []

    def held() -> bool:
        """Checkout learns of a fresh import a moment after the catalogue shows it."""
        answer = shopper.post(
            "/api/checkout/v1/holds", json={"car_id": cars[0]["car_id"]}, headers=once()
        )
        assert answer.status_code in {201, 503}, answer.text
        holds.extend([answer.json()] if answer.status_code == 201 else [])
        return bool(holds)

    wait_until(held, timeout_seconds=30, what="checkout knows the car")
    ordered = shopper.post(
        "/api/checkout/v1/orders",
        json={
            "hold_id": holds[0]["hold_id"],
            "customer": {
                "name": "Åsa Öberg",
                "email": "asa@example.com",
                "phone": "+46 70 123 45 67",
            },
            "payment": {"provider": "sandbox"},
            "attribution": {"entry": "direct"},
        },
        headers=once(),
    )
    assert ordered.status_code == 201, ordered.text
    order: dict[str, Any] = ordered.json()
    return order


def pay(shopper: httpx.Client, order: dict[str, Any]) -> None:
    """Fill in the provider's page with the card that pays."""
    page = shopper.get(order["payment_url"])
    assert page.status_code == 200, page.text
    shopper.post(
        order["payment_url"],
        data={
            "card_number": "4242 4242 4242 4242",
            "expiry": "12/34",
            "cvc": "123",
            "name": "Åsa Öberg",
        },
    )


def state(shopper: httpx.Client, order: dict[str, Any]) -> str:
    answer = shopper.get(
        f"/api/checkout/v1/orders/{order['order_id']}",
        headers={"Authorization": f"Bearer {order['order_token']}"},
    )
    return str(answer.json()["state"])


def test_a_car_is_bought_through_the_gateway_and_booked_in_the_ledger(
    production: LocalProduction, shopper: httpx.Client, tmp_path: Path
) -> None:
    order = order_a_car(shopper)
    pay(shopper, order)

    wait_until(lambda: state(shopper, order) == "confirmed", timeout_seconds=60, what="confirmed")
    with LocalPrometheus(
        tmp_path, targets=production.targets, interval_seconds=1, rules=tmp_path / "none"
    ) as prometheus:
        prometheus.wait_scraped()
        wait_until(
            lambda: (prometheus.value("sum(max without (instance) (shop_orders_total))") or 0) >= 1,
            timeout_seconds=60,
            what="the ledger's orders in Prometheus",
        )
        confirmed = production.postgres.query(
            "SELECT count(*) FROM orders WHERE confirmed_at IS NOT NULL", database="checkout"
        )
        assert prometheus.value("sum(max without (instance) (shop_orders_total))") == int(confirmed)


def test_every_service_answers_at_the_gateway(shopper: httpx.Client) -> None:
    paths = ["/", "/console"] + [
        f"/api/{name}/v1/openapi.json" for name in ("catalog", "advisor", "checkout", "insight")
    ]

    codes = {path: shopper.get(path).status_code for path in paths}

    assert {path: code for path, code in codes.items() if code >= 500 or code == 404} == {}


def test_no_internal_endpoint_is_reachable_from_outside(
    production: LocalProduction, shopper: httpx.Client
) -> None:
    outside = {
        path: shopper.get(path).status_code
        for path in ("/metrics", "/health/ready", "/internal/checkout/events?consumer=x")
    }
    # The public ports do not answer them either, should one be published by mistake.
    for name in SERVICES:
        url = f"{production.addresses[name].url}/metrics"
        assert httpx.get(url, trust_env=False).status_code == 404, name

    assert outside == dict.fromkeys(outside, 404)


def test_an_order_outlives_a_killed_service_and_a_restarted_database(
    production: LocalProduction, shopper: httpx.Client
) -> None:
    order = order_a_car(shopper)

    production.services["checkout"].kill()
    production.postgres.restart()
    production.services["checkout"].start()
    production.wait_ready("checkout")

    pay(shopper, order)
    wait_until(lambda: state(shopper, order) == "confirmed", timeout_seconds=60, what="confirmed")
