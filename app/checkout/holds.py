"""Holding a car for one shopper: exclusive by the database, for a limited time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from math import ceil
from typing import Any, Literal

import orjson

from app.checkout.change import Change, Changes, Room, unchanged
from app.checkout.errors import (
    CarIsYours,
    CarNotAvailable,
    CarNotReadYet,
    CarResting,
    CarUnknown,
    HoldEnded,
    HoldUnknown,
    PaymentUnderWay,
    StockCrowded,
    TooManyHolds,
)
from app.checkout.gateways import SimilarCars
from app.checkout.hoarding import StockHeld
from app.checkout.idempotency import Claim, Replay, StoredAnswer, answer
from app.checkout.looks import CarLook, CarSight, HoldLook, HoldSight, KeyLook
from app.checkout.pricing import deposit_of
from app.checkout.rows import Car, Hold, Key, Order
from app.checkout.settings import CheckoutSettings
from app.checkout.signals import Signals
from app.checkout.store import Bought, Store
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
from app.kernel.facts import EventContext, values_of
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
    known: bool
    """Whether the session has lasted a moment."""
    context: EventContext
    headers: Mapping[str, str]
    refusal: Callable[[VitrineError], StoredAnswer]
    """An error as the answer that is sent and kept."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a car is held, and how many by one shopper."""

    hold_ttl_seconds: int
    max_holds_per_session: int
    max_holds_per_address: int
    known_seconds: int = 60
    rest_share: float = 0.1

    @property
    def rest(self) -> timedelta:
        """How long a car rests from who let it go."""
        return timedelta(seconds=self.rest_share * self.hold_ttl_seconds)


@dataclass(frozen=True, slots=True)
class Ended:
    """A hold that has ended, of a car, and what it counts as."""

    hold_id: str
    car_id: str
    ended_as: EndedAs


