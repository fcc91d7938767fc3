"""Sold at the desk: a dealer sells one of the cars on offer in the showroom, and says so.

The car's row decides, as for everybody else: whoever has it first has it. A shopper's hold was
promised to them, so it is ended only when the dealer says so twice; an order is never ended here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from app.checkout import store_desk
from app.checkout.errors import CarHeld, CarOrdered, CarUnknown, KeyReused
from app.checkout.holds import end
from app.checkout.idempotency import Claim, Replay, answer, claim
from app.checkout.signals import Signals
from app.checkout.store import CarTaken, CheckoutTransaction, Record, Store, StoredAnswer
from app.contracts.events import CarSoldAtDesk, CarStateChanged, DeskSaleUndone
from app.kernel.clock import Clock, rfc3339
from app.kernel.facts import EventContext

_OVER = (
    "The sale that was reported with this Idempotency-Key stands no longer: it was taken back, or"
    " the feed has listed the car anew. Was the car sold again, send this with a fresh key."
)


class Desk:
    """Use cases of a dealer's desk."""

    def __init__(self, store: Store, signals: Signals, clock: Clock) -> None:
        self._store = store
        self._signals = signals
        self._clock = clock

    async def sell(
        self,
        car_id: str,
        claim_: Claim,
        context: EventContext,
        *,
        reported_by: str,
        confirm: bool,
    ) -> StoredAnswer | Replay:
        """Take a car off sale that was sold in the showroom; one sold there already stays so.

        `confirm` ends a shopper's hold. Raises `CarUnknown`, `CarHeld` without it, `CarOrdered`,
        and `KeyReused` instead of the answer of a sale that stands no longer.
        """
        try:
            return await self._sell(car_id, claim_, context, reported_by, confirm=confirm)
        except CarHeld:
            self._signals.desk_sale(car_id, "held")
            raise
        except CarTaken as error:
            self._signals.desk_sale(car_id, "ordered")
            raise CarOrdered(
                "A shopper holds or has bought this very car under another stock id. Do not hand"
                " it over; take it out of one of the two feeds."
            ) from error
        except CarOrdered:
            self._signals.desk_sale(car_id, "ordered")
            raise

    async def _sell(
        self, car_id: str, claim_: Claim, context: EventContext, reported_by: str, *, confirm: bool
    ) -> StoredAnswer | Replay:
        now = self._clock.now()
        async with self._store.begin() as transaction:
            begun = await claim(transaction, claim_, now)
            car = await _car(transaction, car_id)
            lost, sold_at = False, await store_desk.sold_at(transaction, car_id)
            if isinstance(begun, Replay):
                if begun.answer.status == 200 and sold_at is None:
                    raise KeyReused(_OVER)
                return begun
            if sold_at is None:
                _refuse_ordered(await store_desk.order_in_force(transaction, car_id), car)
                lost = await _lost_hold(transaction, car, now, confirm=confirm)
                await transaction.move_car(car_id, ["available", "sold"], "sold")
                await store_desk.add_sale(transaction, car_id, reported_by=reported_by, at=now)
                for fact in (
                    CarSoldAtDesk(car_id, car["dealer_id"], reported_by, hold_ended=lost),
                    CarStateChanged(car_id, "sold"),
                ):
                    await transaction.record(fact, replace(context, market=car["market"]))
            stored = answer(200, _wire(car, "sold", sold_at or now))
            await transaction.answer_key(claim_.key, stored)
        if sold_at is None:
            self._signals.desk_sale(car_id, "hold_ended" if lost else "sold")
        return stored

    async def take_back(
        self, car_id: str, context: EventContext, *, reported_by: str
    ) -> dict[str, Any]:
        """Correct a mistake: the car was not sold at the desk. Taking back twice is fine.

        Returns who has the car then; raises `CarUnknown`.
        """
        async with self._store.begin() as transaction:
            car = await _car(transaction, car_id)
            taken_back = await store_desk.end_sale(transaction, car_id)
            if taken_back:
                for fact in (
                    DeskSaleUndone(car_id, "dealer", reported_by),
                    CarStateChanged(car_id, "available"),
                ):
                    await transaction.record(fact, replace(context, market=car["market"]))
        if taken_back:
            self._signals.desk_sale(car_id, "taken_back")
        return _wire(car, "available" if taken_back else car["state"], None)


async def _car(transaction: CheckoutTransaction, car_id: str) -> Record:
    car = await transaction.lock_car(car_id)
    if car is None:
        raise CarUnknown(f"There is no car {car_id} in our stock.")
    return car


def _refuse_ordered(order: Record | None, car: Record) -> None:
    if order is None:
        return
    if order["state"] == "payment_pending":
        until = "soon" if car["held_until"] is None else f"at {rfc3339(car['held_until'])}"
        why = (
            "A shopper is paying for this car just now. Do not hand it over: unless it is paid, the"
            f" order ends by itself {until}."
        )
    elif order["state"] == "return_requested":
        why = "This car is on its way back from its buyer: report its receipt first."
    elif order["state"] == "refunded":
        why = (
            "This car was handed over to its buyer, and their deposit has gone back since. If they"
            " have given you the car back, report its receipt first; else it is with them."
        )
    elif order["handed_over_at"] is not None:
        why = "This car was sold online and handed over to its buyer."
    else:
        why = (
            "This car was ordered online. Do not hand it over: the order must first be cancelled"
            " by its shopper, or its deposit refunded."
        )
    raise CarOrdered(
        f"{why} The order is {order['order_id']}.",
        order_id=order["order_id"],
        order_state=order["state"],
    )


async def _lost_hold(
    transaction: CheckoutTransaction, car: Record, now: datetime, *, confirm: bool
) -> bool:
    """Whether a shopper loses their hold of the car by this; one whose time is over just ends.

    Raises `CarHeld`.
    """
    hold = None if car["held_by"] is None else await transaction.lock_hold(car["held_by"])
    if hold is None:
        return False
    overdue = hold["expires_at"] <= now
    if not overdue and not confirm:
        until = rfc3339(hold["expires_at"])
        raise CarHeld(
            f"A shopper holds this car until {until}; it was promised to them. Wait until then, or"
            " send this again with ?confirm=true and a new Idempotency-Key: the hold ends, and the"
            " shopper is told that the car was sold in the showroom.",
            held_until=until,
        )
    await end(transaction, hold, "expired" if overdue else "sold_at_desk", now)
    return not overdue


def _wire(car: Record, state: str, sold_at: datetime | None) -> dict[str, Any]:
    """What is told about the car (`contracts.checkout.DeskSale`)."""
    return {
        "car_id": car["car_id"],
        "state": state,
        "sold_at": None if sold_at is None else rfc3339(sold_at),
        "in_feed": bool(car["listed"]),
    }
