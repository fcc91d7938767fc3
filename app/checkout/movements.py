"""Money that moved at the provider after it was taken: refunds and disputes that we did not make.

Each function takes a locked order and changes it in the caller's transaction. A move says enough
by itself and may come twice, late, or before what led to it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final, Literal

from app.checkout.providers.protocol import MoneyMoved
from app.checkout.states import LIVE, allowed
from app.checkout.store import CheckoutTransaction, Record, as_context
from app.contracts.checkout import OrderState
from app.contracts.events import (
    CarStateChanged,
    DisputeDecided,
    OrderCancelled,
    OrderDisputed,
    OrderEnded,
    OrderPartlyRefunded,
    OrderRefunded,
)
from app.kernel.facts import EventContext
from telemetry.tracing import current_traceparent

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


async def move_money(
    transaction: CheckoutTransaction, order: Record, moved: MoneyMoved, now: datetime
) -> Told:
    """Let an order follow its money; what that meant."""
    match moved.move:
        case "refunded":
            return await _refunded(transaction, order, moved.amount, now)
        case "refund_failed":
            return await _refund_failed(transaction, order, moved.amount)
        case "disputed":
            return await _disputed(transaction, order, moved.amount)
        case "dispute_won" | "dispute_lost":
            return await _decided(transaction, order, moved.move, now)


async def settle_refund(transaction: CheckoutTransaction, order: Record) -> None:
    """What was owed has gone back."""
    order_id = order["order_id"]
    await transaction.set_payment(
        order_id, state="refunded", refunded_amount=max(_known(order), order["deposit"])
    )
    if not allowed(order["state"], "refunded"):
        return  # it failed after it had been told: the order said so already
    await transaction.move_order(order_id, order["state"], "refunded")
    await transaction.record(
        OrderRefunded(order_id, order["deposit"], order["currency"]), now_context(order)
    )


async def _refunded(
    transaction: CheckoutTransaction, order: Record, total: int, now: datetime
) -> Told:
    if total <= _known(order):
        return "nothing"
    whole = total >= order["deposit"]
    if whole and order["payment_state"] in OWED:
        await settle_refund(transaction, order)
        return "our_refund"
    await transaction.set_payment(order["order_id"], refunded_amount=total)
    if order["payment_state"] in (*OWED, "refunded"):
        return "nothing"  # the rest is on its way
    if whole:
        await _gone(transaction, order, now)
        return "refunded"
    await transaction.record(
        OrderPartlyRefunded(order["order_id"], total, order["currency"]), now_context(order)
    )
    return "partly_refunded"


async def _gone(transaction: CheckoutTransaction, order: Record, now: datetime) -> None:
    """All of the money went back: the order is over, a car that nobody has collected is free."""
    order_id, car_id, context = order["order_id"], order["car_id"], now_context(order)
    before: OrderState = order["state"]
    await transaction.set_payment(
        order_id,
        state="refunded",
        refunded_amount=max(_known(order), order["deposit"]),
        accepted_at=order["accepted_at"] or now,
    )
    if before == "payment_pending":
        # Told before the success itself: the hold lives on for another attempt.
        await transaction.move_order(order_id, before, "cancelled")
        await transaction.record(
            OrderEnded(order_id, order["hold_id"], car_id, "cancelled"), context
        )
    elif before in LIVE and order["handed_over_at"] is None:
        await transaction.move_car(car_id, ["reserved"], "available")
        await transaction.record(OrderCancelled(order_id, car_id, "refunded"), context)
        await transaction.record(CarStateChanged(car_id, "available"), context)
    state: OrderState = "cancelled" if before == "payment_pending" else before
    await transaction.move_order(
        order_id, state, "refunded", ended_at=order["ended_at"] or now, message="refunded"
    )
    await transaction.record(
        OrderRefunded(order_id, order["deposit"], order["currency"], by="provider"), context
    )


async def _refund_failed(transaction: CheckoutTransaction, order: Record, amount: int) -> Told:
    order_id, left = order["order_id"], max(0, _known(order) - amount)
    if order["payment_state"] in ("refund_due", "refunded"):
        await transaction.set_payment(order_id, state="refund_refused", refunded_amount=left)
        return "refund_failed"
    if not _known(order):
        return "nothing"
    await transaction.set_payment(order_id, refunded_amount=left)
    return "refund_failed"


async def _disputed(transaction: CheckoutTransaction, order: Record, amount: int) -> Told:
    if order["dispute"]:
        return "nothing"  # known, or decided before its beginning was told
    order_id = order["order_id"]
    await transaction.set_payment(order_id, dispute="open")
    if order["state"] == "confirmed":
        await transaction.move_order(order_id, "confirmed", "disputed")
    await transaction.record(
        OrderDisputed(order_id, amount or order["deposit"], order["currency"]), now_context(order)
    )
    return "disputed"


async def _decided(
    transaction: CheckoutTransaction,
    order: Record,
    how: Literal["dispute_won", "dispute_lost"],
    now: datetime,
) -> Told:
    result: Literal["won", "lost"] = "won" if how == "dispute_won" else "lost"
    if order["dispute"] in ("won", "lost"):
        return "nothing"
    await transaction.set_payment(order["order_id"], dispute=result)
    await transaction.record(DisputeDecided(order["order_id"], result), now_context(order))
    if result == "won":
        if order["state"] == "disputed":
            await transaction.move_order(order["order_id"], "disputed", "confirmed")
    elif order["payment_state"] in OWED:
        await settle_refund(transaction, order)
    elif order["payment_state"] != "refunded":
        await _gone(transaction, order, now)
    return how


def _known(order: Record) -> int:
    """What is known to have gone back so far."""
    return order["refunded_amount"] or 0


def now_context(order: Record) -> EventContext:
    """The order's context, stated in the span that is current now."""
    context = as_context(order["context"])
    return replace(context, traceparent=current_traceparent() or context.traceparent)
