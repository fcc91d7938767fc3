"""Money that is owed goes back, oldest first; what the provider refuses waits for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from app.checkout.change import Change, Changes, unchanged
from app.checkout.errors import OrderUnknown, TransitionRefused
from app.checkout.looks import OrderLook, OrderSight
from app.checkout.movements import paid_back
from app.checkout.payments import Payments
from app.checkout.providers.protocol import ProviderRefused
from app.checkout.rows import Purchase
from app.checkout.signals import Signals
from app.checkout.store import Store
from app.checkout.work import WorkList
from app.kernel.clock import Clock
from app.kernel.errors import VitrineError

PAGE: Final = 50

Decision = Literal["retry", "end"]
AFTER: Final[Mapping[Decision, str]] = {"retry": "refund_due", "end": "refunded"}
"""The payment's state once a person has decided so."""


class Refunds:
    """Use cases around `refund_due` and `refund_refused`."""

    def __init__(
        self, store: Store, changes: Changes, payments: Payments, signals: Signals, clock: Clock
    ) -> None:
        self._store = store
        self._changes = changes
        self._payments = payments
        self._signals = signals
        self._clock = clock
        self._work: WorkList[Purchase] = WorkList(
            "refunds", lambda purchase: purchase.order.order_id, store, signals, clock
        )

    async def pay_back(self) -> int:
        """Pay back what is owed, each provider for itself; returns how many refunds were made."""
        done = 0
        for provider in self._payments.known:
            due = await self._store.refunds_due(
                provider=provider, now=self._clock.now(), limit=PAGE
            )
            done += await self._work.each(due, self._refund)
        return done

    async def _refund(self, owed: Purchase) -> bool:
        """Asked for with the order as its reference: however often, it is paid back once."""
        order_id, provider = owed.order.order_id, owed.order.provider
        try:
            with self._signals.provider_call(provider):
                await self._payments.provider(provider).refund(
                    owed.payment.payment_id or "", order_id
                )
        except ProviderRefused as error:
            self._signals.refund_failed(order_id, provider=provider, error=error)
            return await self._refused(order_id)
        except VitrineError as error:
            self._signals.refund_failed(order_id, provider=provider, error=error)
            raise
        if not await self._changes.settled("refund", OrderLook(order_id), _paid_back):
            return False  # its message was faster
        self._signals.order_moved(order_id, state="refunded", reason="refund_due")
        return True

    async def _refused(self, order_id: str) -> bool:
        refused = await self._changes.settled("refund", OrderLook(order_id), _refused)
        if refused:
            self._signals.refund_refused(order_id)
        return refused

    async def decide(self, order_id: str, how: Decision) -> None:
        """A person decides about a refund: ask the provider again, or it was paid back by hand.

        Raises `OrderUnknown`, or `TransitionRefused` when there is nothing to decide.
        """
        tried = False

        def decide(sight: OrderSight | None) -> Change[None]:
            nonlocal tried
            if tried and sight is not None and sight.payment.state == AFTER[how]:
                return unchanged(None)  # written in a round of whose end nobody heard
            tried = True
            return _decided(sight, order_id, how)

        await self._changes.settled("refund", OrderLook(order_id), decide)
        self._signals.refund_decided(order_id, how=how)


def _paid_back(sight: OrderSight | None) -> Change[bool]:
    """The provider has given back what was owed."""
    if sight is None or sight.payment.state != "refund_due":
        return unchanged(False)
    change = Change(sight.car, answer=True)
    paid_back(change, sight)
    return change


def _refused(sight: OrderSight | None) -> Change[bool]:
    """The provider will not give back what is owed."""
    if sight is None or sight.payment.state != "refund_due":
        return unchanged(False)
    change = Change(sight.car, answer=True)
    change.set(sight.payment, state="refund_refused")
    return change


def _decided(sight: OrderSight | None, order_id: str, how: Decision) -> Change[None]:
    if sight is None:
        raise OrderUnknown(f"There is no order {order_id}.")
    decidable = {"retry": ("refund_refused",), "end": ("refund_refused", "refund_due")}
    if sight.payment.state not in decidable[how]:
        raise TransitionRefused(
            f"The payment of {order_id} is {sight.payment.state}: only a refund that was"
            " refused is asked for again, and only one that is owed is ended by hand."
        )
    change: Change[None] = Change(sight.car, answer=None)
    if how == "retry":
        change.set(sight.payment, state="refund_due")
    else:
        paid_back(change, sight)
    return change
