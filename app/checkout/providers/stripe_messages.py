"""What Stripe tells of money that moves after it was taken: refunds and disputes.

Types and members after Stripe's API reference ("Types of events", the refund, charge and dispute
objects). Each message is enough by itself: they come in any order, and some never.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from app.checkout.providers.protocol import MoneyMove, MoneyMoved
from app.kernel.facts import text_of

ORDER_KEY: Final = "vitrine_order_id"
"""Where our order's id stands in Stripe's metadata."""

INTENT_TYPES: Final = frozenset(
    f"payment_intent.{what}"
    for what in (
        "amount_capturable_updated",
        "requires_action",
        "payment_failed",
        "succeeded",
        "canceled",
    )
)
SESSION_TYPES: Final = frozenset(
    {"checkout.session.expired", "checkout.session.async_payment_failed"}
)
CHARGE_TYPES: Final = frozenset({"charge.refunded"})
REFUND_TYPES: Final = frozenset(
    {"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"}
)
DISPUTE_TYPES: Final = frozenset(
    f"charge.dispute.{what}"
    for what in ("created", "updated", "closed", "funds_withdrawn", "funds_reinstated")
)
EVENT_TYPES: Final = INTENT_TYPES | SESSION_TYPES | CHARGE_TYPES | REFUND_TYPES | DISPUTE_TYPES
"""The messages that say something of a deposit; all others are acknowledged and ignored."""

_DISPUTES: Final[Mapping[str, MoneyMove]] = {
    "won": "dispute_won",
    "warning_closed": "dispute_won",
    "prevented": "dispute_won",
    "lost": "dispute_lost",
}
"""A dispute's status; every other one is open."""


Metadata = dict[str, Annotated[str, text_of(500)]]
"""Stripe's own limit of a value; every database stores it."""

Amount = Annotated[int, Field(ge=0, le=2**53)]


class _Moved(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    payment_intent: Annotated[str, text_of(80)] | None = None
    metadata: Metadata = {}


class _Charge(_Moved):
    amount_refunded: Amount


class _Refund(_Moved):
    amount: Amount
    status: str | None = None


class _Dispute(_Moved):
    amount: Amount = 0
    status: str = ""


def moved(type_: str, content: dict[str, Any]) -> MoneyMoved | None:
    """How money moved, as a message says it; None when none did.

    Raises pydantic's `ValidationError` for an object that cannot be read.
    """
    if type_ in CHARGE_TYPES:
        charge = _Charge.model_validate(content)
        return _of(charge, "refunded", charge.amount_refunded)
    if type_ in REFUND_TYPES:
        refund = _Refund.model_validate(content)
        if type_ == "refund.failed" or refund.status in ("failed", "canceled"):
            return _of(refund, "refund_failed", refund.amount)
        return _of(refund, "refunded", refund.amount)
    if type_ in DISPUTE_TYPES:
        dispute = _Dispute.model_validate(content)
        return _of(dispute, _DISPUTES.get(dispute.status, "disputed"), dispute.amount)
    return None


def _of(found: _Moved, move: MoneyMove, amount: int) -> MoneyMoved | None:
    reference = found.metadata.get(ORDER_KEY, "")
    if not (found.payment_intent or reference):
        return None
    return MoneyMoved(found.payment_intent or "", reference, move, amount)
