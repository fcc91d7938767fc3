"""Orders: submitted for a held car, confirmed by the provider's word, handed over or withdrawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args

from app.checkout.collection import earliest_handover, kept_until
from app.checkout.customers import CustomerIndex, CustomerSeal
from app.checkout.errors import HoldEnded, HoldUnknown, OrderUnknown, TransitionRefused
from app.checkout.express import Effect, Express, read, write
from app.checkout.idempotency import Begin, Claim, Replay, answer, claim
from app.checkout.payments import Payments
from app.checkout.pricing import vat_of
from app.checkout.providers.protocol import PaymentOrder, ProviderPayment
from app.checkout.settings import CheckoutSettings
from app.checkout.signals import Signals
from app.checkout.states import LIVE, allowed
from app.checkout.store import (
    CheckoutTransaction,
    Record,
    Store,
    StoredAnswer,
    as_context,
    as_json,
    now_context,
)
from app.checkout.tokens import OrderTokens, for_holder
from app.checkout.work import WorkList
from app.contracts.checkout import Customer, ReturnReason
from app.contracts.events import (
    CarHandedOver,
    CarStateChanged,
    OrderCancelled,
    OrderEnded,
    OrderSubmitted,
)
from app.kernel.clock import Clock, rfc3339
from app.kernel.errors import VitrineError
from app.kernel.facts import EventContext
from app.kernel.ids import new_id
from app.kernel.money import Money
from telemetry.tracing import current_traceparent

RETURN: Final = "return_"
"""Before a return's reason, in the message of an order that waits for its car."""

_RETURNING: Final = "Bring the car back to its dealer: your money goes back once it is there."
WHY: Final[Mapping[str, str]] = {
    "declined": "Your bank declined the deposit.",
    "paid_too_late": "The payment came after the car was gone.",
    "wrong_amount": "What was paid was not the deposit.",
    "lapsed": "The car was not picked up in time.",
    "withdrawn": "You withdrew from this order.",
    "closed": "The payment was closed before it was made.",
    "refunded": "",
    **{f"{RETURN}{reason}": _RETURNING for reason in get_args(ReturnReason)},
    "replaced": "You submitted this order again; the newer one counts.",
}
"""How an order ended, by stored code (English; heads translate state and refund)."""

MONEY: Final[Mapping[str, str]] = {
    "pending": "Nothing was charged.",
    "declined": "Nothing was charged.",
    "cancelled": "Nothing was charged.",
    "refund_due": "Your deposit goes back in full.",
    "refund_refused": "Your deposit could not be paid back yet. We see to it; you need do nothing.",
    "refunded": "Your deposit went back in full.",
}
"""Where the money is, by the payment's state: it may move after the order has ended."""

