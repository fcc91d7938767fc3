"""One purchase by the API alone, step by step, as a partner's program would make it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import httpx

from rigs.processes import wait_until

PAYS = "4242 4242 4242 4242"
DECLINED = "4000 0000 0000 0002"
CHALLENGE = "4000 0000 0000 3220"
CUSTOMER = {"name": "Åsa Öberg", "email": "asa.oberg@example.com", "phone": "+46 70 123 45 67"}


def key() -> dict[str, str]:
    """A fresh Idempotency-Key header."""
    return {"idempotency-key": f'"{uuid.uuid4()}"'}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Buyer:
    """A caller of the public API without a session; `client` has the shop's base URL."""

    client: httpx.Client

    def cars(self, **query: Any) -> list[dict[str, Any]]:
        found = self.client.get("/api/catalog/v1/cars", params={"market": "SE", **query})
        items: list[dict[str, Any]] = found.raise_for_status().json()["items"]
        return items

    def hold(self, car_id: str) -> httpx.Response:
        return self.client.post("/api/checkout/v1/holds", json={"car_id": car_id}, headers=key())

    def order(self, hold_id: str) -> dict[str, Any]:
        """The order as it was created, with token and payment address."""
        answer = self.client.post(
            "/api/checkout/v1/orders",
            json={"hold_id": hold_id, "customer": CUSTOMER, "payment": {"provider": "sandbox"}},
            headers=key(),
        )
        order: dict[str, Any] = answer.raise_for_status().json()
        return order

    def pay(self, order: dict[str, Any], card: str = PAYS) -> httpx.Response:
        form = {"card_number": card, "expiry": "12/49", "cvc": "123", "name": "Asa Oberg"}
        return self.client.post(order["payment_url"], data=form)

    def read(self, order: dict[str, Any]) -> dict[str, Any]:
        answer = self.client.get(
            f"/api/checkout/v1/orders/{order['order_id']}", headers=bearer(order["order_token"])
        )
        current: dict[str, Any] = answer.raise_for_status().json()
        return current

    def settled(self, order: dict[str, Any]) -> dict[str, Any]:
        """The order once its payment is decided."""
        wait_until(
            lambda: self.read(order)["state"] != "payment_pending",
            timeout_seconds=30,
            what="a decision about the payment",
        )
        return self.read(order)

    def buy(self, car_id: str, card: str = PAYS) -> dict[str, Any]:
        """Hold, order, pay; the settled order with its token."""
        order = self.order(self.hold(car_id).raise_for_status().json()["hold_id"])
        self.pay(order, card)
        return {**self.settled(order), "order_token": order["order_token"]}
