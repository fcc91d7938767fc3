"""Money that moved at the provider after it was taken: refunds and disputes that we did not make.

Pure rules, each on a change that has begun. What was told adds up in `moves.Moves`; here the order
follows the sum.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal

from app.checkout.change import Change
from app.checkout.looks import OrderSight
from app.checkout.moves import DISPUTES, Moves
from app.checkout.providers.protocol import MoneyMoved
from app.checkout.settlement import SETTLED, stated_now
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
    "inquiry",
    "disputed",
    "dispute_won",
    "dispute_lost",
]
"""What a move meant for its order; `our_refund` is one that we had asked for ourselves."""

OWED: Final = ("refund_due", "refund_refused")


def move_money(change: Change[Any], sight: OrderSight, moved: MoneyMoved, now: datetime) -> Told:
    """Let an order follow its money; what that meant."""
    order, payment = sight.order, sight.payment
    if moved.move in DISPUTES and (not moved.amount or moved.currency not in ("", order.currency)):
        moved = replace(moved, amount=order.deposit)  # not known, or in other money: about all
    before = Moves.of_payment(payment)
    after = before.after(moved)
    if after == before:
        return "nothing"
    known = payment.refunded_amount or 0
    failed = moved.move == "refund_failed"
    # Nothing but a failure takes back what was told.
    gone = min(known, after.gone) if failed else max(known, after.gone)
    change.set(payment, moves=after.stored(), refunded_amount=gone, dispute=after.dispute)
    _keep_while_disputed(change, sight, disputed=after.dispute == "open")
    match moved.move:
        case "refund_failed":
            noted = moved.move_id in before.refunds
            return _refund_failed(change, sight, gone, noted=noted)
        case "inquiry":
            return "inquiry"
        case "disputed":
            if "open" in before.disputes.get("", ()):
                return "nothing"  # told already, when asking found it
            if payment.state in SETTLED:  # else its success says so, after the order's own fact
                fact = OrderDisputed(order.order_id, moved.amount, order.currency)
                change.say(stated_now(order), fact)
            return "disputed"
        case "dispute_won" | "dispute_lost" | "dispute_refunded":
            result: Literal["won", "lost"] = "won" if moved.move == "dispute_won" else "lost"
            others_open = after.dispute == "open"
            decided = DisputeDecided(order.order_id, result, others_open=others_open)
            change.say(stated_now(order), decided)
    told = _went_back(change, sight, gone, now)
    return moved.move if moved.move in ("dispute_won", "dispute_lost") else told


def _settle_refund(change: Change[Any], sight: OrderSight) -> None:
    """What was owed has gone back."""
    order = sight.order
    change.set(sight.payment, state="refunded")
    if not allowed(order.state, "refunded"):
        return  # it had failed after it was told: the order said so already
    change.set(order, state="refunded")
    change.say(stated_now(order), OrderRefunded(order.order_id, order.deposit, order.currency))


def paid_back(change: Change[Any], sight: OrderSight) -> None:
    """What was owed has gone back, as we know from our own asking or from a person."""
    payment, deposit = sight.payment, sight.order.deposit
    change.set(
        payment,
        moves=Moves.of_payment(payment).all_back(deposit).stored(),
        refunded_amount=max(payment.refunded_amount or 0, deposit),
    )
    _settle_refund(change, sight)


def _keep_while_disputed(change: Change[Any], sight: OrderSight, *, disputed: bool) -> None:
    if disputed and sight.order.state == "confirmed":
        change.set(sight.order, state="disputed")
    elif not disputed and sight.order.state == "disputed":
        change.set(sight.order, state="confirmed")


def _went_back(change: Change[Any], sight: OrderSight, total: int, now: datetime) -> Told:
    order, state = sight.order, sight.payment.state
    if total <= (sight.payment.refunded_amount or 0):
        return "nothing"
    whole = total >= order.deposit
    if whole and state in OWED:
        _settle_refund(change, sight)
        return "our_refund"
    if state in (*OWED, "refunded"):
        return "nothing"  # the rest is on its way
    if whole:
        _gone(change, sight, now)
        return "refunded"
    change.say(stated_now(order), OrderPartlyRefunded(order.order_id, total, order.currency))
    return "partly_refunded"


def _gone(change: Change[Any], sight: OrderSight, now: datetime) -> None:
    """All of the money went back: the order is over, a car that nobody has collected is free."""
    order, context = sight.order, stated_now(sight.order)
    change.set(
        sight.payment,
        state="refunded",
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


def _refund_failed(change: Change[Any], sight: OrderSight, left: int, *, noted: bool) -> Told:
    """Money that was told to be on its way, or to have gone, has come back to us."""
    state = sight.payment.state
    if state in ("refund_due", "refunded") and left < sight.order.deposit:
        change.set(sight.payment, state="refund_refused")
        return "refund_failed"
    return "refund_failed" if noted or sight.payment.refunded_amount else "nothing"
