"""Checkout's public API: holds, orders, cancellations, returns; and its client."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, StringConstraints

from app.contracts.client import ServiceClient, is_replayed, segment
from app.contracts.labels import LONGEST_LABEL, as_label
from app.contracts.typed import as_email, as_name, as_phone
from app.contracts.wire import CarState, Identifier, MoneyWire, Timestamp, Wire
from telemetry.catalogue.labels import Entry, Provider

OrderState = Literal[
    "payment_pending",
    "confirmed",
    "declined",
    "expired",
    "cancelled",
    "disputed",
    "return_requested",
    "returned",
    "refunded",
]
Label = Annotated[str, BeforeValidator(as_label), StringConstraints(max_length=LONGEST_LABEL)]
"""Marketing's words: cut or dropped, never refused."""
LONGEST_ADVICE_ID: Final = 60
_ADVICE: Final = re.compile(r"adv_[0-9a-z]{26}")
"""As the advisor makes them: whatever else stands there was typed by somebody."""

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


class Holdings(Wire):
    """A session's running holds; there are few, so `next_cursor` is always empty."""

    items: list[Hold]
    next_cursor: str | None = None


class Customer(Wire):
    """Whose order it is, as the form and the API take it (`contracts.typed`)."""

    name: Annotated[str, BeforeValidator(as_name), StringConstraints(min_length=1, max_length=120)]
    email: Annotated[str, BeforeValidator(as_email), StringConstraints(max_length=254)]
    phone: Annotated[str, BeforeValidator(as_phone), StringConstraints(max_length=16)]


class PaymentChoice(Wire):
    provider: Provider | None = None
    """Through whom to pay; None is the one that this shop offers first."""


def _entry(value: Any) -> Any:
    return value if value in ("direct", "advisor") else None


def _advice_id(value: Any) -> str:
    return value if isinstance(value, str) and _ADVICE.fullmatch(value) else ""


def _labels(value: Any) -> Any:
    return value if isinstance(value, dict | Attribution) else {}


class Attribution(Wire):
    """Where the shopper came from. No label costs a sale: what cannot be kept is left out."""

    utm_source: Label = ""
    utm_medium: Label = ""
    utm_campaign: Label = ""
    utm_content: Label = ""
    utm_term: Label = ""
    entry: Annotated[Entry | None, BeforeValidator(_entry)] = None
    advice_id: Annotated[
        str, BeforeValidator(_advice_id), StringConstraints(max_length=LONGEST_ADVICE_ID)
    ] = ""


class OrderRequest(Wire):
    hold_id: Identifier
    customer: Customer
    payment: PaymentChoice = PaymentChoice()
    attribution: Annotated[Attribution, BeforeValidator(_labels)] = Attribution()
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
    refund: Literal["due", "failed", "paid"] | None = None
    """Where a deposit is that goes back; None when none does. `failed` waits for a person."""
    message: str | None = None
    """For the shopper: why it ended otherwise than wished, and where the money is now."""
    payment_url: str | None = None
    order_token: str | None = None


ReturnReason = Literal["changed_mind", "not_as_described", "defect", "other"]


class ReturnReceipt(Wire):
    list_again: bool = False
    """Offer the car again at once, as it was; else its feed lists it anew."""


class DeskSale(Wire):
    """A car after its dealer reported a sale in the showroom, or took that back."""

    car_id: str
    state: CarState
    sold_at: Timestamp | None = None
    """When it was sold at the desk; None when it is not."""
    in_feed: bool
    """Whether its feed lists it: only then an available car is on sale."""


class ReturnRequest(Wire):
    reason: ReturnReason = "other"


class Erasure(Wire):
    """Since when nobody knows any more whose order it was."""

    order_id: str
    erased_at: Timestamp


class CheckoutClient(ServiceClient):
    """Typed client of checkout's public API."""

    async def hold(self, car_id: str, *, key: str) -> tuple[Hold, bool]:
        """A hold, and whether it is the first answer to this key, which may have ended since.

        Raises `UpstreamProblem` with code `car-not-available` when somebody was faster.
        """
        answer = await self._post("/api/checkout/v1/holds", {"car_id": car_id}, key=key)
        return Hold.model_validate_json(answer.content), is_replayed(answer)

    async def holds(self) -> list[Hold]:
        """The caller's running holds."""
        return Holdings.model_validate_json(await self.get("/api/checkout/v1/holds")).items

    async def read_hold(self, hold_id: str) -> Hold:
        return Hold.model_validate_json(
            await self.get(f"/api/checkout/v1/holds/{segment(hold_id)}")
        )

    async def release(self, hold_id: str) -> None:
        await self.delete(f"/api/checkout/v1/holds/{segment(hold_id)}")

    async def order(self, request: OrderRequest, *, key: str) -> tuple[Order, bool]:
        """An order, and whether it is the first answer to this key."""
        body = request.model_dump(mode="json")
        answer = await self._post("/api/checkout/v1/orders", body, key=key)
        return Order.model_validate_json(answer.content), is_replayed(answer)

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
