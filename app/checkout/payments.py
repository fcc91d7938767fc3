"""What a provider's word does to an order: webhooks, late payments, refunds, reconciliation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal

from app.checkout.change import Change, Changes, Put, unchanged
from app.checkout.customers import CustomerIndex
from app.checkout.errors import ProviderNotOffered, ProviderUnknown, WebhookTooLarge
from app.checkout.looks import OrderLook, OrderSight
from app.checkout.models import PAYMENT_EVENTS
from app.checkout.movements import Told, move_money
from app.checkout.providers.protocol import (
    MoneyMoved,
    PaymentProvider,
    ProviderEvent,
    ProviderPayment,
    ProviderUnavailable,
)
from app.checkout.rows import Order
from app.checkout.settings import CheckoutSettings
from app.checkout.settlement import SETTLED, Effect, Terms, wanted
from app.checkout.settlement import apply as apply_payment
from app.checkout.signals import Signals
from app.checkout.store import Store
from app.frame.flags import Flags
from app.kernel.clock import Clock
from app.kernel.errors import VitrineError

Applied = Literal["applied", "duplicate", "ignored", "unknown_order"]
"""`unknown_order`: money came or went with our reference on it, and we have no such order."""

MAX_WEBHOOK_BYTES: Final = 64 * 1024


class Payments:
    """Use cases around a payment.

    `providers` by name are those that can be asked; only those `offered` take new payments, and
    only their webhooks are heard.
    """

    def __init__(
        self,
        store: Store,
        changes: Changes,
        providers: Mapping[str, PaymentProvider],
        offered: Sequence[str],
        index: CustomerIndex,
        signals: Signals,
        clock: Clock,
        settings: CheckoutSettings,
        flags: Flags,
    ) -> None:
        self._flags = flags
        self._store = store
        self._changes = changes
        self._providers = providers
        self.offered = tuple(offered)
        self._index = index
        self._signals = signals
        self._clock = clock
        self._terms = Terms(settings.pick_up_seconds, settings.hold_extension_seconds)

    def provider(self, name: str) -> PaymentProvider:
        """Raises `ProviderUnknown`."""
        if name not in self._providers:
            raise ProviderUnknown(f"There is no provider {name!r} here{self._known()}")
        return self._providers[name]

    @property
    def known(self) -> tuple[str, ...]:
        """Those that can be asked, whether they are offered or not."""
        return tuple(self._providers)

    def _known(self) -> str:
        return f"; known: {', '.join(self.offered)}."

    def open_provider(self, name: str) -> PaymentProvider:
        """A provider for a new payment.

        Raises `ProviderNotOffered`, or `ProviderUnavailable` while payments are off.
        """
        if name not in self.offered:
            raise ProviderNotOffered(
                f"payment.provider: nothing is paid through {name} here{self._known()}"
            )
        provider = self.provider(name)
        if not self._flags.enabled("checkout-payments-enabled"):
            raise ProviderUnavailable(
                "Payments are switched off for a moment. Your car is still held.",
                retry_after_seconds=30,
            )
        return provider

    async def receive(self, name: str, body: bytes, headers: Mapping[str, str]) -> Applied:
        """Apply one webhook: verified over its raw bytes, once per event id, in any order."""
        if name not in self.offered:
            raise ProviderUnknown(f"No messages of {name!r} are taken here{self._known()}")
        provider = self.provider(name)
        try:
            event = provider.verify(body, headers)
        except VitrineError:
            self._signals.webhook(name, "rejected")
            raise
        if len(body) > MAX_WEBHOOK_BYTES and (event.payment or event.moved):
            self._signals.webhook(name, "rejected")
            raise WebhookTooLarge(f"body: a webhook has at most {MAX_WEBHOOK_BYTES} bytes.")
        try:
            result = await self.apply(name, event)
        except VitrineError:
            self._signals.webhook(name, "failed")
            raise
        self._signals.webhook(name, result)
        return result

    async def apply(self, name: str, event: ProviderEvent) -> Applied:
        """Apply a provider's message or finding: once, whatever was known before.

        Authorised money is taken or let go first: the provider's answer is applied.
        """
        if event.moved is not None:
            return await self._follow(name, event, event.moved)
        payment = event.payment
        if payment is None:
            return "ignored"
        if payment.state == "authorised":
            payment = await self._decide(name, payment)
        found = await self._changes.settled(
            "settle_payment",
            OrderLook(payment.reference, event.event_id),
            lambda sight: self._applied(sight, name, event, payment),
        )
        if found is None:
            money = payment.state in ("authorised", "succeeded")
            return self._without_order(name, payment.reference) if money else "ignored"
        effect, order = found
        if effect == "duplicate":
            return "duplicate"
        self._tell(effect, order, name)
        return "applied"

    def _applied(
        self, sight: OrderSight | None, name: str, event: ProviderEvent, payment: ProviderPayment
    ) -> Change[Found]:
        if sight is None or sight.order.provider != name:
            return unchanged(None)
        if sight.event_known:
            return unchanged(("duplicate", sight.order))
        now = self._clock.now()
        change: Change[Found] = _caused_by(event, sight, now)
        customer_id = self._index.pseudonym(sight.email_index)
        effect = apply_payment(change, sight, payment, now, self._terms, customer_id)
        change.answer = effect, sight.order
        return change

    async def _follow(self, name: str, event: ProviderEvent, moved: MoneyMoved) -> Applied:
        """Let an order follow money that moved after it was taken."""
        order_id = moved.reference or await self._store.order_of_payment(name, moved.payment_id)
        if not order_id:
            # Without our reference it is about somebody else's payment in the same account.
            return "ignored"

        def decide(sight: OrderSight | None) -> Change[str]:
            if sight is None or sight.order.provider != name:
                return unchanged("unknown_order")
            if sight.event_known:
                return unchanged("duplicate")
            now = self._clock.now()
            change: Change[str] = _caused_by(event, sight, now)
            change.answer = move_money(change, sight, moved, now)
            return change

        told: Told | str = await self._changes.settled(
            "move_money", OrderLook(order_id, event.event_id), decide
        )
        if told == "unknown_order":
            return self._without_order(name, moved.reference) if moved.reference else "ignored"
        if told == "duplicate":
            return "duplicate"
        if told == "our_refund":
            self._signals.order_moved(order_id, state="refunded", reason="refund_due")
        elif told != "nothing":
            self._signals.money_moved(order_id, provider=name, move=told)
        return "applied"

    def _without_order(self, name: str, reference: str) -> Applied:
        self._signals.money_without_order(reference, provider=name)
        return "unknown_order"

    async def _decide(self, name: str, payment: ProviderPayment) -> ProviderPayment:
        """Take authorised money while the car can be had, else let it go; what it became."""
        sight = await self._changes.seen(OrderLook(payment.reference))
        if sight is None or sight.order.provider != name:
            return payment  # not ours to decide
        if sight.payment.state in SETTLED and sight.payment.payment_id == payment.payment_id:
            return payment  # an old message
        provider = self.provider(name)
        with self._signals.provider_call(name):
            if wanted(sight, payment):
                return await provider.capture(payment.payment_id, payment.reference)
            closed = await provider.void(payment.payment_id, payment.reference)
        if closed.state != "cancelled":
            return closed
        # The amount is the one that was judged: a closed payment has none left.
        return replace(payment, state="released")

    def _tell(self, effect: Effect, order: Order, provider: str) -> None:
        """What an event did, told to telemetry after it was written."""
        order_id, caused_by = order.order_id, order.context.get("traceparent", "")
        if effect in ("confirmed", "late_confirmed"):
            self._signals.order_confirmed(
                order_id,
                car_id=order.car_id,
                provider=provider,
                market=order.context.get("market", ""),
                traffic=order.context.get("traffic", ""),
                caused_by=caused_by,
            )
        if effect == "late_confirmed":
            self._signals.late_payment(order_id, "honoured")
        elif effect == "late_refunded":
            self._signals.late_payment(order_id, "refunded")
        elif effect == "wrong_amount":
            self._signals.wrong_amount(order_id, provider=provider)
        elif effect == "closed":
            self._signals.order_moved(order_id, state="cancelled", reason="closed")
        elif effect == "declined":
            self._signals.payment_refused(order_id, provider=provider, caused_by=caused_by)


Found = tuple[Effect | Literal["duplicate"], Order] | None
"""What a message did, and to which order as it was before; None when there is no such order."""


def _caused_by(event: ProviderEvent, sight: OrderSight, now: datetime) -> Change[Any]:
    """A change that begins with a provider's message, which counts once."""
    order = sight.order
    return Change(
        sight.car,
        answer=None,
        event=Put(
            PAYMENT_EVENTS,
            {
                "event_id": event.event_id,
                "provider": order.provider,
                "order_id": order.order_id,
                "type": event.type,
                "received_at": now,
            },
        ),
    )
