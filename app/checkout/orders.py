"""Orders: submitted for a held car, opened at their provider, and handed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.checkout.change import Busy, Change, Changes, unchanged
from app.checkout.collection import earliest_handover
from app.checkout.customers import CustomerIndex, CustomerSeal
from app.checkout.errors import OrderUnknown, TooManyOrders, TransitionRefused
from app.checkout.holds import check_running, owned
from app.checkout.idempotency import Claim, Replay, StoredAnswer, answer, answer_in, judged
from app.checkout.looks import HoldLook, HoldSight, OrderLook, OrderSight, Seen
from app.checkout.models import CUSTOMERS
from app.checkout.order_wire import answer_with_order, order_wire
from app.checkout.payments import Payments
from app.checkout.pricing import vat_of
from app.checkout.providers.protocol import PaymentOrder, ProviderPayment
from app.checkout.rows import Car, Hold, Key, Order, Payment, Purchase
from app.checkout.settings import CheckoutSettings
from app.checkout.signals import Signals
from app.checkout.store import Store
from app.checkout.tokens import OrderTokens, for_holder
from app.contracts.checkout import Customer
from app.contracts.events import (
    CarHandedOver,
    CarStateChanged,
    OrderEnded,
    OrderSubmitted,
)
from app.kernel.clock import Clock, rfc3339
from app.kernel.errors import VitrineError
from app.kernel.facts import EventContext, values_of
from app.kernel.ids import new_id
from app.kernel.money import Money
from telemetry.tracing import current_traceparent


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCommand:
    """A shopper's order for a car they hold. URLs are absolute and of our own origin."""

    hold_id: str
    customer: Customer
    provider: str
    advice_id: str
    labels: Mapping[str, str]
    """utm_source, utm_medium, utm_content and utm_term."""
    channel_group: str
    """What brought the session (`kernel.channels`); empty without one."""
    claim: Claim
    session_id: str
    context: EventContext
    language: str
    return_url: str
    cancel_url: str


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a new order has of its own, whatever is seen: made once for all rounds."""

    order_id: str
    token_hash: str
    sealed: bytes
    email_index: str


def submit(
    sight: HoldSight | None,
    key: Key | None,
    command: OrderCommand,
    new: NewOrder,
    now: datetime,
    *,
    most: int,
) -> Change[Purchase]:
    """Order the held car; go on with the order of a request that never finished.

    A shopper who goes back and submits again replaces the earlier order, `most` orders in all.
    Raises `HoldUnknown`, `HoldEnded`, `TooManyOrders`.
    """
    sight = owned(sight, command.session_id)
    hold, car, earlier = sight.hold, sight.car, sight.purchase
    if earlier is not None and earlier.order.state != "payment_pending":
        earlier = None
    if earlier is not None and key is not None and key.resource_id == earlier.order.order_id:
        change = Change(car, answer=earlier)
        change.bind(command.claim, key, now, earlier.order.order_id)
        return change
    check_running(hold, now)
    if sight.orders >= most:
        raise TooManyOrders(
            f"There were {sight.orders} orders for this hold, which is all that it takes. Give the"
            " car back and hold it again, or take another car.",
            car_id=car.car_id,
        )
    order = _new_order(command, hold, car, new, now)
    payment = _new_payment(order)
    change = Change(car, answer=Purchase(order, payment, hold, car))
    if earlier is not None:
        change.set(earlier.order, state="cancelled", ended_at=now, message="replaced")
        change.set(earlier.payment, state="cancelled")
        change.say(
            EventContext(**earlier.order.context),
            OrderEnded(earlier.order.order_id, hold.hold_id, car.car_id, "cancelled"),
        )
    change.add(order)
    change.put(CUSTOMERS, order_id=order.order_id, sealed=new.sealed, email_index=new.email_index)
    change.add(payment)
    bound = change.bind(command.claim, key, now, order.order_id)
    change.foresee(
        OrderLook(order.order_id),
        # Nobody has this car by another id: it is held.
        OrderSight(
            order, payment, hold, change.after(car), order.order_id, False, False, new.email_index
        ),
        bound,
    )
    change.say(
        EventContext(**order.context),
        OrderSubmitted(
            order_id=order.order_id,
            hold_id=hold.hold_id,
            car_id=car.car_id,
            model_id=car.model_id,
            price=order.price,
            deposit=order.deposit,
            currency=order.currency,
            provider=order.provider,
            **command.labels,
            channel_group=command.channel_group,
        ),
    )
    return change


def _new_order(command: OrderCommand, hold: Hold, car: Car, new: NewOrder, now: datetime) -> Order:
    price = Money(hold.price, hold.currency)
    return Order(
        order_id=new.order_id,
        hold_id=hold.hold_id,
        car_id=car.car_id,
        state="payment_pending",
        token_hash=new.token_hash,
        price=price.amount,
        vat_rate=car.vat_rate,
        vat=vat_of(price, car.vat_rate).amount,
        deposit=hold.deposit,
        currency=price.currency,
        provider=command.provider,
        advice_id=command.advice_id,
        context=values_of(replace(command.context, market=car.market)),
        message=None,
        created_at=now,
        confirmed_at=None,
        handed_over_at=None,
        ended_at=None,
        ready_for_handover_at=earliest_handover(car, now),
        pick_up_by=None,
        erased_at=None,
    )


def _new_payment(order: Order) -> Payment:
    return Payment(
        order_id=order.order_id,
        provider=order.provider,
        payment_id=None,
        payment_url=None,
        state="pending",
        amount=order.deposit,
        currency=order.currency,
        accepted_at=None,
        created_at=order.created_at,
        refunded_amount=None,
        dispute=None,
        moves=None,
    )


def is_unopened(purchase: Purchase) -> bool:
    """Whether an order waits for a payment that its provider has never opened."""
    return purchase.order.state == "payment_pending" and purchase.payment.payment_id is None


def open_payment(
    seen: Seen[OrderSight],
    claim: Claim,
    payment: ProviderPayment,
    now: datetime,
    *,
    tokens: OrderTokens,
    pick_up_seconds: int,
) -> Change[StoredAnswer]:
    """Note where the order is paid; the answer to its submission, which the key keeps."""
    sight, key = seen.sight, seen.key
    if sight is None:
        raise OrderUnknown("There is no such order.")
    if key is not None and key.status is not None:
        return unchanged(tokens.shown(answer_in(key)))  # a retry was faster
    # Nothing happens to the car: who decides about it meanwhile need not look again.
    change: Change[Any] = Change(sight.car if key is None else None, answer=None)
    change.set(sight.payment, payment_id=payment.payment_id, payment_url=payment.payment_url)
    after = replace(sight, payment=change.after(sight.payment), car=change.after(sight.car))
    change.foresee(OrderLook(sight.order.order_id), after)
    wire = order_wire(after, pick_up_seconds=pick_up_seconds)
    wire |= {
        "payment_url": payment.payment_url,
        "order_token": tokens.of(sight.order.order_id),
    }
    change.answer = answer(201, wire)
    if key is not None:
        change.keep(claim, key, now, tokens.hidden(change.answer, sight.order.order_id))
    return change


def hand_over(
    sight: OrderSight | None,
    key: Key | None,
    claim: Claim,
    now: datetime,
    *,
    reported_by: str,
    pick_up_seconds: int,
) -> Change[StoredAnswer]:
    """The shopper has the keys. Raises `OrderUnknown`, `TransitionRefused`."""
    if sight is None:
        raise OrderUnknown("There is no such order.")
    order = sight.order
    if order.handed_over_at is not None:
        raise TransitionRefused(
            f"The car was handed over already, at {rfc3339(order.handed_over_at)}."
        )
    if order.state != "confirmed":
        raise TransitionRefused(
            f"Only a confirmed order can be handed over; this one is {order.state}. Keep the keys."
        )
    change: Change[Any] = Change(sight.car, answer=None)
    change.set(order, handed_over_at=now)
    change.set(sight.car, state="sold")
    change.say(
        EventContext(**order.context),
        CarHandedOver(order.order_id, order.car_id, reported_by),
        CarStateChanged(order.car_id, "sold"),
    )
    change.answer = answer_with_order(
        change, sight, claim, key, now, pick_up_seconds=pick_up_seconds
    )
    return change


class Orders:
    """Use cases around an order."""

    def __init__(
        self,
        store: Store,
        changes: Changes,
        payments: Payments,
        seal: CustomerSeal,
        index: CustomerIndex,
        tokens: OrderTokens,
        signals: Signals,
        clock: Clock,
        settings: CheckoutSettings,
    ) -> None:
        self._store = store
        self._changes = changes
        self._payments = payments
        self._seal = seal
        self._index = index
        self._tokens = tokens
        self._signals = signals
        self._clock = clock
        self._pick_up_seconds = settings.pick_up_seconds
        self._most = settings.max_orders_per_hold

    async def submit(self, command: OrderCommand) -> StoredAnswer | Replay:
        """Store the order, open its payment, answer with the hosted page's address.

        Two changes with the provider between them; the order's id is the provider's reference, so a
        retry after a crash or an outage finishes the same order.
        Raises `HoldUnknown`, `HoldEnded`, `TooManyOrders`, `ProviderUnavailable` and `Busy` (the
        hold is kept, the key free for a retry), and what `idempotency.judged` raises.
        """
        provider = self._payments.open_provider(command.provider)
        submitted, retried = await self._submitted(command)
        if isinstance(submitted, Replay):
            return replace(submitted, answer=self._tokens.shown(submitted.answer))
        order = submitted.order
        self._signals.order_submitted(
            order.order_id,
            hold_id=order.hold_id,
            caused_by=submitted.hold.context.get("traceparent", ""),
        )
        try:
            with self._signals.provider_call(command.provider):
                payment = await provider.create(_payment_order(submitted, command))
        except VitrineError as error:
            self._signals.submission_failed(
                order.order_id, provider=command.provider, error=error, retried=retried
            )
            await self._changes.let_go(command.claim)
            raise
        try:
            return await self._changes.rounds(
                "open_payment",
                OrderLook(order.order_id, key=command.claim.key),
                lambda seen: open_payment(
                    seen,
                    command.claim,
                    payment,
                    self._clock.now(),
                    tokens=self._tokens,
                    pick_up_seconds=self._pick_up_seconds,
                ),
            )
        except Busy:
            await self._changes.let_go(command.claim)
            raise

    async def _submitted(self, command: OrderCommand) -> tuple[Purchase | Replay, bool]:
        """The stored order, and whether this tries again what came to nothing at the provider."""
        order_id = new_id("ord", self._clock.now())
        new = NewOrder(
            order_id,
            self._tokens.hash_of(order_id),
            self._seal.seal(command.customer),
            self._index.of(command.customer.email),
        )

        retried = False

        def decide(seen: Seen[HoldSight]) -> Change[Any]:
            nonlocal retried
            sight, now = seen.sight, self._clock.now()
            written = None if sight is None else sight.purchase
            if written is not None and written.order.order_id == order_id:
                return unchanged(written)  # in a round of whose end nobody heard
            retried = written is not None and is_unopened(written)
            begun = judged(seen.key, command.claim, now)
            if isinstance(begun, Replay):
                return unchanged(begun)
            return submit(sight, begun, command, new, now, most=self._most)

        look = HoldLook(command.hold_id, command.claim.key)
        submitted: Purchase | Replay = await self._changes.rounds("submit_order", look, decide)
        return submitted, retried

    async def read(self, order_id: str, token: str) -> dict[str, Any]:
        """Raises `OrderUnknown` when there is none or the token does not fit."""
        purchase = for_holder(await self._store.read_order(order_id), token)
        return order_wire(purchase, pick_up_seconds=self._pick_up_seconds)

    async def hand_over(
        self, order_id: str, claim: Claim, *, reported_by: str
    ) -> StoredAnswer | Replay:
        """The dealer, named by their key, reports that the shopper has the keys."""
        stored = await self._changes.once(
            "hand_over",
            OrderLook(order_id, key=claim.key),
            claim,
            lambda sight, key: hand_over(
                sight,
                key,
                claim,
                self._clock.now(),
                reported_by=reported_by,
                pick_up_seconds=self._pick_up_seconds,
            ),
        )
        if not isinstance(stored, Replay):
            self._signals.order_moved(order_id, state="handed_over", reason="dealer")
        return stored


def _payment_order(submitted: Purchase, command: OrderCommand) -> PaymentOrder:
    order = submitted.order
    return PaymentOrder(
        reference=order.order_id,
        amount=Money(order.deposit, order.currency),
        description=f"Deposit: {submitted.car.title}"[:200],
        return_url=command.return_url,
        cancel_url=command.cancel_url,
        language=command.language,
        traceparent=current_traceparent() or "",
        created_at=order.created_at,
    )