@dataclass(frozen=True, slots=True)
class Placed:
    """The answer to who holds the car now."""

    stored: StoredAnswer
    hold_id: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Somebody else has the car, or it is not on offer; `state` is that of the physical car."""

    car: Car
    state: str


def place(
    sight: CarSight | None,
    key: Key | None,
    command: HoldCommand,
    now: datetime,
    terms: Terms,
    *,
    crowded: bool = False,
) -> Change[Placed | Lost]:
    """Hold the car for who asks, or show them their own hold of it.

    `crowded`: so much of the market's stock is held that strangers get no more of it.
    Raises `CarUnknown`, `TooManyHolds`, `StockCrowded`, `CarResting`.
    """
    # Synthetic shoppers see and buy only rehearsal cars, which nobody else sees.
    if sight is None or sight.car.rehearsal != command.synthetic:
        raise CarUnknown(f"There is no car {command.car_id} in our stock.")
    car, hold = sight.car, sight.hold
    if _may_be_taken(sight, now):
        limited = not command.synthetic  # a load test is many shoppers at one address
        if limited:
            _check_limits(sight, terms)
            _check_rest(sight, command, now, terms)
            if crowded and not command.known:
                raise StockCrowded(
                    "Many cars are held by callers whom we do not know yet. Look around in the shop"
                    " for a minute, then hold the car.",
                    retry_after_seconds=terms.known_seconds,
                )
        new = _new_hold(command, car, now, terms)
        placed = Placed(answer(201, hold_wire(new)), new.hold_id)
        change: Change[Placed | Lost] = Change(car, placed)
        if hold is not None:  # checked on read, not only swept
            end(change, car, hold, sight.order, "expired", now)
        change.add(new)
        change.set(car, state="held")
        change.say(
            EventContext(**new.context),
            HoldPlaced(new.hold_id, car.car_id, car.model_id, rfc3339(new.expires_at)),
            CarStateChanged(car.car_id, "held"),
        )
        if limited:
            change.room = Room(
                command.session_id,
                command.address_hash,
                terms.max_holds_per_session,
                terms.max_holds_per_address,
            )
        change.foresee(HoldLook(new.hold_id), HoldSight(new, change.after(car), None, None, 0))
    elif hold is not None and hold.expires_at > now and _is_of(hold, command.session_id):
        # A second tab, the way back: nothing happens to the car, nobody lost a race.
        placed = Placed(answer(200, hold_wire(hold)), hold.hold_id)
        change = Change(None, placed)
    else:
        return unchanged(Lost(car, (car.state == "available" and sight.elsewhere) or car.state))
    change.keep(command.claim, key, now, placed.stored)
    return change


def _may_be_taken(sight: CarSight, now: datetime) -> bool:
    """Whether a car is on offer and free, or held by somebody whose time has run out."""
    car, hold = sight.car, sight.hold
    if not car.listed or sight.elsewhere:
        return False
    overdue = hold is not None and hold.expires_at <= now
    return car.state == "available" or (car.state == "held" and overdue)


def _is_of(hold: Hold, session_id: str) -> bool:
    return bool(session_id) and hold.session_id == session_id


def _check_limits(sight: CarSight, terms: Terms) -> None:
    if (
        sight.of_session >= terms.max_holds_per_session
        or sight.of_address >= terms.max_holds_per_address
    ):
        raise TooManyHolds(
            "Give one of your held cars back first, or wait until its time runs out.",
            retry_after_seconds=60,
        )


def _check_rest(sight: CarSight, command: HoldCommand, now: datetime, terms: Terms) -> None:
    """A session is known by itself; a stranger, who may have many, by the network."""
    who, since = sight.car.let_go_by, sight.car.let_go_at
    if sight.hold is not None:  # overdue: it ends with this very request
        since = sight.hold.expires_at if who == sight.hold.holder else None
    if who is None or since is None or since + terms.rest <= now:
        return
    session_id, _, network = who.partition(" ")
    mine = bool(session_id) and session_id == command.session_id
    if mine or (not command.known and network == command.address_hash):
        raise CarResting(
            "You held this car twice and let it go; for a moment it is for others.",
            retry_after_seconds=max(1, ceil((since + terms.rest - now).total_seconds())),
        )


def _new_hold(command: HoldCommand, car: Car, now: datetime, terms: Terms) -> Hold:
    price = Money(car.price, car.currency)
    return Hold(
        hold_id=new_id("hld", now),
        car_id=car.car_id,
        state="active",
        session_id=command.session_id,
        address_hash=command.address_hash,
        price=price.amount,
        currency=price.currency,
        deposit=deposit_of(price).amount,
        context=values_of(replace(command.context, market=car.market)),
        created_at=now,
        expires_at=now + timedelta(seconds=terms.hold_ttl_seconds),
        extended=False,
    )


def lose(
    lost: Lost,
    key: Key | None,
    command: HoldCommand,
    now: datetime,
    *,
    error: CarNotAvailable,
    kept: CarNotAvailable,
    bought: bool,
) -> Change[StoredAnswer]:
    """The loser's answer with the fact of it: a retry neither doubles nor loses that.

    What is `kept` of the answer is without the cars like it, which are most of it.
    """
    change = Change(None, answer=command.refusal(error))
    change.keep(command.claim, key, now, command.refusal(kept))
    if not bought:
        context = replace(command.context, market=lost.car.market)
        change.say(context, HoldRefused(command.car_id, _attempt(command, now)))
    return change


def _attempt(command: HoldCommand, now: datetime) -> str:
    """A session that reaches for the same car again and again has lost one race."""
    if not command.session_id:
        return new_id("att", now)
    told = f"{command.session_id} {command.car_id}".encode()
    return f"att_{blake2b(told, digest_size=13).hexdigest()}"


def release(sight: HoldSight | None, session_id: str, now: datetime) -> Change[Ended | None]:
    """Give the car back; giving it back twice is fine.

    Raises `HoldUnknown`, or `PaymentUnderWay` when the hold became an order.
    """
    sight = owned(sight, session_id)
    if sight.hold.state == "ordered":
        raise PaymentUnderWay("This hold has become an order: cancel the order instead.")
    return _ended(sight, "released", now) if sight.hold.state == "active" else unchanged(None)


def expire(sight: HoldSight | None, now: datetime) -> Change[Ended | None]:
    """End a hold whose time has run out; None when it was extended, paid or given back."""
    if sight is None or sight.hold.state != "active" or sight.hold.expires_at > now:
        return unchanged(None)
    return _ended(sight, "expired", now)


def _ended(
    sight: HoldSight, how: Literal["released", "expired"], now: datetime
) -> Change[Ended | None]:
    change: Change[Any] = Change(sight.car, answer=None)
    ended_as = end(change, sight.car, sight.hold, sight.order, how, now)
    change.answer = Ended(sight.hold.hold_id, sight.car.car_id, ended_as)
    return change


def end(
    change: Change[Any],
    car: Car,
    hold: Hold,
    order: Order | None,
    how: Literal["released", "expired", "sold_at_desk"],
    now: datetime,
) -> EndedAs:
    """End an active hold: the car is free again, an unpaid order ends with it.

    `order` is the one of this hold that waits for payment, else the newest one.
    """
    context = EventContext(**(hold if order is None else order).context)
    ended_as: EndedAs = "sold_out" if how == "sold_at_desk" else "abandoned"
    if order is not None and order.state == "declined":
        ended_as = "declined"
    elif order is not None and order.state == "payment_pending":
        after: Literal["expired", "cancelled"] = "expired" if how == "expired" else "cancelled"
        ended_as = "expired" if how == "expired" else "abandoned"
        change.set(order, state=after, ended_at=now)
        change.say(context, OrderEnded(order.order_id, hold.hold_id, car.car_id, after))
    change.set(hold, state=how)
    if car.state == "held":
        change.set(car, state="available")
    if not car.rehearsal and _let_go(hold, how, now):
        again = car.let_go_by == hold.holder
        change.set(car, let_go_by=hold.holder, let_go_at=now if again else None)
    order_id = "" if order is None else order.order_id
    change.say(
        context,
        HoldReleased(hold.hold_id, car.car_id, how, ended_as, order_id),
        CarStateChanged(car.car_id, "available"),
    )
    return ended_as


def _let_go(hold: Hold, how: str, now: datetime) -> bool:
    """Whether a hold kept the car from others: a change of mind in its first half did not."""
    half = hold.created_at + (hold.expires_at - hold.created_at) / 2
    return how == "expired" or (how == "released" and now >= half)


class Holds:
    """Use cases around a hold."""

    def __init__(
        self,
        store: Store,
        changes: Changes,
        signals: Signals,
        similar: SimilarCars,
        held: StockHeld,
        clock: Clock,
        settings: CheckoutSettings,
    ) -> None:
        self._store = store
        self._changes = changes
        self._signals = signals
        self._similar = similar
        self._held = held
        self._clock = clock
        self._terms = Terms(
            settings.hold_ttl_seconds,
            settings.max_holds_per_session,
            settings.max_holds_per_address,
            settings.known_seconds,
            settings.rest_share,
        )
        self._overdue: WorkList[Hold] = WorkList(
            "sweep", lambda hold: hold.hold_id, store, signals, clock
        )

    async def place(self, command: HoldCommand) -> StoredAnswer | Replay:
        """Hold a car for `hold_ttl_seconds`; the same key returns the same answer.

        A session that holds the car already gets its own hold, as 200. When somebody else has it
        the answer is that of `CarNotAvailable`, with similar cars: those of now, also when it is
        told again.
        Raises what the rule `place` and `idempotency.judged` raise.
        """
        look = CarLook(command.car_id, command.session_id, command.address_hash, command.claim.key)
        try:
            placed = await self._changes.once(
                "place_hold",
                look,
                command.claim,
                lambda sight, key: self._place(sight, key, command),
            )
            if isinstance(placed, Lost):
                return await self._lose(command, placed)
        except VitrineError as error:
            told = await self._told(error, command)
            # What no car is called may be anything.
            known = "" if isinstance(told, CarUnknown) else command.car_id
            self._signals.hold_attempted(told.outcome, car_id=known)
            raise told from error
        if isinstance(placed, Replay):
            return await self._told_again(placed, command)
        stored, hold_id = placed.stored, placed.hold_id
        self._signals.hold_attempted(Outcome.OK, car_id=command.car_id, hold_id=hold_id)
        return stored

    def _place(
        self, sight: CarSight | None, key: Key | None, command: HoldCommand
    ) -> Change[Placed | Lost]:
        market = "" if sight is None else sight.car.market
        crowded = self._held.crowded(market)
        change = place(sight, key, command, self._clock.now(), self._terms, crowded=crowded)
        if change.puts and not command.synthetic:
            # Before it is written, so that a crowd that comes at once is counted; a change that is
            # outrun counts until the next measure.
            self._held.placed(market)
        return change

    async def _lose(self, command: HoldCommand, lost: Lost) -> StoredAnswer | Replay:
        similar = await self._like(lost.car, command)
        bought = await self._store.bought(command.car_id, command.session_id)
        error = _lost(lost, bought, similar)
        refused = await self._changes.once(
            "refuse",
            KeyLook(command.claim.key),
            command.claim,
            lambda _, key: lose(
                lost,
                key,
                command,
                self._clock.now(),
                error=error,
                kept=_lost(lost, bought, ()),
                bought=bought is not None,
            ),
        )
        if isinstance(refused, Replay):
            return await self._told_again(refused, command)
        self._signals.hold_attempted(error.outcome, car_id=command.car_id)
        return refused

    async def _like(self, car: Car, command: HoldCommand) -> list[dict[str, Any]]:
        return await self._similar.like(
            car_id=car.car_id, model_id=car.model_id, market=car.market, headers=command.headers
        )

    async def _told_again(self, replay: Replay, command: HoldCommand) -> Replay:
        """A first answer; one that had cars like it has them anew."""
        told = orjson.loads(replay.answer.body)
        car = await self._store.read_car(command.car_id) if "similar_cars" in told else None
        if car is None:
            return replay
        told["similar_cars"] = await self._like(car, command)
        return replace(replay, answer=replace(replay.answer, body=orjson.dumps(told)))

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
        hold = owned(await self._changes.seen(HoldLook(hold_id)), session_id).hold
        check_running(hold, self._clock.now())
        return hold_wire(hold)

    async def release(self, hold_id: str, session_id: str) -> None:
        """Give the car back; raises what the rule `release` raises."""
        ended = await self._changes.settled(
            "end_hold",
            HoldLook(hold_id),
            lambda sight: release(sight, session_id, self._clock.now()),
        )
        self._tell(ended)

    async def sweep(self) -> int:
        """End holds whose time has run out, each in a change of its own; returns how many."""
        overdue = await self._store.overdue_holds(now=self._clock.now(), limit=200)
        return await self._overdue.each(overdue, self._sweep)

    async def _sweep(self, hold: Hold) -> bool:
        ended = await self._changes.settled(
            "end_hold", HoldLook(hold.hold_id), lambda sight: expire(sight, self._clock.now())
        )
        self._tell(ended)
        return ended is not None

    def _tell(self, ended: Ended | None) -> None:
        if ended is not None:
            self._signals.hold_ended(ended.hold_id, car_id=ended.car_id, ended_as=ended.ended_as)


def _lost(
    lost: Lost, bought: Bought | None, similar: Sequence[Mapping[str, Any]]
) -> CarNotAvailable:
    """Why a car cannot be held, as far as this shopper may know."""
    if bought is not None:
        return CarIsYours(
            f"You have bought this car: it is yours by order {bought.order_id}.",
            reason="yours",
            order_id=bought.order_id,
            hold_id=bought.hold_id,
            similar_cars=similar,
        )
    if lost.state in ("reserved", "sold"):
        reason, why = "sold", "This car has been sold."
    elif lost.state == "available" and not lost.car.listed:
        reason, why = "not_on_offer", "This car is not on offer any more."
    else:
        reason, why = "held", "Another shopper is buying this car just now."
    return CarNotAvailable(f"{why} Here are cars like it.", reason=reason, similar_cars=similar)


def hold_wire(hold: Hold) -> dict[str, Any]:
    """A hold as the API shows it (`contracts.checkout.Hold`)."""
    return {
        "hold_id": hold.hold_id,
        "car_id": hold.car_id,
        "expires_at": rfc3339(hold.expires_at),
        "price": {"amount": hold.price, "currency": hold.currency},
        "deposit": {"amount": hold.deposit, "currency": hold.currency},
    }


def owned(sight: HoldSight | None, session_id: str) -> HoldSight:
    """A hold belongs to its session, or without one to whoever knows its id.

    Raises `HoldUnknown`.
    """
    if sight is None or (sight.hold.session_id and sight.hold.session_id != session_id):
        raise HoldUnknown("There is no such hold for you.")
    return sight


def check_running(hold: Hold, now: datetime) -> None:
    """Raises `HoldEnded` when a hold is over."""
    if hold.state != "active" or hold.expires_at <= now:
        raise HoldEnded.after(hold.state, car_id=hold.car_id)
