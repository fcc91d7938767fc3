"""What a provider's word about a payment does to its order. Pure rules.

Each takes what was seen and a change that has begun; messages may come twice, late, and in any
order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from app.checkout.change import Change
from app.checkout.collection import kept_until
from app.checkout.looks import OrderSight
from app.checkout.moves import Moves
from app.checkout.providers.protocol import ProviderPayment
from app.checkout.rows import Order
from app.checkout.states import LIVE, allowed
from app.contracts.events import (
    CarStateChanged,
    OrderConfirmed,
    OrderDisputed,
    OrderEnded,
    PaymentAttempted,
)
from app.kernel.facts import EventContext
from telemetry.tracing import current_traceparent

SETTLED: Final = ("captured", "refund_due", "refund_refused", "refunded")
"""Payment states in which money came in: a further message about it changes nothing."""

Effect = Literal[
    "confirmed",
    "late_confirmed",
    "late_refunded",
    "wrong_amount",
    "declined",
    "extended",
    "closed",
    "none",
]
"""What a message did to its order."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What shoppers are promised, in seconds."""

    pick_up_seconds: int
    hold_extension_seconds: int


def expected_amount(order: Order, payment: ProviderPayment) -> bool:
    """Whether a payment is of the order's deposit, to the minor unit and in its currency."""
    return (payment.amount, payment.currency) == (order.deposit, order.currency)


def wanted(sight: OrderSight, payment: ProviderPayment) -> bool:
    """Whether money that a provider keeps ready would buy the car as things are.

    Not a promise: it is decided when the money was taken, and what came too late after all is
    paid back.
    """
    if not expected_amount(sight.order, payment) or sight.payment.state in SETTLED:
        return False
    return sight.order.erased_at is None and (_in_time(sight) or _free_again(sight))


def apply(
    change: Change[Any],
    sight: OrderSight,
    payment: ProviderPayment,
    now: datetime,
    terms: Terms,
    customer_id: str = "",
) -> Effect:
    """Let the order follow; what that was. `customer_id` is by what name facts know who bought."""
    waits = sight.order.state == "payment_pending"
    match payment.state:
        case "succeeded" if sight.payment.state not in SETTLED:
            return _succeeded(change, sight, payment, now, terms, customer_id)
        case "declined" if waits:
            _end(change, sight, "declined", "declined", now)
            change.set(sight.payment, state="declined")
            return "declined"
        case "action_required" if waits:
            change.say(stated_now(sight.order), _attempt(sight.order, "action_required"))
            if sight.hold.state != "active" or sight.hold.extended:
                return "none"
            extension = timedelta(seconds=terms.hold_extension_seconds)
            change.set(sight.hold, expires_at=sight.hold.expires_at + extension, extended=True)
            return "extended"
        case "cancelled" if waits:
            change.set(sight.payment, state="cancelled")
            _end(change, sight, "cancelled", "closed", now)
            return "closed"
        case "released" if sight.payment.state not in SETTLED:
            # No money moved: an order that still waited for it ends.
            right = expected_amount(sight.order, payment)
            change.set(sight.payment, state="cancelled")
            return _in_vain(change, sight, "paid_too_late" if right else "wrong_amount", now)
    return "none"


def _succeeded(
    change: Change[Any],
    sight: OrderSight,
    payment: ProviderPayment,
    now: datetime,
    terms: Terms,
    customer_id: str,
) -> Effect:
    order = sight.order
    accepted_at = payment.accepted_at or now
    change.set(
        sight.payment, state="captured", accepted_at=accepted_at, payment_id=payment.payment_id
    )
    context = stated_now(order)
    change.say(context, _attempt(order, "accepted"))
    effect = _bought_or_not(change, sight, payment, now, accepted_at, terms, context, customer_id)
    for state, amount in Moves.of_payment(sight.payment).disputes.values():
        if state == "open":  # told before the success itself
            disputed = OrderDisputed(order.order_id, amount or order.deposit, order.currency)
            change.say(context, disputed)
    return effect


def _bought_or_not(
    change: Change[Any],
    sight: OrderSight,
    payment: ProviderPayment,
    now: datetime,
    accepted_at: datetime,
    terms: Terms,
    context: EventContext,
    customer_id: str,
) -> Effect:
    order = sight.order
    right = expected_amount(order, payment)
    in_time = _in_time(sight)
    # Nobody knows any more whose car an erased order's would be.
    if not (right and order.erased_at is None and (in_time or _free_again(sight))):
        change.set(sight.payment, state="refund_due")
        return _in_vain(change, sight, "paid_too_late" if right else "wrong_amount", now)
    if in_time:
        change.set(sight.hold, state="ordered")
    change.set(sight.car, state="reserved")
    change.set(
        order,
        state="disputed" if sight.payment.dispute == "open" else "confirmed",
        message=None,
        confirmed_at=now,
        pick_up_by=kept_until(
            order.ready_for_handover_at,
            sight.car.dealer_calendar,
            now,
            pick_up_seconds=terms.pick_up_seconds,
        ),
        ended_at=None,
    )
    change.say(
        context,
        OrderConfirmed(
            order_id=order.order_id,
            hold_id=order.hold_id,
            car_id=order.car_id,
            model_id=sight.car.model_id,
            price=order.price,
            vat=order.vat,
            deposit=order.deposit,
            currency=order.currency,
            provider=order.provider,
            order_seconds=(now - order.created_at).total_seconds(),
            confirmation_seconds=max(0.0, (now - accepted_at).total_seconds()),
            advice_id=order.advice_id,
            late=not in_time,
            customer_id=customer_id,
        ),
        CarStateChanged(order.car_id, "reserved"),
    )
    return "confirmed" if in_time else "late_confirmed"


def _in_time(sight: OrderSight) -> bool:
    """Whether the car is still held for this order.

    A refused card that is accepted after all counts as long as no newer order of the same hold
    waits: it must not be paid twice, and must not take the car from itself.
    """
    return (
        sight.hold.state == "active"
        and sight.car.state == "held"
        and allowed(sight.order.state, "confirmed")
        and sight.last_of_hold == sight.order.order_id
    )


def _free_again(sight: OrderSight) -> bool:
    """Whether money that came late can still buy the car."""
    free = sight.car.state == "available" and sight.car.listed
    return free and not sight.taken_elsewhere and allowed(sight.order.state, "confirmed")


def _in_vain(
    change: Change[Any],
    sight: OrderSight,
    why: Literal["paid_too_late", "wrong_amount"],
    now: datetime,
) -> Effect:
    """Tell the shopper why there is no car; an order that waited is cancelled."""
    if sight.order.state in LIVE:
        _end(change, sight, "cancelled", why, now)
    else:
        change.set(sight.order, message=why, ended_at=now)
    return "late_refunded" if why == "paid_too_late" else "wrong_amount"


def _end(
    change: Change[Any],
    sight: OrderSight,
    state: Literal["declined", "cancelled"],
    message: str,
    now: datetime,
) -> None:
    order = sight.order
    change.set(order, state=state, message=message, ended_at=now)
    if state == "declined":
        change.say(stated_now(order), _attempt(order, "declined"))
    change.say(stated_now(order), OrderEnded(order.order_id, order.hold_id, order.car_id, state))


def _attempt(
    order: Order, result: Literal["accepted", "declined", "action_required", "failed"]
) -> PaymentAttempted:
    return PaymentAttempted(order.order_id, order.hold_id, order.provider, result)


def stated_now(order: Order) -> EventContext:
    """The order's context, stated in the span that is current now."""
    context = EventContext(**order.context)
    return replace(context, traceparent=current_traceparent() or context.traceparent)
