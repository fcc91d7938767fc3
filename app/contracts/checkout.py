"""Checkout's public API: holds, orders, cancellations, returns; and its client."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from app.contracts.client import ServiceClient, segment
from app.contracts.wire import Identifier, MoneyWire, Timestamp, Wire

OrderState = Literal[
    "payment_pending", "confirmed", "declined", "expired", "cancelled", "returned", "refunded"
]
Provider = Literal["sandbox", "stripe"]
Campaign = Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
LocalPath = Annotated[str, StringConstraints(max_length=500)]
"""A path or URL of our own origin; checked against it."""


class HoldRequest(Wire):
    car_id: Identifier


class Hold(Wire):
    hold_id: str
    car_id: str
    expires_at: Timestamp
    price: MoneyWire
    deposit: MoneyWire


class Customer(Wire):
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
    email: Annotated[
        str, StringConstraints(max_length=254, pattern=r"^[^@\s]{1,64}@[^@\s]+\.[^@\s.]{2,}$")
    ]
    phone: Annotated[
        str, StringConstraints(strip_whitespace=True, pattern=r"^\+?[0-9][0-9 ()/-]{4,24}$")
    ]


class PaymentChoice(Wire):
    provider: Provider | None = None
    """Through whom to pay; None is the one that this shop offers first."""


class Attribution(Wire):
    """Where the shopper came from."""

    utm_source: Campaign = ""
    utm_medium: Campaign = ""
    utm_campaign: Campaign = ""
    utm_content: Campaign = ""
    utm_term: Campaign = ""
    entry: Literal["direct", "advisor"] | None = None
    advice_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{0,60}$")] = ""


class OrderRequest(Wire):
    hold_id: Identifier
    customer: Customer
    payment: PaymentChoice = PaymentChoice()
    attribution: Attribution = Attribution()
    return_url: LocalPath | None = None
    cancel_url: LocalPath | None = None


class Order(Wire):
    """An order. `order_token` and `payment_url` are given at creation only."""

    order_id: str
    hold_id: str
    car_id: str
    state: OrderState
    price: MoneyWire
    vat: MoneyWire
    deposit: MoneyWire
    created_at: Timestamp
    confirmed_at: Timestamp | None = None
    handed_over_at: Timestamp | None = None
    expires_at: Timestamp | None = None
    """Until when it may be paid; None once it is decided."""
    ready_for_handover_at: Timestamp | None = None
    """When the car can be collected, as it was known when ordering; None when it was not."""
    pick_up_by: Timestamp | None = None
    """Until when the dealer keeps the car once it can be collected; None unless confirmed."""
    message: str | None = None
    """For the shopper: why it ended otherwise than wished."""
    payment_url: str | None = None
    order_token: str | None = None


class ReturnRequest(Wire):
    reason: Literal["changed_mind", "not_as_described", "defect", "other"] = "other"


class Erasure(Wire):
    """Since when nobody knows any more whose order it was."""

    order_id: str
    erased_at: Timestamp


class CheckoutClient(ServiceClient):
    """Typed client of checkout's public API."""

    async def hold(self, car_id: str, *, key: str) -> Hold:
        """Raises `UpstreamProblem` with code `car-not-available` when somebody was faster."""
        body = await self.post("/api/checkout/v1/holds", {"car_id": car_id}, key=key)
        return Hold.model_validate_json(body)

    async def read_hold(self, hold_id: str) -> Hold:
        return Hold.model_validate_json(
            await self.get(f"/api/checkout/v1/holds/{segment(hold_id)}")
        )

    async def release(self, hold_id: str) -> None:
        await self.delete(f"/api/checkout/v1/holds/{segment(hold_id)}")

    async def order(self, request: OrderRequest, *, key: str) -> Order:
        body = await self.post("/api/checkout/v1/orders", request.model_dump(mode="json"), key=key)
        return Order.model_validate_json(body)

    async def read_order(self, order_id: str, *, token: str) -> Order:
        body = await self.get(
            f"/api/checkout/v1/orders/{segment(order_id)}",
            headers={"authorization": f"Bearer {token}"},
        )
        return Order.model_validate_json(body)

    async def cancel(self, order_id: str, *, token: str, key: str) -> Order:
        """Withdraw from an order before handover; a paid deposit goes back."""
        body = await self._send(
            "POST",
            f"/api/checkout/v1/orders/{segment(order_id)}/cancellation",
            headers={"authorization": f"Bearer {token}", "idempotency-key": f'"{key}"'},
        )
        return Order.model_validate_json(body)

    async def erase(self, order_id: str, *, token: str, key: str) -> Erasure:
        """Forget whose order it was. Raises `UpstreamProblem` `order-open` before it is over."""
        body = await self._send(
            "POST",
            f"/api/checkout/v1/orders/{segment(order_id)}/erasure",
            headers={"authorization": f"Bearer {token}", "idempotency-key": f'"{key}"'},
        )
        return Erasure.model_validate_json(body)
