"""Checkout's public API: holds, orders, cancellations, returns; and its client."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, StringConstraints

from app.contracts.client import ServiceClient, segment
from app.contracts.wire import Identifier, MoneyWire, Timestamp, Wire

OrderState = Literal[
    "payment_pending",
    "confirmed",
    "declined",
    "expired",
    "cancelled",
    "disputed",
    "returned",
    "refunded",
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


def as_typed(text: object) -> object:
    """What a person typed without what programs put around it: one form, plain blanks, no marks.

    Text that is pasted from a page or a message carries signs that nobody sees: no-break blanks,
    zero-width and direction marks. Full-width signs become plain ones (Unicode NFKC).
    """
    if not isinstance(text, str) or (text.isascii() and text.isprintable()):
        return text
    plain = unicodedata.normalize("NFKC", text)
    kept = (" " if c.isspace() else c for c in plain if unicodedata.category(c) != "Cf")
    return "".join(kept)


def as_dialled(text: object) -> object:
    """A telephone number with plain hyphens for every dash, and stops as hyphens."""
    typed = as_typed(text)
    if not isinstance(typed, str):
        return typed
    dashed = (
        "-" if c in ".·/\u2212" or unicodedata.category(c) == "Pd" else c
        for c in typed.strip().removeprefix("tel:")
    )
    return " ".join("".join(dashed).split())


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds a control character; remove it")
    return text


def _dialled(text: str) -> str:
    digits = sum(c.isdigit() for c in text)
    if not _FEWEST_DIGITS <= digits <= _MOST_DIGITS:
        raise ValueError(f"must have {_FEWEST_DIGITS} to {_MOST_DIGITS} digits")
    return text


_FEWEST_DIGITS: Final = 5
_MOST_DIGITS: Final = 17
"""E.164 allows 15; `00` before the country and `(0)` behind it are dialled too."""
_LOCAL_PART: Final = r"[^@\s,;:<>()\[\]\\\"\x00-\x1f\x7f]{1,64}"
_DOMAIN: Final = r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_][\w-]{0,61}[^\W_]"


class Customer(Wire):
    """Who buys, as typed: `as_typed` and `as_dialled` take off what typing and pasting add."""

    name: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=120),
        BeforeValidator(as_typed),
        AfterValidator(_printable),
    ]
    email: Annotated[
        str,
        StringConstraints(
            strip_whitespace=True, max_length=254, pattern=rf"^{_LOCAL_PART}@{_DOMAIN}$"
        ),
        BeforeValidator(as_typed),
    ]
    phone: Annotated[
        str,
        StringConstraints(max_length=40, pattern=r"^\+?[0-9(][0-9 ()-]*$"),
        BeforeValidator(as_dialled),
        AfterValidator(_dialled),
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