REFUNDS: Final = {"refund_due": "due", "refund_refused": "failed", "refunded": "paid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCommand:
    """A shopper's order for a car they hold. URLs are absolute and of our own origin."""

    hold_id: str
    customer: Customer
    provider: str
    advice_id: str
    labels: Mapping[str, str]
    """utm_source, utm_medium, utm_content and utm_term."""
    claim: Claim
    session_id: str
    context: EventContext
    language: str
    return_url: str
    cancel_url: str


class Orders:
    """Use cases around an order."""

    def __init__(
        self,
        store: Store,
        payments: Payments,
        seal: CustomerSeal,
        index: CustomerIndex,
        tokens: OrderTokens,
        signals: Signals,
        clock: Clock,
        settings: CheckoutSettings,
        express: Express | None = None,
    ) -> None:
        self._express = express
        self._store = store
        self._payments = payments
        self._seal = seal
        self._index = index
        self._tokens = tokens
        self._signals = signals
        self._clock = clock
        self._settings = settings
        self._lapses = WorkList("lapses", "order_id", store, signals, clock)

    async def submit(self, command: OrderCommand) -> StoredAnswer | Replay:
        """Store the order, open its payment, answer with the hosted page's address.

        Two transactions with the provider between them; the order's id is the provider's
        reference, so a retry after a crash or an outage finishes the same order.
        Raises `HoldUnknown`, `HoldEnded`, `ProviderUnavailable` (the hold is kept, the key free
        for a retry), and what `idempotency.claim` raises.
        """
        provider = self._payments.open_provider(command.provider)
        order = await self._submit_at_once(command)
        if order is None:
            async with self._store.begin() as transaction:
                begun = await claim(transaction, command.claim, self._clock.now())
                if isinstance(begun, Replay):
                    return replace(begun, answer=self._tokens.shown(begun.answer))
                order = await self._begun_or_new(transaction, command, begun)
        self._signals.order_submitted(
            order["order_id"],
            hold_id=order["hold_id"],
            caused_by=order["hold_context"].get("traceparent", ""),
        )
        try:
            with self._signals.provider_call(command.provider):
                payment = await provider.create(_payment_order(order, command))
        except VitrineError as error:
            self._signals.provider_failed(order["order_id"], provider=command.provider, error=error)
            async with self._store.begin() as transaction:
                await transaction.relock_key(command.claim.key, locked_until=self._clock.now())
            raise
        return await self._opened(order, payment, command.claim)

    async def _submit_at_once(self, command: OrderCommand) -> dict[str, Any] | None:
        """The common case in one statement: the car is held by this shopper, the key is new.

        None when it is anything else; then nothing has happened.
        """
        if self._express is None:
            return None
        held = await read(self._signals, self._express.hold(command.hold_id))
        if held is None or (held["session_id"] and held["session_id"] != command.session_id):
            return None
        now = self._clock.now()
        if held["state"] != "active" or held["expires_at"] <= now:
            return None
        order, context = self._new_order(command, held, held, now)
        effect = Effect(
            values={
                **command.claim.values(now),
                **order,
                "now": now,
                "model_id": held["model_id"],
                "market": held["market"],
                "sealed": self._seal.seal(command.customer).decode(),
                "email_index": self._index.of(command.customer.email),
            },
            facts=self._store.fact_rows([_submitted(order, held, command)], context),
            apart=(f"car:{held['car_id']}", f"key:{command.claim.key}"),
        )
        done = await write(self._signals, "submit_order", self._express.submit(effect))
        if done is None:
            # Nobody else knows the order's id: if it is there, it is ours and the key too.
            done = await self._store.read_order(order["order_id"]) is not None
        return _with_hold(order, held, held) if done else None

    async def _begun_or_new(
        self, transaction: CheckoutTransaction, command: OrderCommand, begun: Begin
    ) -> dict[str, Any]:
        hold = await transaction.lock_hold(command.hold_id)
        if hold is None or (hold["session_id"] and hold["session_id"] != command.session_id):
            raise HoldUnknown("There is no such hold for you.")
        if begun.resume is not None:
            order = await transaction.order(begun.resume)
            if order is not None and order["state"] == "payment_pending":
                return {**order, "hold_context": hold["context"]}
        now = self._clock.now()
        if hold["state"] != "active" or hold["expires_at"] <= now:
            raise HoldEnded.after(hold["state"], car_id=hold["car_id"])
        await self._replace_earlier(transaction, hold, now)
        car = await transaction.lock_car(hold["car_id"])
        if car is None:
            raise HoldUnknown("The held car is not known any more.")
        return await self._add(transaction, command, hold, car, now)

    async def _replace_earlier(
        self, transaction: CheckoutTransaction, hold: Record, now: datetime
    ) -> None:
        """A shopper who goes back and submits again: the newer order counts."""
        earlier = await transaction.last_order_of_hold(hold["hold_id"])
        if earlier is None or earlier["state"] != "payment_pending":
            return
        await transaction.move_order(
            earlier["order_id"], "payment_pending", "cancelled", ended_at=now, message="replaced"
        )
        await transaction.set_payment(earlier["order_id"], state="cancelled")
        await transaction.record(
            OrderEnded(earlier["order_id"], hold["hold_id"], hold["car_id"], "cancelled"),
            as_context(earlier["context"]),
        )

    async def _add(
        self,
        transaction: CheckoutTransaction,
        command: OrderCommand,
        hold: Record,
        car: Record,
        now: datetime,
    ) -> dict[str, Any]:
        order, context = self._new_order(command, hold, car, now)
        await transaction.add_order(
            order,
            sealed_customer=self._seal.seal(command.customer),
            email_index=self._index.of(command.customer.email),
        )
        await transaction.bind_key(command.claim.key, order["order_id"])
        await transaction.record(_submitted(order, car, command), context)
        return _with_hold(order, hold, car)

    def _new_order(
        self, command: OrderCommand, hold: Record, car: Record, now: datetime
    ) -> tuple[Record, EventContext]:
        """An order for a held car, and the context in which it is stated."""
        price = Money(hold["price"], hold["currency"])
        context = replace(command.context, market=car["market"])
        order_id = new_id("ord", now)
        order: Record = {
            "order_id": order_id,
            "hold_id": hold["hold_id"],
            "car_id": hold["car_id"],
            "state": "payment_pending",
            "token_hash": self._tokens.hash_of(order_id),
            "price": price.amount,
            "vat_rate": car["vat_rate"],
            "vat": vat_of(price, car["vat_rate"]).amount,
            "deposit": hold["deposit"],
            "currency": price.currency,
            "provider": command.provider,
            "advice_id": command.advice_id,
            "context": as_json(context),
            "created_at": now,
            "ready_for_handover_at": earliest_handover(car, now),
        }
        return order, context

    async def _opened(
        self, order: dict[str, Any], payment: ProviderPayment, claim_: Claim
    ) -> StoredAnswer:
        wire = order_wire({**order, "payment_url": payment.payment_url}, self._settings)
        wire |= {
            "payment_url": payment.payment_url,
            "order_token": self._tokens.of(order["order_id"]),
        }
        stored = answer(201, wire)
        kept = self._tokens.hidden(stored, order["order_id"])
        if await self._open_at_once(order, payment, claim_, kept):
            return stored
        async with self._store.begin() as transaction:
            # In the order in which the express lane locks them.
            first = await transaction.answer_key(claim_.key, kept)
            await transaction.set_payment(
                order["order_id"], payment_id=payment.payment_id, payment_url=payment.payment_url
            )
        return self._tokens.shown(first)

    async def _open_at_once(
        self, order: Record, payment: ProviderPayment, claim_: Claim, kept: StoredAnswer
    ) -> bool:
        if self._express is None:
            return False
        effect = Effect(
            values={
                "key": claim_.key,
                "order_id": order["order_id"],
                "payment_id": payment.payment_id,
                "payment_url": payment.payment_url,
                "answer": kept.body.decode(),
            },
            facts=(),
            apart=(f"key:{claim_.key}",),
        )
        return bool(await write(self._signals, "open_payment", self._express.open(effect)))

    async def read(self, order_id: str, token: str) -> dict[str, Any]:
        """Raises `OrderUnknown` when there is none or the token does not fit."""
        order = for_holder(await self._store.read_order(order_id), token)
        return order_wire(order, self._settings)

    async def cancel(self, order_id: str, token: str, claim_: Claim) -> StoredAnswer | Replay:
        """Withdraw before handover; a paid deposit goes back in full."""
        now = self._clock.now()
        async with self._store.begin() as transaction:
            begun = await claim(transaction, claim_, now)
            if isinstance(begun, Replay):
                return begun
            order = for_holder(await transaction.lock_order(order_id), token)
            if not allowed(order["state"], "cancelled"):
                raise TransitionRefused(f"An order that is {order['state']} cannot be cancelled.")
            if order["handed_over_at"] is not None:
                raise TransitionRefused("The car was handed over: return it instead of cancelling.")
            await withdraw(transaction, order, "shopper", now)
            moved = await transaction.order(order_id)
            stored = answer(200, order_wire(moved or order, self._settings))
            await transaction.answer_key(claim_.key, stored)
        self._signals.order_moved(order_id, state="cancelled", reason="withdrawn")
        return stored

    async def hand_over(
        self, order_id: str, claim_: Claim, *, reported_by: str
    ) -> StoredAnswer | Replay:
        """The dealer, named by their key, reports that the shopper has the keys."""
        now = self._clock.now()
        async with self._store.begin() as transaction:
            begun = await claim(transaction, claim_, now)
            if isinstance(begun, Replay):
                return begun
            order = await transaction.lock_order(order_id)
            if order is None:
                raise OrderUnknown("There is no such order.")
            if order["handed_over_at"] is not None:
                raise TransitionRefused(
                    f"The car was handed over already, at {rfc3339(order['handed_over_at'])}."
                )
            if not await transaction.mark_handed_over(order_id, now):
                raise TransitionRefused(
                    "Only a confirmed order can be handed over; this one is"
                    f" {order['state']}. Keep the keys."
                )
            await transaction.move_car(order["car_id"], ["reserved"], "sold")
            context = as_context(order["context"])
            await transaction.record(CarHandedOver(order_id, order["car_id"], reported_by), context)
            await transaction.record(CarStateChanged(order["car_id"], "sold"), context)
            stored = answer(200, order_wire({**order, "handed_over_at": now}, self._settings))
            await transaction.answer_key(claim_.key, stored)
        self._signals.order_moved(order_id, state="handed_over", reason="dealer")
        return stored

    async def lapse(self) -> int:
        """Cancel orders that were not picked up in time, one by one; returns how many."""
        now = self._clock.now()
        since = now - timedelta(seconds=self._settings.pick_up_seconds)
        overdue = await self._store.orders_not_picked_up(waiting_since=since, now=now)
        return await self._lapses.each(overdue, self._lapse)

    async def _lapse(self, overdue: Record) -> bool:
        async with self._store.begin() as transaction:
            order = await transaction.lock_order(overdue["order_id"])
            if order is None or order["state"] != "confirmed" or order["handed_over_at"]:
                return False  # handed over or withdrawn meanwhile
            await withdraw(transaction, order, "lapsed", self._clock.now())
        self._signals.order_moved(overdue["order_id"], state="cancelled", reason="lapsed")
        return True


def _submitted(order: Record, car: Record, command: OrderCommand) -> OrderSubmitted:
    """What a submitted order states."""
    return OrderSubmitted(
        order_id=order["order_id"],
        hold_id=order["hold_id"],
        car_id=order["car_id"],
        model_id=car["model_id"],
        price=order["price"],
        deposit=order["deposit"],
        currency=order["currency"],
        provider=order["provider"],
        **command.labels,
    )


def _with_hold(order: Record, hold: Record, car: Record) -> dict[str, Any]:
    """A new order with what its payment and its answer need."""
    return {
        **order,
        "title": car["title"],
        "expires_at": hold["expires_at"],
        "hold_context": hold["context"],
    }


async def withdraw(
    transaction: CheckoutTransaction,
    order: Record,
    reason: Literal["shopper", "lapsed"],
    now: datetime,
) -> None:
    """End an order before handover: the car is free again, a captured deposit is owed back."""
    order_id, car_id, before = order["order_id"], order["car_id"], order["state"]
    context = now_context(order)
    message = "lapsed" if reason == "lapsed" else "withdrawn"
    await transaction.move_order(order_id, before, "cancelled", ended_at=now, message=message)
    if order["payment_state"] == "captured":
        await transaction.set_payment(order_id, state="refund_due")
    if before == "payment_pending":
        await transaction.set_payment(order_id, state="cancelled")
        await transaction.record(
            OrderEnded(order_id, order["hold_id"], car_id, "cancelled"), context
        )
        return  # the hold lives on: the shopper may order again until it ends
    await transaction.move_car(car_id, ["reserved"], "available")
    await transaction.record(OrderCancelled(order_id, car_id, reason), context)
    await transaction.record(CarStateChanged(car_id, "available"), context)


def order_wire(order: Record, settings: CheckoutSettings) -> dict[str, Any]:
    """An order as the API shows it (`contracts.checkout.Order`)."""

    def money(key: str) -> dict[str, Any]:
        return {"amount": order[key], "currency": order["currency"]}

    def moment(value: datetime | None) -> str | None:
        return None if value is None else rfc3339(value)

    confirmed_at, ready_at = order.get("confirmed_at"), order.get("ready_for_handover_at")
    waiting = order["state"] == "payment_pending"
    return {
        "order_id": order["order_id"],
        "hold_id": order["hold_id"],
        "car_id": order["car_id"],
        "state": order["state"],
        "price": money("price"),
        "vat": money("vat"),
        "deposit": money("deposit"),
        "created_at": rfc3339(order["created_at"]),
        "confirmed_at": moment(confirmed_at),
        "handed_over_at": moment(order.get("handed_over_at")),
        "expires_at": moment(order["expires_at"]) if waiting else None,
        "ready_for_handover_at": moment(ready_at),
        "pick_up_by": moment(
            order.get("pick_up_by")
            # A version before calendars confirmed it, and promised so much time on the clock.
            or kept_until(ready_at, None, confirmed_at, pick_up_seconds=settings.pick_up_seconds)
            if order["state"] == "confirmed" and confirmed_at
            else None
        ),
        "refund": REFUNDS.get(order.get("payment_state", "")),
        "message": _message(order),
        "payment_url": order.get("payment_url") if waiting else None,
    }


def _message(order: Record) -> str | None:
    """Why an order ended, and where its money is; None while there is nothing to explain."""
    why = WHY.get(order.get("message") or "")
    if why is None or order["state"] in LIVE:
        return None
    return f"{why} {MONEY.get(order['payment_state'], '')}".strip()


def _payment_order(order: Record, command: OrderCommand) -> PaymentOrder:
    return PaymentOrder(
        reference=order["order_id"],
        amount=Money(order["deposit"], order["currency"]),
        description=f"Deposit: {order['title']}"[:200],
        return_url=command.return_url,
        cancel_url=command.cancel_url,
        language=command.language,
        traceparent=current_traceparent() or "",
        created_at=order["created_at"],
    )
