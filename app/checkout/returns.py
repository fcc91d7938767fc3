"""A car given back after handover: asked for by its owner, received by its dealer, then paid back.

Between the two the car stands with its owner: nobody else is offered it, and the money stays.
"""

from __future__ import annotations

from datetime import timedelta

from app.checkout.errors import OrderUnknown, TransitionRefused
from app.checkout.idempotency import Claim, Replay, answer, claim
from app.checkout.orders import RETURN, order_wire
from app.checkout.settings import CheckoutSettings
from app.checkout.signals import Signals
from app.checkout.states import allowed
from app.checkout.store import RECEIVED, Record, Store, StoredAnswer, now_context
from app.checkout.tokens import for_holder
from app.contracts.checkout import OrderState
from app.contracts.events import CarStateChanged, OrderReturned, ReturnRequested
from app.kernel.clock import Clock


class Returns:
    """Use cases of the right of withdrawal after handover."""

    def __init__(
        self, store: Store, signals: Signals, clock: Clock, settings: CheckoutSettings
    ) -> None:
        self._store = store
        self._signals = signals
        self._clock = clock
        self._settings = settings

    async def request(
        self, order_id: str, token: str, claim_: Claim, reason: str
    ) -> StoredAnswer | Replay:
        """The owner gives the car back, within 14 days of handover."""
        now = self._clock.now()
        async with self._store.begin() as transaction:
            begun = await claim(transaction, claim_, now)
            if isinstance(begun, Replay):
                return begun
            order = for_holder(await transaction.lock_order(order_id), token)
            handed_over = order["handed_over_at"]
            if not allowed(order["state"], "return_requested"):
                raise TransitionRefused(_no_return(order))
            deadline = timedelta(seconds=self._settings.return_seconds)
            if handed_over is None or now > handed_over + deadline:
                raise TransitionRefused("A car can be returned within 14 days after handover.")
            await transaction.move_order(
                order_id, "confirmed", "return_requested", message=RETURN + reason
            )
            await transaction.record(
                ReturnRequested(order_id, order["car_id"], reason), now_context(order)
            )
            moved = await transaction.order(order_id)
            stored = answer(200, order_wire(moved or order, self._settings))
            await transaction.answer_key(claim_.key, stored)
        self._signals.order_moved(order_id, state="return_requested", reason=reason)
        return stored

    async def receive(
        self, order_id: str, claim_: Claim, *, list_again: bool
    ) -> StoredAnswer | Replay:
        """The dealer has the car: the money is owed, and the car theirs to list again.

        With `list_again` it is on offer at once, as it was; else when its feed lists it anew.
        """
        now = self._clock.now()
        async with self._store.begin() as transaction:
            begun = await claim(transaction, claim_, now)
            if isinstance(begun, Replay):
                return begun
            order = await transaction.lock_order(order_id)
            if order is None:
                raise OrderUnknown("There is no such order.")
            paid_back = order["state"] == "refunded" and order["handed_over_at"] is not None
            if order["message"] == RECEIVED or not (
                paid_back or order["state"] == "return_requested"
            ):
                raise TransitionRefused("Only an order whose return was asked for is received.")
            car_id, context = order["car_id"], now_context(order)
            before = str(order["message"] or "")
            reason = before.removeprefix(RETURN) if before.startswith(RETURN) else "other"
            after: OrderState = "refunded" if paid_back else "returned"
            await transaction.move_order(
                order_id, order["state"], after, ended_at=now, message=RECEIVED
            )
            if not paid_back:
                await transaction.set_payment(order_id, state="refund_due")
            await transaction.record(OrderReturned(order_id, car_id, reason), context)
            if list_again:
                await transaction.move_car(car_id, ["sold"], "available")
                await transaction.record(CarStateChanged(car_id, "available"), context)
            moved = await transaction.order(order_id)
            stored = answer(200, order_wire(moved or order, self._settings))
            await transaction.answer_key(claim_.key, stored)
        self._signals.order_moved(order_id, state=after, reason=reason)
        return stored


def _no_return(order: Record) -> str:
    """Why the return of a car cannot be asked for."""
    if order["state"] == "refunded" and order["handed_over_at"] and order["message"] != RECEIVED:
        return (
            "Your deposit has gone back already, so there is no return to ask for. To give the car"
            " back, take it to its dealer, who reports its receipt."
        )
    if order["state"] == "disputed":
        return (
            "Your bank has asked for this payment back: the car can be returned once that is"
            " decided."
        )
    return f"An order that is {order['state']} cannot be returned."
