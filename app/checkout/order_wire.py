"""An order as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, get_args

from app.checkout.change import Change
from app.checkout.collection import kept_until
from app.checkout.idempotency import Claim, StoredAnswer, answer
from app.checkout.rows import Key, Order, Payment, Purchase
from app.checkout.states import LIVE
from app.contracts.checkout import ReturnReason
from app.kernel.clock import rfc3339

RETURN: Final = "return_"
"""Before a return's reason, in the message of an order that waits for its car."""

_RETURNING: Final = "Bring the car back to its dealer: your money goes back once it is there."
WHY: Final[Mapping[str, str]] = {
    "declined": "Your bank declined the deposit.",
    "paid_too_late": "The payment came after the car was gone.",
    "wrong_amount": "What was paid was not the deposit.",
    "lapsed": "The car was not picked up in time.",
    "withdrawn": "You withdrew from this order.",
    "closed": "The payment was closed before it was made.",
    "refunded": "",
    **{f"{RETURN}{reason}": _RETURNING for reason in get_args(ReturnReason)},
    "replaced": "You submitted this order again; the newer one counts.",
}
"""How an order ended, by stored code (English; heads translate state and refund)."""

MONEY: Final[Mapping[str, str]] = {
    "pending": "Nothing was charged.",
    "declined": "Nothing was charged.",
    "cancelled": "Nothing was charged.",
    "refund_due": "Your deposit goes back in full.",
    "refund_refused": "Your deposit could not be paid back yet. We see to it; you need do nothing.",
    "refunded": "Your deposit went back in full.",
}
"""Where the money is, by the payment's state: it may move after the order has ended."""

REFUNDS: Final = {"refund_due": "due", "refund_refused": "failed", "refunded": "paid"}


def order_wire(purchase: Purchase, *, pick_up_seconds: int) -> dict[str, Any]:
    """An order as the API shows it (`contracts.checkout.Order`).

    `pick_up_seconds` is what a version before calendars promised, on the clock.
    """
    order, payment = purchase.order, purchase.payment

    def money(amount: int) -> dict[str, Any]:
        return {"amount": amount, "currency": order.currency}

    waiting = order.state == "payment_pending"
    kept = order.pick_up_by
    if kept is None and order.confirmed_at is not None:
        kept = kept_until(
            order.ready_for_handover_at, None, order.confirmed_at, pick_up_seconds=pick_up_seconds
        )
    return {
        "order_id": order.order_id,
        "hold_id": order.hold_id,
        "car_id": order.car_id,
        "state": order.state,
        "price": money(order.price),
        "vat": money(order.vat),
        "deposit": money(order.deposit),
        "created_at": rfc3339(order.created_at),
        "confirmed_at": _moment(order.confirmed_at),
        "handed_over_at": _moment(order.handed_over_at),
        "expires_at": _moment(purchase.hold.expires_at) if waiting else None,
        "ready_for_handover_at": _moment(order.ready_for_handover_at),
        "pick_up_by": _moment(kept) if order.state == "confirmed" else None,
        "refund": REFUNDS.get(payment.state),
        "message": _message(order, payment),
        "payment_url": payment.payment_url if waiting else None,
    }


def answer_with_order(
    change: Change[Any],
    seen: Purchase,
    claim: Claim,
    key: Key | None,
    now: datetime,
    *,
    pick_up_seconds: int,
) -> StoredAnswer:
    """The order as it is when the change has happened, as an answer that its key keeps."""
    wire = order_wire(change.purchase_after(seen), pick_up_seconds=pick_up_seconds)
    stored = answer(200, wire)
    change.keep(claim, key, now, stored)
    return stored


def _moment(value: datetime | None) -> str | None:
    return None if value is None else rfc3339(value)


def _message(order: Order, payment: Payment) -> str | None:
    """Why an order ended, and where its money is; None while there is nothing to explain."""
    why = WHY.get(order.message or "")
    if why is None or order.state in LIVE:
        return None
    return f"{why} {MONEY.get(payment.state, '')}".strip()
