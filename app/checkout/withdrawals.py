"""Orders that end before handover: withdrawn by the shopper, or the car not picked up in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from app.checkout.change import Change, Changes, unchanged
from app.checkout.errors import TransitionRefused
from app.checkout.idempotency import Claim, Replay, StoredAnswer
from app.checkout.looks import OrderLook, OrderSight
from app.checkout.order_wire import answer_with_order
from app.checkout.rows import Key, Purchase
from app.checkout.settings import CheckoutSettings
from app.checkout.settlement import stated_now
from app.checkout.signals import Signals
from app.checkout.states import allowed
from app.checkout.store import Store
from app.checkout.tokens import for_holder
from app.checkout.work import WorkList
from app.contracts.events import CarStateChanged, OrderCancelled, OrderEnded
from app.kernel.clock import Clock


def cancel(
    sight: OrderSight | None,
    key: Key | None,
    token: str,
    claim: Claim,
    now: datetime,
    *,
    pick_up_seconds: int,
) -> Change[StoredAnswer]:
    """Withdraw before handover. Raises `OrderUnknown`, `TransitionRefused`."""
    sight = for_holder(sight, token)
    if not allowed(sight.order.state, "cancelled"):
        raise TransitionRefused(f"An order that is {sight.order.state} cannot be cancelled.")
    if sight.order.handed_over_at is not None:
        raise TransitionRefused("The car was handed over: return it instead of cancelling.")
    change: Change[Any] = Change(sight.car, answer=None)
    _withdraw(change, sight, "shopper", now)
    change.answer = answer_with_order(
        change, sight, claim, key, now, pick_up_seconds=pick_up_seconds
    )
    return change


def lapse(sight: OrderSight | None, now: datetime) -> Change[bool]:
    """End an order whose car was not picked up; False when it was, or was withdrawn meanwhile."""
    if sight is None or sight.order.state != "confirmed" or sight.order.handed_over_at is not None:
        return unchanged(False)
    change = Change(sight.car, answer=True)
    _withdraw(change, sight, "lapsed", now)
    return change


def _withdraw(
    change: Change[Any], sight: OrderSight, reason: Literal["shopper", "lapsed"], now: datetime
) -> None:
    """The car is free again, a captured deposit is owed back."""
    order, context = sight.order, stated_now(sight.order)
    message = "lapsed" if reason == "lapsed" else "withdrawn"
    change.set(order, state="cancelled", ended_at=now, message=message)
    if sight.payment.state == "captured":
        change.set(sight.payment, state="refund_due")
    if order.state == "payment_pending":
        # The hold lives on: the shopper may order again until it ends.
        change.set(sight.payment, state="cancelled")
        change.say(context, OrderEnded(order.order_id, order.hold_id, order.car_id, "cancelled"))
        return
    change.set(sight.car, state="available")
    change.say(
        context,
        OrderCancelled(order.order_id, order.car_id, reason),
        CarStateChanged(order.car_id, "available"),
    )


class Withdrawals:
    """Use cases of an order that ends before handover."""

    def __init__(
        self,
        store: Store,
        changes: Changes,
        signals: Signals,
        clock: Clock,
        settings: CheckoutSettings,
    ) -> None:
        self._store = store
        self._changes = changes
        self._signals = signals
        self._clock = clock
        self._pick_up_seconds = settings.pick_up_seconds
        self._lapses: WorkList[Purchase] = WorkList(
            "lapses", lambda purchase: purchase.order.order_id, store, signals, clock
        )

    async def cancel(self, order_id: str, token: str, claim: Claim) -> StoredAnswer | Replay:
        """Withdraw before handover; a paid deposit goes back in full."""
        stored = await self._changes.once(
            "withdraw",
            OrderLook(order_id, key=claim.key),
            claim,
            lambda sight, key: cancel(
                sight,
                key,
                token,
                claim,
                self._clock.now(),
                pick_up_seconds=self._pick_up_seconds,
            ),
        )
        if not isinstance(stored, Replay):
            self._signals.order_moved(order_id, state="cancelled", reason="withdrawn")
        return stored

    async def lapse(self) -> int:
        """Cancel orders that were not picked up in time, one by one; returns how many."""
        now = self._clock.now()
        since = now - timedelta(seconds=self._pick_up_seconds)
        overdue = await self._store.orders_not_picked_up(waiting_since=since, now=now)
        return await self._lapses.each(overdue, self._lapse)

    async def _lapse(self, overdue: Purchase) -> bool:
        order_id = overdue.order.order_id
        lapsed = await self._changes.settled(
            "withdraw", OrderLook(order_id), lambda sight: lapse(sight, self._clock.now())
        )
        if lapsed:
            self._signals.order_moved(order_id, state="cancelled", reason="lapsed")
        return lapsed
