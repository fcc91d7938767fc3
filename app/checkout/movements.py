"""Money that moved at the provider after it was taken: refunds and disputes that we did not make.

Pure rules, each on a change that has begun. A move says enough by itself and may come twice, late,
or before what led to it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from app.checkout.change import Change, Sight
from app.checkout.providers.protocol import MoneyMoved
from app.checkout.settlement import stated_now
from app.checkout.states import LIVE, allowed
from app.contracts.events import (
    CarStateChanged,
    DisputeDecided,
    OrderCancelled,
    OrderDisputed,
    OrderEnded,
    OrderPartlyRefunded,
    OrderRefunded,
)

Told = Literal[
    "nothing",
    "our_refund",
    "refunded",
    "partly_refunded",
    "refund_failed",
    "disputed",
    "dispute_won",
    "dispute_lost",
]
"""What a move meant for its order; `our_refund` is one that we had asked for ourselves."""

OWED: Final = ("refund_due", "refund_refused")


def move_money(change: Change[Any], sight: Sight, moved: MoneyMoved, now: datetime) -> Told:
    """Let an order follow its money; what that meant."""
    match moved.move:
        case "refunded":
            return _refunded(change, sight, moved.amount, now)
        case "refund_failed":
            return _refund_failed(change, sight, moved.amount)
        case "disputed":
            return _disputed(change, sight, moved.amount)
        case "dispute_won" | "dispute_lost":
            return _decided(change, sight, moved.move, now)


def settle_refund(change: Change[Any], sight: Sight) -> None:
    """What was owed has gone back."""
    order = sight.order
    change.set(sight.payment, state="refunded", refunded_amount=max(_known(sight), order.deposit))
    if not allowed(order.state, "refunded"):
        return  # it failed after it had been told: the order said so already
    change.set(order, state="refunded")
    change.say(stated_now(order), OrderRefunded(order.order_id, order.deposit, order.currency))


def _refunded(change: Change[Any], sight: Sight, total: int, now: datetime) -> Told:
    order = sight.order
    if total <= _known(sight):
        return "nothing"
    whole = total >= order.deposit
    if whole and sight.payment.state in OWED:
        settle_refund(change, sight)
        return "our_refund"
    change.set(sight.payment, refunded_amount=total)
    if sight.payment.state in (*OWED, "refunded"):
        return "nothing"  # the rest is on its way
    if whole:
        _gone(change, sight, total, now)
        return "refunded"
    change.say(stated_now(order), OrderPartlyRefunded(order.order_id, total, order.currency))
    return "partly_refunded"


def _gone(change: Change[Any], sight: Sight, total: int, now: datetime) -> None:
    """All of the money went back: the order is over, a car that nobody has collected is free."""
    order, context = sight.order, stated_now(sight.order)
    change.set(
        sight.payment,
        state="refunded",
        refunded_amount=max(total, order.deposit),
        accepted_at=sight.payment.accepted_at or now,
    )
    if order.state == "payment_pending":
        # Told before the success itself: the hold lives on for another attempt.
        change.say(context, OrderEnded(order.order_id, order.hold_id, order.car_id, "cancelled"))
    elif order.state in LIVE and order.handed_over_at is None:
        change.set(sight.car, state="available")
        change.say(
            context,
            OrderCancelled(order.order_id, order.car_id, "refunded"),
            CarStateChanged(order.car_id, "available"),
        )
    change.set(order, state="refunded", ended_at=order.ended_at or now, message="refunded")
    change.say(context, OrderRefunded(order.order_id, order.deposit, order.currency, by="provider"))


def _refund_failed(change: Change[Any], sight: Sight, amount: int) -> Told:
    left = max(0, _known(sight) - amount)
    if sight.payment.state in ("refund_due", "refunded"):
        change.set(sight.payment, state="refund_refused", refunded_amount=left)
        return "refund_failed"
    if not _known(sight):
        return "nothing"
    change.set(sight.payment, refunded_amount=left)
    return "refund_failed"


def _disputed(change: Change[Any], sight: Sight, amount: int) -> Told:
    order = sight.order
    if sight.payment.dispute:
        return "nothing"  # known, or decided before its beginning was told
    change.set(sight.payment, dispute="open")
    if order.state == "confirmed":
        change.set(order, state="disputed")
    change.say(
        stated_now(order), OrderDisputed(order.order_id, amount or order.deposit, order.currency)
    )
    return "disputed"


def _decided(
    change: Change[Any],
    sight: Sight,
    how: Literal["dispute_won", "dispute_lost"],
    now: datetime,
) -> Told:
    order = sight.order
    result: Literal["won", "lost"] = "won" if how == "dispute_won" else "lost"
    if sight.payment.dispute in ("won", "lost"):
        return "nothing"
    change.set(sight.payment, dispute=result)
    change.say(stated_now(order), DisputeDecided(order.order_id, result))
    if result == "won":
        if order.state == "disputed":
            change.set(order, state="confirmed")
    elif sight.payment.state in OWED:
        settle_refund(change, sight)
    elif sight.payment.state != "refunded":
        _gone(change, sight, _known(sight), now)
    return how


def _known(sight: Sight) -> int:
    """What is known to have gone back so far."""
    return sight.payment.refunded_amount or 0
