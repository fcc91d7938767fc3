"""A car that its dealer sold in the showroom, in whoever's hands it is seen: rules alone."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from app.checkout.change import Change
from app.checkout.desk import Told, sell, take_back
from app.checkout.errors import CarHeld, CarOrdered, CarUnknown
from app.checkout.looks import DeskSight
from app.checkout.models import DESK_SALES
from app.checkout.rows import Key
from app.contracts.events import CarSoldAtDesk, CarStateChanged, HoldReleased
from app.kernel.facts import EventContext
from tests.builders.sights import (
    CAR,
    CLAIM,
    HOLD,
    NOW,
    ORDER,
    OVERDUE,
    SALE,
    UNFINISHED,
    a_desk_sight,
    facts_of,
    states_after,
)

BY_DEALER = EventContext(channel="api")
SOLD = ["car.sold_at_desk", "car.state_changed"]
FREED = ["hold.released", "car.state_changed"]
HELD = {"car": CAR, "hold": HOLD}


def sold(sight: DeskSight | None, key: Key | None = None, *, confirm: bool = False) -> Change[Told]:
    return sell(*(sight, key, "car_1", CLAIM, BY_DEALER, NOW), reported_by="umea", confirm=confirm)


def lost_a_shopper(change: Change[Any]) -> bool:
    (fact,) = [fact for fact, _ in change.facts if isinstance(fact, CarSoldAtDesk)]
    return fact.hold_ended


@pytest.mark.parametrize("confirm", [False, True])
@pytest.mark.parametrize("key", [None, UNFINISHED])
def test_a_free_car_goes_off_sale(key: Key | None, *, confirm: bool) -> None:
    change = sold(a_desk_sight(), key, confirm=confirm)

    assert (change.answer.result, states_after(change)) == ("sold", {"cars": "sold"})
    assert (facts_of(change), lost_a_shopper(change)) == (SOLD, False)
    (sale,) = change.puts
    assert (sale.table, sale.values["reported_by"], sale.values["sold_at"]) == (
        DESK_SALES,
        "umea",
        NOW,
    )
    assert change.key is not None
    assert change.key.values["body"] == change.answer.stored.body


def test_a_sale_that_is_told_twice_is_one_sale_and_keeps_its_moment() -> None:
    change = sold(a_desk_sight(car=CAR._replace(state="sold"), sale=SALE))

    assert (change.car, change.answer.result, change.puts, change.facts) == (None, None, [], [])
    wire = orjson.loads(change.answer.stored.body)
    assert (wire["state"], wire["sold_at"]) == ("sold", "2026-11-27T08:00:00.000Z")
    assert change.key is not None


def test_a_shopper_s_hold_is_a_promise_until_the_dealer_says_so_twice() -> None:
    with pytest.raises(CarHeld, match="confirm=true"):
        sold(a_desk_sight(**HELD))

    change = sold(a_desk_sight(**HELD), confirm=True)
    assert change.answer.result == "hold_ended"
    assert states_after(change) == {"holds": "sold_at_desk", "cars": "sold"}
    assert (facts_of(change), lost_a_shopper(change)) == ([*FREED, *SOLD], True)
    (released,) = [fact for fact, _ in change.facts if isinstance(fact, HoldReleased)]
    assert (released.reason, released.ended_as) == ("sold_at_desk", "sold_out")
    cars = [fact.state for fact, _ in change.facts if isinstance(fact, CarStateChanged)]
    assert cars == ["available", "sold"]


@pytest.mark.parametrize("confirm", [False, True])
def test_a_hold_whose_time_is_over_just_ends(*, confirm: bool) -> None:
    overdue = a_desk_sight(car=CAR, hold=HOLD._replace(**OVERDUE))
    change = sold(overdue, confirm=confirm)

    assert (change.answer.result, lost_a_shopper(change)) == ("sold", False)
    assert states_after(change) == {"holds": "expired", "cars": "sold"}


def test_a_declined_order_is_over_and_its_hold_counts_as_what_it_was() -> None:
    last = ORDER._replace(state="declined")
    change = sold(a_desk_sight(**HELD, last=last), confirm=True)

    (released,) = [fact for fact, _ in change.facts if isinstance(fact, HoldReleased)]
    assert (released.ended_as, released.order_id) == ("declined", "ord_1")
    assert "orders" not in states_after(change)


@pytest.mark.parametrize("confirm", [False, True])
@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({"state": "payment_pending"}, "is paying"),
        ({"state": "confirmed"}, "ordered online"),
        ({"state": "disputed"}, "ordered online"),
        ({"state": "confirmed", "handed_over_at": NOW}, "handed over to its buyer"),
        ({"state": "return_requested", "handed_over_at": NOW}, "report its receipt first"),
        ({"state": "refunded", "handed_over_at": NOW}, "deposit has gone back"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_order_is_never_ended_at_the_desk(
    order: dict[str, Any], why: str, *, confirm: bool
) -> None:
    seen = a_desk_sight(**HELD, in_force=ORDER._replace(**order))
    with pytest.raises(CarOrdered, match=why) as refused:
        sold(seen, confirm=confirm)
    assert refused.value.extensions["order_id"] == "ord_1"


@pytest.mark.parametrize("confirm", [False, True])
def test_a_car_that_somebody_has_by_another_stock_id_stays(*, confirm: bool) -> None:
    with pytest.raises(CarOrdered, match="another stock id"):
        sold(a_desk_sight(elsewhere="reserved"), confirm=confirm)


def test_a_car_that_left_its_feed_can_still_be_sold() -> None:
    change = sold(a_desk_sight(car=CAR._replace(state="available", listed=False)))
    assert orjson.loads(change.answer.stored.body)["in_feed"] is False


def test_a_car_that_came_back_and_waits_for_its_feed_can_be_sold_again() -> None:
    change = sold(a_desk_sight(car=CAR._replace(state="sold")))
    assert (change.answer.result, facts_of(change)) == ("sold", SOLD)


def test_nobody_sells_a_car_that_there_is_not() -> None:
    with pytest.raises(CarUnknown, match="car_1"):
        sold(None)
    with pytest.raises(CarUnknown, match="car_1"):
        take_back(None, "car_1", BY_DEALER, reported_by="umea")


def test_a_sale_that_was_a_mistake_is_taken_back() -> None:
    seen = a_desk_sight(car=CAR._replace(state="sold"), sale=SALE)
    change = take_back(seen, "car_1", BY_DEALER, reported_by="umea")

    assert change.answer["state"] == "available"
    assert states_after(change) == {"cars": "available"}
    assert [(end.table, end.key) for end in change.ends] == [(DESK_SALES, "car_1")]
    assert facts_of(change) == ["car.desk_sale_undone", "car.state_changed"]


@pytest.mark.parametrize("state", ["available", "held", "reserved", "sold"])
def test_taking_back_what_was_not_sold_says_who_has_the_car(state: str) -> None:
    seen = a_desk_sight(car=CAR._replace(state=state))
    change = take_back(seen, "car_1", BY_DEALER, reported_by="umea")
    assert (change.car, change.answer["state"], change.facts) == (None, state, [])
