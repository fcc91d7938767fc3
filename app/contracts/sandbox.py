"""The sandbox provider's API: what checkout asks of it, and the webhooks it sends.

Its money API is Stripe's in miniature: a payment is created, paid on a hosted page, authorised,
then captured or cancelled, and may be refunded.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Literal

from app.contracts.wire import Identifier, MoneyWire, Timestamp, Wire
from app.kernel.facts import text_of

PaymentState = Literal[
    "requires_payment_method",
    "requires_action",
    "processing",
    "succeeded",
    "declined",
    "canceled",
]

DisputeStatus = Literal["open", "won", "lost"]

WebhookType = Literal[
    "payment.requires_action",
    "payment.succeeded",
    "payment.declined",
    "payment.canceled",
    "payment.refunded",
    "payment.disputed",
    "payment.dispute_closed",
]


class PaymentRequest(Wire):
    """Ask for a deposit. `reference` is our order; the same reference gives the same payment."""

    reference: Identifier
    amount: MoneyWire
    description: Annotated[str, text_of(200)]
    return_url: Annotated[str, text_of(600)]
    cancel_url: Annotated[str, text_of(600)]
    language: Annotated[str, text_of(5)] = "en"
    traceparent: Annotated[str, text_of(60)] = ""


class Payment(Wire):
    payment_id: Identifier
    reference: Identifier
    state: PaymentState
    amount: MoneyWire
    refunded: MoneyWire
    payment_url: Annotated[str, text_of(2000)]
    dispute: DisputeStatus | Literal[""] = ""
    """The latest one; an earlier one was decided before it."""
    dispute_id: Annotated[str, text_of(80)] = ""
    disputed: MoneyWire | None = None
    """What the latest dispute is about; None is all of the payment."""
    accepted_at: Timestamp | None = None


class RefundRequest(Wire):
    """Refund all of a payment; the same reference refunds once."""

    reference: Identifier


class WebhookEvent(Wire):
    """The body of a webhook."""

    event_id: Identifier
    type: WebhookType
    created_at: Timestamp
    payment: Payment


def webhook_signature(body: bytes, secret: str, at: int) -> str:
    """`t=<unix>,v1=<hmac-sha256 of "t.body">`, as Stripe signs."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
