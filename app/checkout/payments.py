"""What a provider's word does to an order: webhooks, late payments, refunds, reconciliation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from app.checkout.authorisations import SETTLED, expected_amount, wanted
from app.checkout.errors import ProviderNotOffered, ProviderUnknown
from app.checkout.express import Effect, Express, read, write
from app.checkout.providers.protocol import (
    PaymentProvider,
    ProviderEvent,
    ProviderPayment,
    ProviderRefused,
    ProviderUnavailable,
)
from app.checkout.settings import CheckoutSettings
from app.checkout.signals import Signals
from app.checkout.states import LIVE, OrderState, allowed
from app.checkout.store import CheckoutTransaction, Record, Store, as_context
from app.contracts.events import (
    CarStateChanged,
    OrderConfirmed,
    OrderEnded,
    OrderRefunded,
    PaymentAttempted,
)
from app.frame.flags import Flags
from app.kernel.clock import Clock
from app.kernel.errors import VitrineError
from app.kernel.facts import EventContext
from telemetry.tracing import current_traceparent

Applied = Literal["applied", "duplicate", "ignored"]

QUIET_SECONDS: Final = 20
"""An order unpaid for longer than this is asked about: a lost webhook heals within a minute."""


RECENT_SECONDS: Final = 3 * 3600
"""Older orders than this have ended with their hold: `python -m app.checkout reconcile` asks."""

PAGE: Final = 100

WAITING: Final[tuple[OrderState, ...]] = ("payment_pending",)
ENDED: Final[tuple[OrderState, ...]] = ("expired", "cancelled", "declined")
"""Unpaid as far as we know: money that came after all must go back or buy the car."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What we believed of an order, and what its provider said; it has been applied."""

    order_id: str
    was: OrderState
    found: str


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
            effect = await self._apply(transaction, order, payment, now)
        self._tell(effect, name)
        return "applied"

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
                "now": now,
            },
            facts=self._store.fact_rows(
                [_attempt(order, "accepted"), *_confirmed(order, now, accepted_at, late=False)],
                _now_context(order),
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
            order["order_id"], order["state"], "confirmed", confirmed_at=now, ended_at=None
        )
        for fact in _confirmed(order, now, accepted_at, late=not in_time):
            await transaction.record(fact, context)
        return _Effect("confirmed" if in_time else "late_confirmed", order)

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
                _now_context(order),
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
        elif effect.kind == "declined":
            self._signals.payment_refused(order_id, provider=provider, caused_by=caused_by)

    async def refund_due(self) -> int:
        """Pay back what is owed; each refund is asked for with the order as its reference.

        One that fails does not keep the others waiting: it is tried again at the next turn.
        """
        done = 0
        for order in await self._store.payments_in("refund_due", limit=50):
            order_id, provider = order["order_id"], order["provider"]
            try:
                with self._signals.provider_call(provider):
                    await self.provider(provider).refund(order["payment_id"], order_id)
            except VitrineError as error:
                self._signals.provider_failed(order_id, provider=provider, error=error)
                continue
            async with self._store.begin() as transaction:
                current = await transaction.lock_order(order_id)
                if current is None or current["payment_state"] != "refund_due":
                    continue
                await transaction.set_payment(order_id, state="refunded")
                await transaction.move_order(order_id, current["state"], "refunded")
                await transaction.record(
                    OrderRefunded(order_id, order["deposit"], order["currency"]),
                    _now_context(order),
                )
            self._signals.order_moved(order_id, state="refunded", reason="refund_due")
            done += 1
        return done

    async def reconcile(
        self,
        *,
        quiet_seconds: float = QUIET_SECONDS,
        since_seconds: float = RECENT_SECONDS,
        states: Sequence[OrderState] = WAITING,
    ) -> list[Difference]:
        """Ask the provider about orders whose webhook may be lost, and apply what it says.

        Asks about every unsettled order in `states` that was submitted between `since_seconds` and
        `quiet_seconds` ago; returns the differences that it found.
        """
        now = self._clock.now()
        differences: list[Difference] = []
        after = ""
        while True:
            orders = await self._store.unsettled(
                states,
                created_after=now - timedelta(seconds=since_seconds),
                created_before=now - timedelta(seconds=quiet_seconds),
                after=after,
                limit=PAGE,
            )
            for order in orders:
                try:
                    difference = await self._reconciled(order)
                except ProviderUnavailable:
                    return differences  # it is down; the next turn asks again
                if difference is not None:
                    differences.append(difference)
            if len(orders) < PAGE:
                return differences
            after = orders[-1]["order_id"]

    async def _reconciled(self, order: Record) -> Difference | None:
        order_id, provider = order["order_id"], order["provider"]
        try:
            with self._signals.provider_call(provider):
                found = await self.provider(provider).find(order["payment_id"])
        except ProviderRefused as error:
            self._signals.provider_failed(order_id, provider=provider, error=error)
            return None  # one odd payment must not hide the others
        if found.state in ("pending", "action_required") or found.state == order["payment_state"]:
            return None
        event = ProviderEvent(f"found:{order_id}:{found.state}", "reconciled", found)
        if await self.apply(provider, event) != "applied":
            return None
        self._signals.reconciled(order_id, was=order["state"], found=found.state)
        return Difference(order_id, order["state"], found.state)


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


def _now_context(order: Record) -> EventContext:
    """The order's context, stated in the span that is current now."""
    context = as_context(order["context"])
    return replace(context, traceparent=current_traceparent() or context.traceparent)
