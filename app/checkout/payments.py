"""What a provider's word does to an order: webhooks, late payments, refunds, reconciliation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from app.checkout.errors import ProviderUnknown
from app.checkout.gateways import PaymentProvider, ProviderEvent, ProviderPayment
from app.checkout.settings import CheckoutSettings
from app.checkout.signals import Signals
from app.checkout.states import LIVE, OrderState
from app.checkout.store import CheckoutTransaction, Record, Store, as_context
from app.contracts.events import (
    CarStateChanged,
    OrderConfirmed,
    OrderEnded,
    OrderRefunded,
    PaymentAttempted,
)
from app.kernel.clock import Clock
from app.kernel.errors import Unavailable
from app.kernel.facts import EventContext
from telemetry.tracing import current_traceparent

Applied = Literal["applied", "duplicate", "ignored"]

QUIET_SECONDS: Final = 20
"""An order unpaid for longer than this is asked about: a lost webhook heals within a minute."""


@dataclass(frozen=True, slots=True)
class _Effect:
    """What an event did, to be told to telemetry after the commit."""

    kind: Literal["confirmed", "late_confirmed", "late_refunded", "declined", "extended", "none"]
    order: Record


class Payments:
    """Use cases around a payment. `providers` by name."""

    def __init__(
        self,
        store: Store,
        providers: Mapping[str, PaymentProvider],
        signals: Signals,
        clock: Clock,
        settings: CheckoutSettings,
    ) -> None:
        self._store = store
        self._providers = providers
        self._signals = signals
        self._clock = clock
        self._settings = settings

    def provider(self, name: str) -> PaymentProvider:
        """Raises `ProviderUnknown`."""
        if name not in self._providers:
            known = ", ".join(sorted(self._providers)) or "none"
            raise ProviderUnknown(f"There is no provider {name!r} here; known: {known}.")
        return self._providers[name]

    async def receive(self, name: str, body: bytes, headers: Mapping[str, str]) -> Applied:
        """Apply one webhook: verified over its raw bytes, once per event id, in any order."""
        provider = self.provider(name)
        try:
            event = provider.verify(body, headers)
        except Exception:
            self._signals.webhook(name, "rejected")
            raise
        result = await self.apply(name, event)
        self._signals.webhook(name, result)
        return result

    async def apply(self, name: str, event: ProviderEvent) -> Applied:
        """Apply a provider's message or finding in one transaction."""
        now = self._clock.now()
        async with self._store.begin() as transaction:
            order = await transaction.lock_order(event.payment.reference)
            if order is None:
                return "ignored"
            fresh = await transaction.add_payment_event(
                event_id=event.event_id,
                provider=name,
                order_id=order["order_id"],
                type_=event.type,
                at=now,
            )
            if not fresh:
                return "duplicate"
            effect = await self._apply(transaction, order, event.payment, now)
        self._tell(effect, name)
        return "applied"

    async def _apply(
        self,
        transaction: CheckoutTransaction,
        order: Record,
        payment: ProviderPayment,
        now: datetime,
    ) -> _Effect:
        context = _now_context(order)
        match payment.state:
            case "succeeded":
                return await self._succeeded(transaction, order, payment, context, now)
            case "declined" if order["state"] == "payment_pending":
                await transaction.move_order(
                    order["order_id"],
                    "payment_pending",
                    "declined",
                    ended_at=now,
                    message="declined",
                )
                await transaction.set_payment(order["order_id"], state="declined")
                await transaction.record(_attempt(order, "declined"), context)
                await transaction.record(
                    OrderEnded(order["order_id"], order["hold_id"], order["car_id"], "declined"),
                    context,
                )
                return _Effect("declined", order)
            case "action_required" if order["state"] == "payment_pending":
                extended = await transaction.extend_hold(
                    order["hold_id"],
                    order["expires_at"] + timedelta(seconds=self._settings.hold_extension_seconds),
                )
                await transaction.record(_attempt(order, "action_required"), context)
                return _Effect("extended" if extended else "none", order)
        return _Effect("none", order)

    async def _succeeded(
        self,
        transaction: CheckoutTransaction,
        order: Record,
        payment: ProviderPayment,
        context: EventContext,
        now: datetime,
    ) -> _Effect:
        if order["payment_state"] in ("captured", "refund_due", "refunded"):
            return _Effect("none", order)  # known already, from another message or by asking
        accepted_at = payment.accepted_at or now
        await transaction.set_payment(
            order["order_id"],
            state="captured",
            accepted_at=accepted_at,
            payment_id=payment.payment_id,
        )
        await transaction.record(_attempt(order, "accepted"), context)
        in_time = order["state"] == "payment_pending" and order["hold_state"] == "active"
        if in_time:
            await transaction.end_hold(order["hold_id"], "ordered")
        car_is_theirs = await transaction.move_car(
            order["car_id"], ["held"] if in_time else ["available"], "reserved"
        )
        # A sibling order of the same hold, paid twice, must not take the car a second time.
        if not car_is_theirs or order["state"] not in ("payment_pending", "declined", "expired"):
            if car_is_theirs:
                await transaction.move_car(order["car_id"], ["reserved"], "available")
            return await self._late_refund(transaction, order, now)
        await transaction.move_order(
            order["order_id"], order["state"], "confirmed", confirmed_at=now, ended_at=None
        )
        await transaction.record(
            OrderConfirmed(
                order_id=order["order_id"],
                hold_id=order["hold_id"],
                car_id=order["car_id"],
                model_id=order["model_id"],
                price=order["price"],
                vat=order["vat"],
                deposit=order["deposit"],
                currency=order["currency"],
                provider=order["provider"],
                order_seconds=(now - order["created_at"]).total_seconds(),
                confirmation_seconds=max(0.0, (now - accepted_at).total_seconds()),
                advice_id=order["advice_id"],
                late=not in_time,
            ),
            context,
        )
        await transaction.record(CarStateChanged(order["car_id"], "reserved"), context)
        return _Effect("confirmed" if in_time else "late_confirmed", order)

    async def _late_refund(
        self, transaction: CheckoutTransaction, order: Record, now: datetime
    ) -> _Effect:
        await transaction.set_payment(order["order_id"], state="refund_due")
        before: OrderState = order["state"]
        after: OrderState = "cancelled" if before in LIVE else before
        await transaction.move_order(
            order["order_id"], before, after, message="paid_too_late", ended_at=now
        )
        return _Effect("late_refunded", order)

    def _tell(self, effect: _Effect, provider: str) -> None:
        order = effect.order
        order_id, caused_by = order["order_id"], order["context"].get("traceparent", "")
        if effect.kind in ("confirmed", "late_confirmed"):
            self._signals.order_confirmed(
                order_id,
                car_id=order["car_id"],
                provider=provider,
                market=order["market"],
                traffic=order["context"].get("traffic", ""),
                caused_by=caused_by,
            )
        if effect.kind == "late_confirmed":
            self._signals.late_payment(order_id, "honoured")
        elif effect.kind == "late_refunded":
            self._signals.late_payment(order_id, "refunded")
        elif effect.kind == "declined":
            self._signals.payment_refused(order_id, provider=provider, caused_by=caused_by)

    async def refund_due(self) -> int:
        """Pay back what is owed; each refund is asked for with the order as its reference."""
        done = 0
        for order in await self._store.payments_in("refund_due", limit=50):
            provider = self.provider(order["provider"])
            with self._signals.provider_call(order["provider"]):
                await provider.refund(order["payment_id"], order["order_id"])
            async with self._store.begin() as transaction:
                current = await transaction.lock_order(order["order_id"])
                if current is None or current["payment_state"] != "refund_due":
                    continue
                await transaction.set_payment(order["order_id"], state="refunded")
                await transaction.move_order(order["order_id"], current["state"], "refunded")
                await transaction.record(
                    OrderRefunded(order["order_id"], order["deposit"], order["currency"]),
                    _now_context(order),
                )
            self._signals.order_moved(order["order_id"], state="refunded", reason="refund_due")
            done += 1
        return done

    async def reconcile(self, *, quiet_seconds: float = QUIET_SECONDS) -> int:
        """Ask the provider about orders whose webhook may be lost; returns how many it healed."""
        before = self._clock.now() - timedelta(seconds=quiet_seconds)
        healed = 0
        for order in await self._store.pending_payments(created_before=before, limit=50):
            if order["payment_id"] is None:
                continue
            try:
                with self._signals.provider_call(order["provider"]):
                    found = await self.provider(order["provider"]).find(order["payment_id"])
            except Unavailable:
                return healed  # the provider is down; the next turn asks again
            if found.state in ("pending", "action_required"):
                continue
            event = ProviderEvent(f"found:{found.payment_id}:{found.state}", "reconciled", found)
            if await self.apply(order["provider"], event) == "applied":
                healed += 1
        return healed


def _attempt(
    order: Record, result: Literal["accepted", "declined", "action_required", "failed"]
) -> PaymentAttempted:
    return PaymentAttempted(order["order_id"], order["hold_id"], order["provider"], result)


def _now_context(order: Record) -> EventContext:
    """The order's context, stated in the span that is current now."""
    context = as_context(order["context"])
    return replace(context, traceparent=current_traceparent() or context.traceparent)
