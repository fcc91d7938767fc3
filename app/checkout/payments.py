"""What a provider's word does to an order: webhooks, late payments, refunds, reconciliation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from app.checkout.authorisations import SETTLED, expected_amount, wanted
from app.checkout.collection import kept_until
from app.checkout.errors import ProviderNotOffered, ProviderUnknown, WebhookTooLarge
from app.checkout.express import Effect, Express, read, write
from app.checkout.movements import move_money, now_context
from app.checkout.providers.protocol import (
    MoneyMoved,
    PaymentProvider,
    ProviderEvent,
    ProviderPayment,
    ProviderUnavailable,
)
from app.checkout.settings import CheckoutSettings
from app.checkout.signals import Signals
from app.checkout.states import LIVE, allowed
from app.checkout.store import CheckoutTransaction, Record, Store
from app.contracts.checkout import OrderState
from app.contracts.events import (
    CarStateChanged,
    OrderConfirmed,
    OrderEnded,
    PaymentAttempted,
)
from app.frame.flags import Flags
from app.kernel.clock import Clock
from app.kernel.errors import VitrineError
from app.kernel.facts import EventContext

Applied = Literal["applied", "duplicate", "ignored", "unknown_order"]
"""`unknown_order`: money came or went with our reference on it, and we have no such order."""

MAX_WEBHOOK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Effect:
    """What an event did, to be told to telemetry after the commit."""

    kind: Literal[
        "confirmed",
        "late_confirmed",
        "late_refunded",
        "wrong_amount",
        "declined",
        "extended",
        "closed",
        "none",
    ]
    order: Record


class Payments:
    """Use cases around a payment.

    `providers` by name are those that can be asked; only those `offered` take new payments, and
    only their webhooks are heard.
    """

    def __init__(
        self,
        store: Store,
        providers: Mapping[str, PaymentProvider],
        offered: Sequence[str],
        signals: Signals,
        clock: Clock,
        settings: CheckoutSettings,
        flags: Flags,
        express: Express | None = None,
    ) -> None:
        self._express = express
        self._flags = flags
        self._store = store
        self._providers = providers
        self.offered = tuple(offered)
        self._signals = signals
        self._clock = clock
        self._settings = settings

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
        """Apply a provider's message or finding in one transaction.

        Authorised money is taken or let go first, outside of it: the provider's answer is applied.
        """
        if event.moved is not None:
            return await self._follow(name, event, event.moved)
        payment = event.payment
        if payment is None:
            return "ignored"
        if payment.state == "authorised":
            payment = await self._decide(name, payment)
        if payment.state == "succeeded" and await self._confirm_at_once(name, event, payment):
            return "applied"
        now = self._clock.now()
        async with self._store.begin() as transaction:
            order = await transaction.lock_order(payment.reference)
            if order is None or order["provider"] != name:
                money = payment.state in ("authorised", "succeeded")
                return self._without_order(name, payment.reference) if money else "ignored"
            if not await _is_new(transaction, name, event, order, now):
                return "duplicate"
            effect = await self._apply(transaction, order, payment, now)
        self._tell(effect, name)
        return "applied"

    async def _follow(self, name: str, event: ProviderEvent, moved: MoneyMoved) -> Applied:
        """Let an order follow money that moved after it was taken."""
        now = self._clock.now()
        async with self._store.begin() as transaction:
            order_id = moved.reference or await transaction.order_of_payment(name, moved.payment_id)
            order = await transaction.lock_order(order_id) if order_id else None
            if order is None or order["provider"] != name:
                # Without our reference it is about somebody else's payment in the same account.
                return self._without_order(name, moved.reference) if moved.reference else "ignored"
            if not await _is_new(transaction, name, event, order, now):
                return "duplicate"
            told = await move_money(transaction, order, moved, now)
        if told == "our_refund":
            self._signals.order_moved(order["order_id"], state="refunded", reason="refund_due")
        elif told != "nothing":
            self._signals.money_moved(order["order_id"], provider=name, move=told)
        return "applied"

    def _without_order(self, name: str, reference: str) -> Applied:
        self._signals.money_without_order(reference, provider=name)
        return "unknown_order"

    async def _decide(self, name: str, payment: ProviderPayment) -> ProviderPayment:
        """Take authorised money while the car can be had, else let it go; what it became."""
        order = await self._store.read_order(payment.reference)
        if order is None or order["provider"] != name:
            return payment  # not ours to decide
        if order["payment_state"] in SETTLED and order["payment_id"] == payment.payment_id:
            return payment  # an old message
        provider = self.provider(name)
        with self._signals.provider_call(name):
            if await wanted(self._store, order, payment):
                return await provider.capture(payment.payment_id, payment.reference)
            closed = await provider.void(payment.payment_id, payment.reference)
        if closed.state != "cancelled":
            return closed
        # The amount is the one that was judged: a closed payment has none left.
        return replace(payment, state="released")

    async def _confirm_at_once(
        self, name: str, event: ProviderEvent, payment: ProviderPayment
    ) -> bool:
        """The common case in one statement: the order waits, its car is held, the event is new.

        False when it is anything else; then nothing has happened.
        """
        if self._express is None:
            return False
        order = await read(self._signals, self._express.order(payment.reference))
        if order is None or order["state"] != "payment_pending" or order["provider"] != name:
            return False
        if not expected_amount(order, payment):
            return False
        now = self._clock.now()
        accepted_at = payment.accepted_at or now
        effect = Effect(
            values={
                "event_id": event.event_id,
                "type": event.type,
                "provider": name,
                "order_id": order["order_id"],
                "hold_id": order["hold_id"],
                "car_id": order["car_id"],
                "payment_id": payment.payment_id,
                "accepted_at": accepted_at,
                "pick_up_by": self._kept_until(order, now),
                "now": now,
            },
            facts=self._store.fact_rows(
                [_attempt(order, "accepted"), *_confirmed(order, now, accepted_at, late=False)],
                now_context(order),
            ),
            apart=(f"car:{order['car_id']}", f"event:{event.event_id}"),
        )
        if not await write(self._signals, "confirm_order", self._express.confirm(effect)):
            return False
        self._tell(_Effect("confirmed", order), name)
        return True

    async def _apply(
        self,
        transaction: CheckoutTransaction,
        order: Record,
        payment: ProviderPayment,
        now: datetime,
    ) -> _Effect:
        context = now_context(order)
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
            case "cancelled" if order["state"] == "payment_pending":
                await transaction.set_payment(order["order_id"], state="cancelled")
                await self._end_unpaid(transaction, order, now, message="closed")
                return _Effect("closed", order)
            case "released" if order["payment_state"] not in SETTLED:
                return await self._released(transaction, order, payment, now)
        return _Effect("none", order)

    async def _released(
        self,
        transaction: CheckoutTransaction,
        order: Record,
        payment: ProviderPayment,
        now: datetime,
    ) -> _Effect:
        """No money moved: an order that still waited for it ends."""
        right = expected_amount(order, payment)
        await transaction.set_payment(order["order_id"], state="cancelled")
        await self._end_unpaid(
            transaction, order, now, message="paid_too_late" if right else "wrong_amount"
        )
        return _Effect("late_refunded" if right else "wrong_amount", order)

    async def _succeeded(
        self,
        transaction: CheckoutTransaction,
        order: Record,
        payment: ProviderPayment,
        context: EventContext,
        now: datetime,
    ) -> _Effect:
        if order["payment_state"] in SETTLED:
            return _Effect("none", order)  # known already, from another message or by asking
        accepted_at = payment.accepted_at or now
        await transaction.set_payment(
            order["order_id"],
            state="captured",
            accepted_at=accepted_at,
            payment_id=payment.payment_id,
        )
        await transaction.record(_attempt(order, "accepted"), context)
        if not expected_amount(order, payment):
            return await self._refund_due(transaction, order, now, "wrong_amount")
        if order["erased_at"] is not None:  # nobody knows any more whose car it would be
            return await self._refund_due(transaction, order, now, "paid_too_late")
        in_time = await self._in_time(transaction, order)
        if in_time:
            await transaction.end_hold(order["hold_id"], "ordered")
            theirs = await transaction.move_car(order["car_id"], ["held"], "reserved")
        else:
            theirs = allowed(order["state"], "confirmed") and await transaction.take_back_car(
                order["car_id"]
            )
        if not theirs:
            return await self._refund_due(transaction, order, now, "paid_too_late")
        await transaction.move_order(
            order["order_id"],
            order["state"],
            "confirmed",
            confirmed_at=now,
            pick_up_by=self._kept_until(order, now),
            ended_at=None,
        )
        for fact in _confirmed(order, now, accepted_at, late=not in_time):
            await transaction.record(fact, context)
        return _Effect("confirmed" if in_time else "late_confirmed", order)

    def _kept_until(self, order: Record, confirmed_at: datetime) -> datetime:
        return kept_until(order, confirmed_at, pick_up_seconds=self._settings.pick_up_seconds)

    async def _in_time(self, transaction: CheckoutTransaction, order: Record) -> bool:
        """Whether the car is still held for this order.

        A refused card that is accepted after all counts as long as no newer order of the same
        hold waits: it must not be paid twice, and must not take the car from itself.
        """
        if order["hold_state"] != "active" or not allowed(order["state"], "confirmed"):
            return False
        last = await transaction.last_order_of_hold(order["hold_id"])
        return last is not None and last["order_id"] == order["order_id"]

    async def _refund_due(
        self,
        transaction: CheckoutTransaction,
        order: Record,
        now: datetime,
        why: Literal["paid_too_late", "wrong_amount"],
    ) -> _Effect:
        await transaction.set_payment(order["order_id"], state="refund_due")
        await self._end_unpaid(transaction, order, now, message=why)
        return _Effect("late_refunded" if why == "paid_too_late" else "wrong_amount", order)

    async def _end_unpaid(
        self, transaction: CheckoutTransaction, order: Record, now: datetime, *, message: str
    ) -> None:
        """Tell the shopper why there is no car; an order that waited is cancelled."""
        before: OrderState = order["state"]
        after: OrderState = "cancelled" if before in LIVE else before
        await transaction.move_order(
            order["order_id"], before, after, message=message, ended_at=now
        )
        if after != before:
            await transaction.record(
                OrderEnded(order["order_id"], order["hold_id"], order["car_id"], "cancelled"),
                now_context(order),
            )

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
        elif effect.kind == "wrong_amount":
            self._signals.wrong_amount(order_id, provider=provider)
        elif effect.kind == "closed":
            self._signals.order_moved(order_id, state="cancelled", reason="closed")
        elif effect.kind == "declined":
            self._signals.payment_refused(order_id, provider=provider, caused_by=caused_by)


def _attempt(
    order: Record, result: Literal["accepted", "declined", "action_required", "failed"]
) -> PaymentAttempted:
    return PaymentAttempted(order["order_id"], order["hold_id"], order["provider"], result)


def _confirmed(
    order: Record, now: datetime, accepted_at: datetime, *, late: bool
) -> tuple[OrderConfirmed, CarStateChanged]:
    """What a confirmed order states."""
    return (
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
            late=late,
        ),
        CarStateChanged(order["car_id"], "reserved"),
    )


async def _is_new(
    transaction: CheckoutTransaction,
    name: str,
    event: ProviderEvent,
    order: Record,
    now: datetime,
) -> bool:
    """Remember a provider's message about an order; False when it was applied before."""
    return await transaction.add_payment_event(
        event_id=event.event_id,
        provider=name,
        order_id=order["order_id"],
        type_=event.type,
        at=now,
    )
