"""Holding a car for one shopper: exclusive by the database, for a limited time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from app.checkout.errors import (
    CarIsYours,
    CarNotAvailable,
    CarNotReadYet,
    CarUnknown,
    HoldEnded,
    HoldUnknown,
    PaymentUnderWay,
    TooManyHolds,
)
from app.checkout.express import Effect, Express, read, write
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
from app.checkout.work import WorkList
from app.contracts.events import (
    CarStateChanged,
    HoldPlaced,
    HoldRefused,
    HoldReleased,
    OrderEnded,
)
from app.kernel.clock import Clock, rfc3339
from app.kernel.errors import VitrineError
from app.kernel.facts import EventContext, Fact
from app.kernel.ids import new_id
from app.kernel.money import Money
from telemetry.catalogue.outcomes import Outcome

EndedAs = Literal["abandoned", "declined", "expired", "sold_out"]
"""What a hold that ended without an order counts as."""


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
    refusal: Callable[[VitrineError], StoredAnswer]
    """An error as the answer that is sent and kept."""


class Holds:
    """Use cases around a hold."""

    def __init__(
        self,
        store: Store,
        signals: Signals,
        similar: SimilarCars,
        clock: Clock,
        settings: CheckoutSettings,
        express: Express | None = None,
    ) -> None:
        self._express = express
        self._store = store
        self._signals = signals
        self._similar = similar
        self._clock = clock
        self._settings = settings
        self._overdue = WorkList("sweep", "hold_id", store, signals, clock)

    async def place(self, command: HoldCommand) -> StoredAnswer | Replay:
        """Hold a car for `hold_ttl_seconds`; the same key returns the same answer.

        A session that holds the car already gets its own hold, as 200. When somebody else has it
        the answer is that of `CarNotAvailable`, with similar cars.
        Raises `CarUnknown`, `TooManyHolds`, and what `idempotency.claim` raises.
        """
        placed: StoredAnswer | Replay | None = await self._place_at_once(command)
        if placed is not None:
            return placed
        try:
            car = await self._store.read_car(command.car_id)
            # A car that we do not know is refused after its key was looked at.
            if car is None or _may_be_taken(car, self._clock.now()):
                with suppress(CarTaken):
                    placed = await self._take(command)
                if placed is None:
                    car = await self._store.read_car(command.car_id)
            if placed is None and car is not None:
                with suppress(CarTaken):
                    placed = await self._own(command, car)
            if placed is None:
                placed = await self._lose(command, self._sellable(car, command))
        except VitrineError as error:
            told = await self._told(error, command)
            self._signals.hold_attempted(told.outcome, car_id=command.car_id)
            raise told from error
        return placed

    async def _told(self, error: VitrineError, command: HoldCommand) -> VitrineError:
        """What is listed can be held: an unknown car is one that the catalogue does not know."""
        if not isinstance(error, CarUnknown):
            return error
        if await self._store.read_car(command.car_id) is not None:
            return error  # somebody else's rehearsal
        if await self._similar.knows(command.car_id, command.headers) is False:
            return error
        return CarNotReadYet(
            f"Car {command.car_id} is not in our stock yet; ask again in a moment.",
            retry_after_seconds=1,
        )

    async def of_session(self, session_id: str) -> list[dict[str, Any]]:
        """The session's running holds, the one that ends first first; nobody's without one."""
        if not session_id:
            return []
        found = await self._store.holds_of(session_id, now=self._clock.now())
        return [hold_wire(hold) for hold in found]

    async def read(self, hold_id: str, session_id: str) -> dict[str, Any]:
        """An active hold; raises `HoldUnknown` for another session's, `HoldEnded` when over."""
        hold = _owned(await self._store.read_hold(hold_id), session_id)
        if hold["state"] != "active" or hold["expires_at"] <= self._clock.now():
            raise HoldEnded.after(hold["state"], car_id=hold["car_id"])
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
        overdue = await self._store.overdue_holds(now=now, limit=200)
        return await self._overdue.each(overdue, self._sweep)

    async def _sweep(self, hold: Record) -> bool:
        now = self._clock.now()
        async with self._store.begin() as transaction:
            current = await transaction.lock_hold(hold["hold_id"])
            if current is None or current["state"] != "active" or current["expires_at"] > now:
                return False  # extended, paid or given back meanwhile
            ended_as = await end(transaction, current, "expired", now)
        self._signals.hold_ended(hold["hold_id"], car_id=hold["car_id"], ended_as=ended_as)
        return True

    def _sellable(self, car: Record | None, command: HoldCommand) -> Record:
        # Synthetic shoppers see and buy only rehearsal cars, which nobody else sees.
        if car is None or bool(car["rehearsal"]) != command.synthetic:
            raise CarUnknown(f"There is no car {command.car_id} in our stock.")
        return car

    async def _place_at_once(self, command: HoldCommand) -> StoredAnswer | None:
        """The common case in one statement: the car is free, the key new, there is room.

        None when it is anything else; then nothing has happened.
        """
        if self._express is None:
            return None
        car = await read(self._signals, self._express.car(command.car_id))
        if car is None or car["state"] != "available":
            return None
        now = self._clock.now()
        hold, context = self._new_hold(command, car, now)
        placed = answer(201, hold_wire(hold))
        limited = not command.synthetic
        effect = Effect(
            values={
                **command.claim.values(now, answer=placed),
                **hold,
                "now": now,
                "model_id": car["model_id"],
                "market": car["market"],
                "rehearsal": command.synthetic,
                "limited": limited,
                "most_of_session": self._settings.max_holds_per_session,
                "most_of_address": self._settings.max_holds_per_address,
            },
            facts=self._store.fact_rows(_placed(hold, car), context),
            apart=(
                f"car:{command.car_id}",
                f"key:{command.claim.key}",
                # Exact limits: the second one of a shopper is judged after the first one.
                *((f"from:{command.address_hash}",) if limited else ()),
                *((f"of:{command.session_id}",) if limited and command.session_id else ()),
            ),
        )
        if not await write(self._signals, "place_hold", self._express.place(effect)):
            return None
        self._signals.hold_attempted(Outcome.OK, car_id=command.car_id, hold_id=hold["hold_id"])
        return placed

    async def _take(self, command: HoldCommand) -> StoredAnswer | Replay:
        """Hold the car in one transaction; raises `CarTaken` when it is not free after all."""
        now = self._clock.now()
        async with self._store.begin() as transaction:
            begun = await claim(transaction, command.claim, now)
            if isinstance(begun, Replay):
                return begun
            if not command.synthetic:  # a load test is many shoppers at one address
                await transaction.lock_holder(command.address_hash)
            car = self._sellable(await transaction.lock_car(command.car_id), command)
            if not _may_be_taken(car, now):
                raise CarTaken(command.car_id)
            await self._check_limits(transaction, command)
            if car["held_by"] is not None:  # checked on read, not only swept
                overdue = await transaction.lock_hold(car["held_by"])
                if overdue is not None:
                    await end(transaction, overdue, "expired", now)
            hold = await self._add(transaction, command, car, now)
            placed = answer(201, hold_wire(hold))
            await transaction.answer_key(command.claim.key, placed)
        self._signals.hold_attempted(
            Outcome.OK, car_id=command.car_id, hold_id=str(hold["hold_id"])
        )
        return placed

    async def _own(self, command: HoldCommand, car: Record) -> StoredAnswer | Replay | None:
        """The session's own hold of this car (a second tab, the way back); None when it has none.

        Nothing happens to the car, nobody lost a race. Raises `CarTaken` when it ends meanwhile.
        """
        if not command.session_id or car["held_by"] is None:
            return None
        hold = await self._store.read_hold(car["held_by"])
        if hold is None or hold["session_id"] != command.session_id:
            return None
        now = self._clock.now()
        async with self._store.begin() as transaction:
            begun = await claim(transaction, command.claim, now)
            if isinstance(begun, Replay):
                return begun
            hold = await transaction.lock_hold(car["held_by"])
            if hold is None or hold["state"] != "active" or hold["expires_at"] <= now:
                raise CarTaken(command.car_id)
            found = answer(200, hold_wire(hold))
            await transaction.answer_key(command.claim.key, found)
        self._signals.hold_attempted(Outcome.OK, car_id=command.car_id, hold_id=hold["hold_id"])
        return found

    async def _check_limits(self, transaction: CheckoutTransaction, command: HoldCommand) -> None:
        if command.synthetic:
            return
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

    def _new_hold(
        self, command: HoldCommand, car: Record, now: datetime
    ) -> tuple[Record, EventContext]:
        """A hold of this car from now on, and the context in which it is stated."""
        price = Money(car["price"], car["currency"])
        context = _of_car(command.context, car)
        hold: Record = {
            "hold_id": new_id("hld", now),
            "car_id": command.car_id,
            "state": "active",
            "session_id": command.session_id,
            "address_hash": command.address_hash,
            "price": price.amount,
            "currency": price.currency,
            "deposit": deposit_of(price).amount,
            "context": as_json(context),
            "created_at": now,
            "expires_at": now + timedelta(seconds=self._settings.hold_ttl_seconds),
            "extended": False,
        }
        return hold, context

    async def _add(
        self,
        transaction: CheckoutTransaction,
        command: HoldCommand,
        car: Record,
        now: datetime,
    ) -> Record:
        hold, context = self._new_hold(command, car, now)
        await transaction.add_hold(hold)
        if not await transaction.move_car(command.car_id, ["available"], "held"):
            raise CarTaken(command.car_id)
        for fact in _placed(hold, car):
            await transaction.record(fact, context)
        return hold

    async def _lose(self, command: HoldCommand, car: Record) -> StoredAnswer | Replay:
        """The loser's answer, stored in one transaction with the fact of it (`sold_out`).

        So a retry neither doubles nor loses the fact.
        """
        similar = await self._similar.like(
            car_id=command.car_id,
            model_id=car["model_id"],
            market=car["market"],
            headers=command.headers,
        )
        bought = await self._store.bought(command.car_id, command.session_id)
        state = await self._store.physical_state(car)
        lost = _lost({**car, "state": state}, bought, similar)
        async with self._store.begin() as transaction:
            now = self._clock.now()
            begun = await claim(transaction, command.claim, now)
            if isinstance(begun, Replay):
                return begun
            refused = command.refusal(lost)
            if bought is None:
                await transaction.record(
                    HoldRefused(command.car_id, new_id("att", now)), _of_car(command.context, car)
                )
            await transaction.answer_key(command.claim.key, refused)
        self._signals.hold_attempted(lost.outcome, car_id=command.car_id)
        return refused


