"""A car given back after handover: asked for by its owner, received by its dealer, then paid back.

Between the two the car stands with its owner: nobody else is offered it, and the money stays.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from app.checkout.change import Change, Changes
from app.checkout.errors import OrderUnknown, TransitionRefused
from app.checkout.idempotency import Claim, Replay, StoredAnswer
from app.checkout.looks import RECEIVED, OrderLook, OrderSight
from app.checkout.order_wire import RETURN, answer_with_order
from app.checkout.rows import Key, Order
from app.checkout.settings import CheckoutSettings
from app.checkout.settlement import stated_now
from app.checkout.signals import Signals
from app.checkout.states import allowed
from app.checkout.tokens import for_holder
from app.contracts.checkout import OrderState
from app.contracts.events import CarStateChanged, OrderReturned, ReturnRequested
from app.kernel.clock import Clock


class Terms(NamedTuple):
    """How long a car can be given back, and is kept for its buyer, in seconds."""

    return_seconds: int
    pick_up_seconds: int


class Received(NamedTuple):
    """The answer to a dealer who has the car again; the order is in `state` then."""

    stored: StoredAnswer
    state: OrderState
    reason: str


def request(
    sight: OrderSight | None,
    key: Key | None,
    token: str,
    claim: Claim,
    now: datetime,
    *,
    reason: str,
    terms: Terms,
) -> Change[StoredAnswer]:
    """The owner gives the car back. Raises `OrderUnknown`, `TransitionRefused`."""
    sight = for_holder(sight, token)
    order = sight.order
    if not allowed(order.state, "return_requested"):
        raise TransitionRefused(_no_return(order))
    until = timedelta(seconds=terms.return_seconds)
    if order.handed_over_at is None or now > order.handed_over_at + until:
        raise TransitionRefused("A car can be returned within 14 days after handover.")
    change: Change[Any] = Change(sight.car, answer=None)
    change.set(order, state="return_requested", message=RETURN + reason)
    change.say(stated_now(order), ReturnRequested(order.order_id, order.car_id, reason))
    change.answer = answer_with_order(
        change, sight, claim, key, now, pick_up_seconds=terms.pick_up_seconds
    )
    return change


def receive(
    sight: OrderSight | None,
    key: Key | None,
    claim: Claim,
    now: datetime,
    *,
    list_again: bool,
    terms: Terms,
) -> Change[Received]:
    """The dealer has the car. Raises `OrderUnknown`, `TransitionRefused`."""
    if sight is None:
        raise OrderUnknown("There is no such order.")
    order = sight.order
    paid_back = order.state == "refunded" and order.handed_over_at is not None
    if order.message == RECEIVED or not (paid_back or order.state == "return_requested"):
        raise TransitionRefused("Only an order whose return was asked for is received.")
    before, context = order.message or "", stated_now(order)
    reason = before.removeprefix(RETURN) if before.startswith(RETURN) else "other"
    state: OrderState = "refunded" if paid_back else "returned"
    change: Change[Any] = Change(sight.car, answer=None)
    change.set(order, state=state, ended_at=now, message=RECEIVED)
    if not paid_back:
        change.set(sight.payment, state="refund_due")
    change.say(context, OrderReturned(order.order_id, order.car_id, reason))
    if list_again:
        if sight.car.state == "sold":
            change.set(sight.car, state="available")
        change.say(context, CarStateChanged(order.car_id, "available"))
    stored = answer_with_order(
        change, sight, claim, key, now, pick_up_seconds=terms.pick_up_seconds
    )
    change.answer = Received(stored, state, reason)
    return change


def _no_return(order: Order) -> str:
    """Why the return of a car cannot be asked for."""
    handed_over = order.handed_over_at is not None
    if order.state == "refunded" and handed_over and order.message != RECEIVED:
        return (
            "Your deposit has gone back already, so there is no return to ask for. To give the car"
            " back, take it to its dealer, who reports its receipt."
        )
    if order.state == "disputed":
        return (
            "Your bank has asked for this payment back: the car can be returned once that is"
            " decided."
        )
    return f"An order that is {order.state} cannot be returned."


class Returns:
    """Use cases of the right of withdrawal after handover."""

    def __init__(
        self, changes: Changes, signals: Signals, clock: Clock, settings: CheckoutSettings
    ) -> None:
        self._changes = changes
        self._signals = signals
        self._clock = clock
        self._terms = Terms(settings.return_seconds, settings.pick_up_seconds)

    async def request(
        self, order_id: str, token: str, claim: Claim, reason: str
    ) -> StoredAnswer | Replay:
        """The owner gives the car back, within 14 days of handover."""
        stored = await self._changes.once(
            "return_car",
            OrderLook(order_id, key=claim.key),
            claim,
            lambda sight, key: request(
                sight, key, token, claim, self._clock.now(), reason=reason, terms=self._terms
            ),
        )
        if not isinstance(stored, Replay):
            self._signals.order_moved(order_id, state="return_requested", reason=reason)
        return stored

    async def receive(
        self, order_id: str, claim: Claim, *, list_again: bool
    ) -> StoredAnswer | Replay:
        """The dealer has the car: the money is owed, and the car theirs to list again.

        With `list_again` it is on offer at once, as it was; else when its feed lists it anew.
        """
        received = await self._changes.once(
            "return_car",
            OrderLook(order_id, key=claim.key),
            claim,
            lambda sight, key: receive(
                sight, key, claim, self._clock.now(), list_again=list_again, terms=self._terms
            ),
        )
        if isinstance(received, Replay):
            return received
        self._signals.order_moved(order_id, state=received.state, reason=received.reason)
        return received.stored
