"""What Stripe tells of money that moves after it was taken: refunds and disputes.

Types and members after Stripe's API reference ("Types of events", the refund, charge and dispute
objects). Each message is enough by itself: they come in any order, and some never.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

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
    "warning_needs_response": "inquiry",
    "warning_under_review": "inquiry",
    "warning_closed": "inquiry_closed",
    "won": "dispute_won",
    "prevented": "dispute_won",
    "lost": "dispute_lost",
    "charge_refunded": "dispute_refunded",
}
"""A dispute's status; every other one is open. The last one is of older versions of the API."""

_REFUNDS: Final[Mapping[str, MoneyMove]] = {
    "pending": "refund_pending",
    "requires_action": "refund_pending",
    "failed": "refund_failed",
    "canceled": "refund_failed",
}
"""A refund's status; with every other one its money has moved."""


Metadata = Annotated[
    dict[str, Annotated[str, text_of(500)]],
    BeforeValidator(lambda value: {} if value is None else value),
]
"""Stripe's own limit of a value; every database stores it. Stripe may send null for none."""

Amount = Annotated[int, Field(ge=0, le=2**53)]

MoveId = Annotated[str, Field(min_length=1), text_of(80)]


class _Moved(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    payment_intent: Annotated[str, text_of(80)] | None = None
    metadata: Metadata = {}


class _Refund(_Moved):
    id: MoveId
    amount: Amount
    status: str | None = None

    @property
    def move(self) -> MoneyMove:
        return _REFUNDS.get(self.status or "", "refunded")


class _Refunds(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    data: list[_Refund] = []


class _Charge(_Moved):
    amount_refunded: Amount
    refunds: _Refunds | None = None
    """Stripe's newer versions leave them out; its sum counts those that are pending too."""

    @property
    def moved(self) -> int:
        refunds = self.refunds.data if self.refunds else []
        pending = sum(each.amount for each in refunds if each.move == "refund_pending")
        return max(0, self.amount_refunded - pending)


class _Dispute(_Moved):
    id: MoveId
    amount: Amount = 0
    currency: Annotated[str, text_of(3)] = ""
    status: str = ""


def moved(type_: str, content: dict[str, Any]) -> MoneyMoved | None:
    """How money moved, as a message says it; None when none did.

    Raises pydantic's `ValidationError` for an object that cannot be read.
    """
    if type_ in CHARGE_TYPES:
        charge = _Charge.model_validate(content)
        return _of(charge, "refunded", charge.moved)
    if type_ in REFUND_TYPES:
        refund = _Refund.model_validate(content)
        move: MoneyMove = "refund_failed" if type_ == "refund.failed" else refund.move
        return _of(refund, move, refund.amount, move_id=refund.id)
    if type_ in DISPUTE_TYPES:
        dispute = _Dispute.model_validate(content)
        return _of(
            dispute,
            _DISPUTES.get(dispute.status, "disputed"),
            dispute.amount,
            move_id=dispute.id,
            currency=dispute.currency.upper(),
        )
    return None


def _of(
    found: _Moved, move: MoneyMove, amount: int, *, move_id: str = "", currency: str = ""
) -> MoneyMoved | None:
    reference = found.metadata.get(ORDER_KEY, "")
    if not (found.payment_intent or reference):
        return None
    payment_id = found.payment_intent or ""
    return MoneyMoved(payment_id, reference, move, amount, move_id=move_id, currency=currency)
