"""Holding a car for one shopper: exclusive by the database, for a limited time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from app.checkout.errors import (
    CarNotAvailable,
    CarUnknown,
    HoldEnded,
    HoldUnknown,
    PaymentUnderWay,
    TooManyHolds,
)
from app.checkout.gateways import SimilarCars
from app.checkout.idempotency import Claim, Replay, answer, claim
from app.checkout.pricing import deposit_of
from app.checkout.settings import CheckoutSettings
from app.checkout.signals import Signals
from app.checkout.store import (
    CarTaken,
    CheckoutTransaction,
    Record,
    Store,
    StoredAnswer,
    as_context,
    as_json,
)
from app.contracts.events import (
    CarStateChanged,
    HoldPlaced,
    HoldRefused,
    HoldReleased,
    OrderEnded,
)
from app.kernel.clock import Clock, rfc3339
from app.kernel.facts import EventContext
from app.kernel.ids import new_id
from app.kernel.money import Money
from telemetry.catalogue.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCommand:
    """One shopper's wish to hold a car. `headers` carry the shopper on to the catalogue."""

    car_id: str
    claim: Claim
    session_id: str
    address_hash: str
    synthetic: bool
    context: EventContext
    headers: Mapping[str, str]


class Holds:
    """Use cases around a hold."""

    def __init__(
        self,
        store: Store,
        signals: Signals,
        similar: SimilarCars,
        clock: Clock,
        settings: CheckoutSettings,
    ) -> None:
        self._store = store
        self._signals = signals
        self._similar = similar
        self._clock = clock
        self._settings = settings

    async def place(self, command: HoldCommand) -> StoredAnswer | Replay:
        """Hold a car for `hold_ttl_seconds`; the same key returns the same answer.

        Raises `CarNotAvailable` (with similar cars) when somebody else has it, `CarUnknown`,
        `TooManyHolds`, and what `idempotency.claim` raises.
        """
        now = self._clock.now()
        try:
            async with self._store.begin() as transaction:
                begun = await claim(transaction, command.claim, now)
                if isinstance(begun, Replay):
                    return begun
                car = await self._car(transaction, command)
                await self._check_limits(transaction, command)
                taken = await self._take(transaction, command, car, now)
        except CarTaken:
            taken = None
        if taken is None:
            raise await self._lost(command, car)
        self._signals.hold_attempted(
            Outcome.OK, car_id=command.car_id, hold_id=str(taken["hold_id"])
        )
        return answer(201, hold_wire(taken))

    async def read(self, hold_id: str, session_id: str) -> dict[str, Any]:
        """An active hold; raises `HoldUnknown` for another session's, `HoldEnded` when over."""
        hold = _owned(await self._store.read_hold(hold_id), session_id)
        if hold["state"] != "active" or hold["expires_at"] <= self._clock.now():
            raise HoldEnded("The time to buy this car has run out, or it was given back.")
        return hold_wire(hold)

    async def release(self, hold_id: str, session_id: str) -> None:
        """Give the car back; giving it back twice is fine.

        Raises `HoldUnknown`, or `PaymentUnderWay` when the hold became an order.
        """
        async with self._store.begin() as transaction:
            hold = _owned(await transaction.lock_hold(hold_id), session_id)
            if hold["state"] == "ordered":
                raise PaymentUnderWay("This hold has become an order: cancel the order instead.")
            if hold["state"] != "active":
                return
            ended_as = await end(transaction, hold, "released", self._clock.now())
        self._signals.hold_ended(hold_id, car_id=hold["car_id"], ended_as=ended_as)

    async def sweep(self) -> int:
        """End holds whose time has run out, each in a transaction of its own; returns how many."""
        now = self._clock.now()
        async with self._store.begin() as transaction:
            overdue = await transaction.overdue_holds(now=now, limit=200)
        swept = 0
        for hold in overdue:
            async with self._store.begin() as transaction:
                current = await transaction.lock_hold(hold["hold_id"])
                if current is None or current["state"] != "active" or current["expires_at"] > now:
                    continue  # extended, paid or given back meanwhile
                ended_as = await end(transaction, current, "expired", now)
            self._signals.hold_ended(hold["hold_id"], car_id=hold["car_id"], ended_as=ended_as)
            swept += 1
        return swept

    async def _car(self, transaction: CheckoutTransaction, command: HoldCommand) -> Record:
        car = await transaction.car(command.car_id)
        # Synthetic shoppers see and buy only rehearsal cars, which nobody else sees.
        if car is None or bool(car["rehearsal"]) != command.synthetic:
            raise CarUnknown(f"There is no car {command.car_id} in our stock.")
        return car

    async def _check_limits(self, transaction: CheckoutTransaction, command: HoldCommand) -> None:
        if command.synthetic:
            return  # a load test is many shoppers at one address
        of_session, of_address = await transaction.count_active_holds(
            session_id=command.session_id, address_hash=command.address_hash
        )
        if (
            of_session >= self._settings.max_holds_per_session
            or of_address >= self._settings.max_holds_per_address
        ):
            raise TooManyHolds(
                "Give one of your held cars back first, or wait until its time runs out.",
                retry_after_seconds=60,
            )

    async def _take(
        self,
        transaction: CheckoutTransaction,
        command: HoldCommand,
        car: Record,
        now: datetime,
    ) -> Record | None:
        if not car["listed"] and car["state"] == "available":
            return None
        overdue = await transaction.active_hold_of_car(command.car_id)
        if overdue is not None and overdue["expires_at"] <= now:
            await end(transaction, overdue, "expired", now)  # checked on read, not only swept
        if not await transaction.move_car(command.car_id, ["available"], "held"):
            return None
        price = Money(car["price"], car["currency"])
        context = _of_car(command.context, car)
        expires_at = now + timedelta(seconds=self._settings.hold_ttl_seconds)
        hold: Record = {
            "hold_id": new_id("hld"),
            "car_id": command.car_id,
            "state": "active",
            "session_id": command.session_id,
            "address_hash": command.address_hash,
            "price": price.amount,
            "currency": price.currency,
            "deposit": deposit_of(price).amount,
            "context": as_json(context),
            "created_at": now,
            "expires_at": expires_at,
            "extended": False,
        }
        await transaction.add_hold(hold)
        await transaction.record(
            HoldPlaced(hold["hold_id"], command.car_id, car["model_id"], rfc3339(expires_at)),
            context,
        )
        await transaction.record(CarStateChanged(command.car_id, "held"), context)
        await transaction.answer_key(command.claim.key, answer(201, hold_wire(hold)))
        return hold

    async def _lost(self, command: HoldCommand, car: Record) -> CarNotAvailable:
        """The loser's answer; the lost race is a fact of its own (`sold_out`)."""
        async with self._store.begin() as transaction:
            await transaction.record(
                HoldRefused(command.car_id, new_id("att")), _of_car(command.context, car)
            )
        self._signals.hold_attempted(Outcome.SOLD_OUT, car_id=command.car_id)
        similar = await self._similar.like(
            car_id=command.car_id,
            model_id=car["model_id"],
            market=car["market"],
            headers=command.headers,
        )
        return CarNotAvailable(
            "Another shopper is buying this car, or has bought it. Here are cars like it.",
            similar_cars=similar,
        )


