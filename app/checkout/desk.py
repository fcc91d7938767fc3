"""Sold at the desk: a dealer sells one of the cars on offer in the showroom, and says so.

The car's row decides, as for everybody else: whoever has it first has it. A shopper's hold was
promised to them, so it is ended only when the dealer says so twice; an order is never ended here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from app.checkout.change import Change, Changes, unchanged
from app.checkout.errors import CarHeld, CarOrdered, CarUnknown, KeyReused
from app.checkout.holds import end
from app.checkout.idempotency import Claim, Replay, StoredAnswer, answer, judged
from app.checkout.looks import DeskLook, DeskSight, Seen
from app.checkout.models import DESK_SALES
from app.checkout.rows import Car, Hold, Key, Order
from app.checkout.signals import Signals
from app.contracts.events import CarSoldAtDesk, CarStateChanged, DeskSaleUndone
from app.kernel.clock import Clock, rfc3339
from app.kernel.facts import EventContext
from telemetry.catalogue.checkout import DeskResult

_OVER: Final = (
    "The sale that was reported with this Idempotency-Key stands no longer: it was taken back, or"
    " the feed has listed the car anew. Was the car sold again, send this with a fresh key."
)


class Told(NamedTuple):
    """The answer to a dealer, and what to tell of it; nothing when it was so already."""

    stored: StoredAnswer
    result: DeskResult | None


def sell(
    sight: DeskSight | None,
    key: Key | None,
    car_id: str,
    claim: Claim,
    context: EventContext,
    now: datetime,
    *,
    reported_by: str,
    confirm: bool,
) -> Change[Told]:
    """Take a car off sale that was sold in the showroom; one sold there already stays so.

    `confirm` ends a shopper's hold. Raises `CarUnknown`, `CarHeld` without it, `CarOrdered`.
    """
    sight = _known(sight, car_id)
    car = sight.car
    if sight.sale is not None:
        stored = answer(200, _wire(car, "sold", sight.sale.sold_at))
        change = Change(None, answer=Told(stored, None))
        change.keep(claim, key, now, stored)
        return change
    _refuse_ordered(sight.in_force, sight.hold)
    if sight.elsewhere:
        raise CarOrdered(
            "A shopper holds or has bought this very car under another stock id. Do not hand"
            " it over; take it out of one of the two feeds."
        )
    stored = answer(200, _wire(car, "sold", now))
    change = Change(car, answer=Told(stored, "sold"))
    lost = _lost_hold(change, sight, now, confirm=confirm)
    if lost:
        change.answer = Told(stored, "hold_ended")
    change.set(car, state="sold")
    change.put(DESK_SALES, car_id=car_id, reported_by=reported_by, sold_at=now, left_feed=False)
    change.say(
        replace(context, market=car.market),
        CarSoldAtDesk(car_id, car.dealer_id, reported_by, hold_ended=lost),
        CarStateChanged(car_id, "sold"),
    )
    change.keep(claim, key, now, stored)
    return change


def take_back(
    sight: DeskSight | None, car_id: str, context: EventContext, *, reported_by: str
) -> Change[dict[str, Any]]:
    """The car was not sold at the desk: who has it then. Raises `CarUnknown`."""
    sight = _known(sight, car_id)
    car = sight.car
    if sight.sale is None:
        return unchanged(_wire(car, car.state, None))
    change = Change(car, answer=_wire(car, "available", None))
    change.end(DESK_SALES, car_id)
    change.set(car, state="available")
    change.say(
        replace(context, market=car.market),
        DeskSaleUndone(car_id, "dealer", reported_by),
        CarStateChanged(car_id, "available"),
    )
    return change


def _known(sight: DeskSight | None, car_id: str) -> DeskSight:
    if sight is None:
        raise CarUnknown(f"There is no car {car_id} in our stock.")
    return sight


def _refuse_ordered(order: Order | None, hold: Hold | None) -> None:
    if order is None:
        return
    if order.state == "payment_pending":
        until = "soon" if hold is None else f"at {rfc3339(hold.expires_at)}"
        why = (
            "A shopper is paying for this car just now. Do not hand it over: unless it is paid, the"
            f" order ends by itself {until}."
        )
    elif order.state == "return_requested":
        why = "This car is on its way back from its buyer: report its receipt first."
    elif order.state == "refunded":
        why = (
            "This car was handed over to its buyer, and their deposit has gone back since. If they"
            " have given you the car back, report its receipt first; else it is with them."
        )
    elif order.handed_over_at is not None:
        why = "This car was sold online and handed over to its buyer."
    else:
        why = (
            "This car was ordered online. Do not hand it over: the order must first be cancelled"
            " by its shopper, or its deposit refunded."
        )
    raise CarOrdered(
        f"{why} The order is {order.order_id}.",
        order_id=order.order_id,
        order_state=order.state,
    )


def _lost_hold(change: Change[Any], sight: DeskSight, now: datetime, *, confirm: bool) -> bool:
    """Whether a shopper loses their hold of the car by this; one whose time is over just ends.

    Raises `CarHeld`.
    """
    hold = sight.hold
    if hold is None:
        return False
    overdue = hold.expires_at <= now
    if not overdue and not confirm:
        until = rfc3339(hold.expires_at)
        raise CarHeld(
            f"A shopper holds this car until {until}; it was promised to them. Wait until then, or"
            " send this again with ?confirm=true and a new Idempotency-Key: the hold ends, and the"
            " shopper is told that the car was sold in the showroom.",
            held_until=until,
        )
    end(change, sight.car, hold, sight.last, "expired" if overdue else "sold_at_desk", now)
    return not overdue


def _wire(car: Car, state: str, sold_at: datetime | None) -> dict[str, Any]:
    """What is told about the car (`contracts.checkout.DeskSale`)."""
    return {
        "car_id": car.car_id,
        "state": state,
        "sold_at": None if sold_at is None else rfc3339(sold_at),
        "in_feed": car.listed,
    }


class Desk:
    """Use cases of a dealer's desk."""

    def __init__(self, changes: Changes, signals: Signals, clock: Clock) -> None:
        self._changes = changes
        self._signals = signals
        self._clock = clock

    async def sell(
        self,
        car_id: str,
        claim: Claim,
        context: EventContext,
        *,
        reported_by: str,
        confirm: bool,
    ) -> StoredAnswer | Replay:
        """Take a car off sale; raises what the rule `sell` raises.

        And `KeyReused` instead of the answer of a sale that stands no longer.
        """

        def decide(seen: Seen[DeskSight]) -> Change[Any]:
            sight, now = seen.sight, self._clock.now()
            begun = judged(seen.key, claim, now)
            if not isinstance(begun, Replay):
                return sell(
                    *(sight, begun, car_id, claim, context, now),
                    reported_by=reported_by,
                    confirm=confirm,
                )
            if begun.answer.status == 200 and (sight is None or sight.sale is None):
                raise KeyReused(_OVER)
            return unchanged(begun)

        try:
            told: Told | Replay = await self._changes.rounds(
                "desk_sale", DeskLook(car_id, claim.key), decide
            )
        except (CarHeld, CarOrdered) as error:
            self._signals.desk_sale(car_id, "held" if isinstance(error, CarHeld) else "ordered")
            raise
        if isinstance(told, Replay):
            return told
        if told.result is not None:
            self._signals.desk_sale(car_id, told.result)
        return told.stored

    async def take_back(
        self, car_id: str, context: EventContext, *, reported_by: str
    ) -> dict[str, Any]:
        """Correct a mistake; taking back twice is fine. Raises what the rule raises."""
        taken_back = False

        def decide(sight: DeskSight | None) -> Change[dict[str, Any]]:
            nonlocal taken_back
            decided = take_back(sight, car_id, context, reported_by=reported_by)
            taken_back = decided.car is not None
            return decided

        wire = await self._changes.settled("desk_sale", DeskLook(car_id), decide)
        if taken_back:
            self._signals.desk_sale(car_id, "taken_back")
        return wire