def _lost(
    car: Record, bought: Record | None, similar: Sequence[Mapping[str, Any]]
) -> CarNotAvailable:
    """Why a car cannot be held, as far as this shopper may know."""
    if bought is not None:
        return CarIsYours(
            f"You have bought this car: it is yours by order {bought['order_id']}.",
            reason="yours",
            order_id=bought["order_id"],
            hold_id=bought["hold_id"],
            similar_cars=similar,
        )
    if car["state"] in ("reserved", "sold"):
        reason, why = "sold", "This car has been sold."
    elif car["state"] == "available" and not car["listed"]:
        reason, why = "not_on_offer", "This car is not on offer any more."
    else:
        reason, why = "held", "Another shopper is buying this car just now."
    return CarNotAvailable(f"{why} Here are cars like it.", reason=reason, similar_cars=similar)


def _placed(hold: Record, car: Record) -> list[Fact]:
    """What a placed hold states."""
    return [
        HoldPlaced(hold["hold_id"], hold["car_id"], car["model_id"], rfc3339(hold["expires_at"])),
        CarStateChanged(hold["car_id"], "held"),
    ]


def _may_be_taken(car: Record, now: datetime) -> bool:
    """Whether a car is on offer and free, or held by somebody whose time has run out."""
    if not car["listed"]:
        return False
    overdue = car["held_until"] is not None and car["held_until"] <= now
    return car["state"] == "available" or (car["state"] == "held" and overdue)


async def end(
    transaction: CheckoutTransaction,
    hold: Record,
    how: Literal["released", "expired", "sold_at_desk"],
    now: datetime,
) -> EndedAs:
    """End an active hold: the car is free again, an unpaid order ends with it."""
    context = as_context(hold["context"])
    order = await transaction.last_order_of_hold(hold["hold_id"])
    ended_as: EndedAs = "sold_out" if how == "sold_at_desk" else "abandoned"
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