async def end(
    transaction: CheckoutTransaction,
    hold: Record,
    how: Literal["released", "expired"],
    now: datetime,
) -> Literal["abandoned", "declined", "expired"]:
    """End an active hold: the car is free again, an unpaid order ends with it."""
    context = as_context(hold["context"])
    order = await transaction.last_order_of_hold(hold["hold_id"])
    ended_as: Literal["abandoned", "declined", "expired"] = "abandoned"
    order_id = ""
    if order is not None:
        context = as_context(order["context"])
        order_id = order["order_id"]
        if order["state"] == "declined":
            ended_as = "declined"
        elif order["state"] == "payment_pending":
            after: Literal["expired", "cancelled"] = "expired" if how == "expired" else "cancelled"
            ended_as = "expired" if how == "expired" else "abandoned"
            await transaction.move_order(order_id, "payment_pending", after, ended_at=now)
            await transaction.record(
                OrderEnded(order_id, hold["hold_id"], hold["car_id"], after), context
            )
    await transaction.end_hold(hold["hold_id"], how)
    await transaction.move_car(hold["car_id"], ["held"], "available")
    await transaction.record(
        HoldReleased(hold["hold_id"], hold["car_id"], how, ended_as, order_id), context
    )
    await transaction.record(CarStateChanged(hold["car_id"], "available"), context)
    return ended_as


def hold_wire(hold: Record) -> dict[str, Any]:
    """A hold as the API shows it (`contracts.checkout.Hold`)."""
    return {
        "hold_id": hold["hold_id"],
        "car_id": hold["car_id"],
        "expires_at": rfc3339(hold["expires_at"]),
        "price": {"amount": hold["price"], "currency": hold["currency"]},
        "deposit": {"amount": hold["deposit"], "currency": hold["currency"]},
    }


def _owned(hold: Record | None, session_id: str) -> Record:
    """A hold belongs to its session, or without one to whoever knows its id."""
    if hold is None or (hold["session_id"] and hold["session_id"] != session_id):
        raise HoldUnknown("There is no such hold for you.")
    return hold


def _of_car(context: EventContext, car: Record) -> EventContext:
    return replace(context, market=car["market"])
