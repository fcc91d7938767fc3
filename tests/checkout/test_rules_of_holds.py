"""Placing, losing, giving back and ending a hold, in whatever state it is seen: rules alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from app.checkout.change import Change, Put, Room, Set
from app.checkout.errors import (
    CarIsYours,
    CarNotAvailable,
    CarResting,
    CarUnknown,
    HoldUnknown,
    PaymentUnderWay,
    StockCrowded,
    TooManyHolds,
)
from app.checkout.holds import (
    HoldCommand,
    Lost,
    Placed,
    Terms,
    expire,
    lose,
    place,
    release,
)
from app.checkout.idempotency import StoredAnswer
from app.checkout.looks import CarSight
from app.checkout.rows import Key
from app.contracts.events import CarStateChanged, HoldRefused, HoldReleased
from app.kernel.facts import EventContext
from tests.builders.sights import (
    CAR,
    CLAIM,
    FREE_CAR,
    HOLD,
    NOW,
    ORDER,
    OVERDUE,
    UNFINISHED,
    a_car_sight,
    a_hold_sight,
    facts_of,
    states_after,
)

TERMS = Terms(hold_ttl_seconds=900, max_holds_per_session=3, max_holds_per_address=12)
PLACED = ["hold.placed", "car.state_changed"]
MINE, THEIRS = "ses_1", "ses_2"


def a_wish(**changes: Any) -> HoldCommand:
    values: dict[str, Any] = {
        "car_id": "car_1",
        "claim": CLAIM,
        "session_id": MINE,
        "address_hash": "here",
        "synthetic": False,
        "known": True,
        "context": EventContext(session_id=MINE),
        "headers": {},
        "refusal": lambda error: StoredAnswer(error.status, "application/json", b"refused"),
    }
    return HoldCommand(**values | changes)


def placed(sight: CarSight | None, key: Key | None = None, **wish: Any) -> Change[Placed | Lost]:
    return place(sight, key, a_wish(**wish), NOW, TERMS)


def lost(sight: CarSight, **wish: Any) -> str:
    """The state of the car for who does not get it; nothing is written."""
    change = placed(sight, **wish)
    assert isinstance(change.answer, Lost)
    assert (change.car, change.key, change.facts) == (None, None, [])
    return change.answer.state


def told(change: Change[Any]) -> tuple[int, dict[str, Any]]:
    return change.answer.stored.status, orjson.loads(change.answer.stored.body)


def test_a_free_car_is_held_with_its_price_its_time_and_its_key() -> None:
    change = placed(a_car_sight())

    (new,) = change.puts
    assert (states_after(change), facts_of(change)) == ({"cars": "held"}, PLACED)
    assert {name: new.values[name] for name in ("car_id", "state", "session_id", "price")} == {
        "car_id": "car_1",
        "state": "active",
        "session_id": MINE,
        "price": CAR.price,
    }
    assert new.values["expires_at"] == NOW + timedelta(minutes=15)
    assert new.values["context"]["market"] == "SE"
    assert change.car == FREE_CAR
    status, wire = told(change)
    assert (status, wire["hold_id"]) == (201, new.values["hold_id"])
    assert isinstance(change.key, Put)
    assert change.key.values["body"] == change.answer.stored.body  # type: ignore[union-attr]


def test_the_key_of_a_request_that_never_finished_is_used_again() -> None:
    change = placed(a_car_sight(), UNFINISHED)

    assert isinstance(change.key, Set)
    assert (change.key.by, change.key.key, change.key.values["status"]) == ("key", CLAIM.key, 201)


def test_an_overdue_hold_ends_and_its_car_is_taken_in_one_change() -> None:
    overdue = HOLD._replace(session_id=THEIRS, **OVERDUE)
    change = placed(a_car_sight(car=CAR, hold=overdue))

    assert states_after(change) == {"holds": "expired", "cars": "held"}
    assert facts_of(change) == ["hold.released", "car.state_changed", *PLACED]
    cars = [fact.state for fact, _ in change.facts if isinstance(fact, CarStateChanged)]
    assert cars == ["available", "held"]


def test_an_unpaid_order_ends_with_the_overdue_hold_that_gives_way() -> None:
    overdue = HOLD._replace(session_id=THEIRS, **OVERDUE)
    change = placed(a_car_sight(car=CAR, hold=overdue, order=ORDER))

    assert states_after(change) == {"orders": "expired", "holds": "expired", "cars": "held"}
    assert facts_of(change) == ["order.ended", "hold.released", "car.state_changed", *PLACED]


def test_one_s_own_hold_is_shown_again_and_nothing_happens_to_the_car() -> None:
    change = placed(a_car_sight(car=CAR, hold=HOLD))

    status, wire = told(change)
    assert (status, wire["hold_id"]) == (200, "hld_1")
    assert (change.car, change.sets, change.puts, change.facts) == (None, {}, [], [])
    assert isinstance(change.key, Put)


@pytest.mark.parametrize(
    ("owner", "asks"), [(THEIRS, MINE), ("", ""), ("", MINE), (MINE, "")], ids=str
)
def test_a_hold_is_nobody_else_s_and_without_a_session_nobody_s(owner: str, asks: str) -> None:
    sight = a_car_sight(car=CAR, hold=HOLD._replace(session_id=owner))
    assert lost(sight, session_id=asks) == "held"


@pytest.mark.parametrize("state", ["held", "reserved", "sold"])
def test_a_car_that_somebody_has_is_lost(state: str) -> None:
    assert lost(a_car_sight(car=CAR._replace(state=state))) == state


@pytest.mark.parametrize("elsewhere", ["held", "reserved", "sold"])
def test_a_car_that_somebody_has_by_another_stock_id_is_lost(elsewhere: str) -> None:
    assert lost(a_car_sight(elsewhere=elsewhere)) == elsewhere


def test_a_car_that_left_its_feed_is_lost() -> None:
    assert lost(a_car_sight(car=FREE_CAR._replace(listed=False))) == "available"


def test_one_s_own_hold_that_is_over_is_not_shown_as_if_it_ran() -> None:
    left_its_feed = CAR._replace(listed=False)
    assert lost(a_car_sight(car=left_its_feed, hold=HOLD._replace(**OVERDUE))) == "held"


@pytest.mark.parametrize("seen", [{"of_session": 3}, {"of_address": 12}])
def test_who_holds_as_many_as_one_may_gets_no_more(seen: dict[str, int]) -> None:
    with pytest.raises(TooManyHolds):
        placed(a_car_sight(**seen))


@pytest.mark.parametrize("seen", [{"of_session": 2}, {"of_address": 11}])
def test_the_last_hold_one_may_have_is_counted_again_where_it_is_written(
    seen: dict[str, int],
) -> None:
    assert placed(a_car_sight(**seen)).room == Room(MINE, "here", 3, 12)


def test_a_limit_does_not_answer_for_a_car_that_is_gone_or_one_s_own() -> None:
    assert lost(a_car_sight(car=CAR._replace(state="sold"), of_session=3)) == "sold"
    assert told(placed(a_car_sight(car=CAR, hold=HOLD, of_session=3)))[0] == 200


def test_a_rehearsal_is_many_shoppers_at_one_address() -> None:
    rehearsal = FREE_CAR._replace(rehearsal=True)
    change = placed(a_car_sight(car=rehearsal, of_address=99), synthetic=True)
    assert (told(change)[0], change.room) == (201, None)


@pytest.mark.parametrize(("rehearsal", "synthetic"), [(True, False), (False, True)])
def test_rehearsals_and_people_do_not_know_each_other_s_cars(
    *, rehearsal: bool, synthetic: bool
) -> None:
    with pytest.raises(CarUnknown):
        placed(a_car_sight(car=FREE_CAR._replace(rehearsal=rehearsal)), synthetic=synthetic)


def test_a_car_that_was_never_heard_of_is_unknown() -> None:
    with pytest.raises(CarUnknown, match="car_1"):
        placed(None)


@pytest.mark.parametrize("key", [None, UNFINISHED])
def test_a_lost_race_is_one_fact_under_its_key(key: Key | None) -> None:
    loser = Lost(CAR, "held")
    change = lose(
        loser,
        key,
        a_wish(),
        NOW,
        error=CarNotAvailable("Gone."),
        kept=CarNotAvailable("Gone."),
        bought=False,
    )

    assert (change.answer.status, change.car, facts_of(change)) == (409, None, ["hold.refused"])
    assert change.key is not None
    assert change.key.values["body"] == b"refused"
    assert change.facts[0][1].market == "SE"


def test_a_session_loses_one_race_for_a_car_however_often_it_tries() -> None:
    def attempt(**wish: Any) -> Any:
        gone = CarNotAvailable("Gone.")
        change = lose(
            Lost(CAR, "held"), None, a_wish(**wish), NOW, error=gone, kept=gone, bought=False
        )
        (fact,) = [fact for fact, _ in change.facts if isinstance(fact, HoldRefused)]
        return fact.attempt_id

    tries = [attempt(), attempt(), attempt(car_id="car_2"), attempt(session_id=THEIRS)]
    strangers = [attempt(session_id=""), attempt(session_id="")]

    assert tries[0] == tries[1]
    assert len({*tries, *strangers}) == 5


def test_who_has_bought_the_car_lost_no_race() -> None:
    loser = Lost(CAR._replace(state="reserved"), "reserved")
    change = lose(
        loser,
        None,
        a_wish(),
        NOW,
        error=CarIsYours("Yours."),
        kept=CarIsYours("Yours."),
        bought=True,
    )
    assert (change.answer.body, change.facts) == (b"refused", [])


@pytest.mark.parametrize(
    ("order", "ended", "as_"),
    [
        (None, None, "abandoned"),
        ({}, "cancelled", "abandoned"),
        ({"state": "declined"}, None, "declined"),
        ({"state": "cancelled"}, None, "abandoned"),
    ],
    ids=["no order", "waits for payment", "declined", "cancelled"],
)
def test_a_hold_that_is_given_back_frees_its_car_and_ends_its_unpaid_order(
    order: dict[str, Any] | None, ended: str | None, as_: str
) -> None:
    change = release(a_hold_sight(order=order), MINE, NOW)

    assert change.answer is not None
    assert change.answer.ended_as == as_
    assert states_after(change).get("orders") == ended
    assert states_after(change) | {"orders": ""} == {
        "orders": "",
        "holds": "released",
        "cars": "available",
    }
    said = ["order.ended"] if ended else []
    assert facts_of(change) == [*said, "hold.released", "car.state_changed"]
    (fact,) = [fact for fact, _ in change.facts if isinstance(fact, HoldReleased)]
    assert (fact.reason, fact.order_id) == ("released", "" if order is None else "ord_1")


@pytest.mark.parametrize("state", ["released", "expired", "sold_at_desk"])
def test_giving_back_what_is_over_is_fine(state: str) -> None:
    change = release(a_hold_sight(hold={"state": state}), MINE, NOW)
    assert (change.answer, change.car, change.facts) == (None, None, [])


def test_a_hold_that_became_an_order_is_not_given_back_by_itself() -> None:
    with pytest.raises(PaymentUnderWay):
        release(a_hold_sight(hold={"state": "ordered"}), MINE, NOW)


def test_only_its_session_gives_a_hold_back_and_one_without_whoever_knows_it() -> None:
    for sight in (None, a_hold_sight()):
        with pytest.raises(HoldUnknown):
            release(sight, THEIRS, NOW)
    assert release(a_hold_sight(hold={"session_id": ""}), THEIRS, NOW).answer is not None


@pytest.mark.parametrize(
    "sight",
    [None, a_hold_sight(), a_hold_sight(hold={"state": "released", **OVERDUE})],
    ids=["none", "extended meanwhile", "given back meanwhile"],
)
def test_only_a_hold_whose_time_is_over_expires(sight: Any) -> None:
    assert expire(sight, NOW).answer is None
    assert expire(sight, NOW).car is None


@pytest.mark.parametrize(("order", "as_"), [(None, "abandoned"), ({}, "expired")])
def test_an_unpaid_order_expires_with_its_hold(order: dict[str, Any] | None, as_: str) -> None:
    change = expire(a_hold_sight(hold=OVERDUE, order=order), NOW)

    assert change.answer is not None
    assert change.answer.ended_as == as_
    assert states_after(change).get("orders") == (None if order is None else "expired")
    assert (states_after(change)["holds"], states_after(change)["cars"]) == ("expired", "available")


def resting(minutes: float, *, who: str = "ses_1 here", **wish: Any) -> bool:
    """Whether the car rests from who asks so long after `who` let it go."""
    let_go: dict[str, Any] = {"let_go_by": who, "let_go_at": NOW - timedelta(minutes=minutes)}
    try:
        placed(a_car_sight(car=FREE_CAR._replace(**let_go)), **wish)
    except CarResting as error:
        return bool(error.extensions == {"retry_after_seconds": round(90 - minutes * 60)})
    return False


def test_who_let_a_car_go_waits_a_tenth_of_a_hold_s_time() -> None:
    asked = {minutes: resting(minutes) for minutes in (0, 1, 1.5, 15)}

    assert asked == {0: True, 1: True, 1.5: False, 15: False}


@pytest.mark.parametrize(
    ("wish", "waits"),
    [
        ({"session_id": THEIRS}, False),
        ({"session_id": THEIRS, "known": False}, True),
        ({"session_id": THEIRS, "known": False, "address_hash": "elsewhere"}, False),
        ({"session_id": "", "known": False}, True),
        ({"session_id": "", "known": False, "address_hash": "elsewhere"}, False),
        ({"address_hash": "elsewhere"}, True),
        ({"synthetic": True}, False),
    ],
)
def test_a_shopper_is_one_by_the_session_and_a_stranger_by_the_network(
    wish: dict[str, Any], waits: bool
) -> None:
    if wish.get("synthetic"):
        let_go: dict[str, Any] = {"let_go_by": "ses_1 here", "let_go_at": NOW}
        assert states_after(
            placed(a_car_sight(car=FREE_CAR._replace(rehearsal=True, **let_go)), **wish)
        )
    else:
        assert resting(0, **wish) is waits


def test_whose_time_ran_out_holds_the_car_anew_once_and_then_leaves_it_to_others() -> None:
    overdue = HOLD._replace(**OVERDUE)
    assert states_after(placed(a_car_sight(car=CAR, hold=overdue)))["cars"] == "held"
    again = CAR._replace(let_go_by=overdue.holder)
    with pytest.raises(CarResting):
        placed(a_car_sight(car=again, hold=overdue))


@pytest.mark.parametrize(
    ("change", "rests"),
    [
        (expire(a_hold_sight(hold=OVERDUE), NOW), True),
        (release(a_hold_sight(), MINE, NOW), False),  # a change of mind
        (release(a_hold_sight(hold={"expires_at": NOW + timedelta(minutes=5)}), MINE, NOW), True),
    ],
    ids=["ran out", "given back early", "given back late"],
)
def test_who_kept_a_car_from_others_is_remembered(change: Change[Any], rests: bool) -> None:
    (car,) = [each.values for each in change.sets.values() if each.table.name == "cars"]

    assert car == {
        "state": "available",
        **({"let_go_by": "ses_1 ", "let_go_at": None} if rests else {}),
    }


def test_a_car_rests_from_who_let_it_go_twice_in_a_row() -> None:
    seen = a_hold_sight(hold=OVERDUE)
    before = {"ses_1 ": NOW, "ses_2 ": None}
    for who, rests_since in before.items():
        change = expire(replace(seen, car=seen.car._replace(let_go_by=who)), NOW)
        (car,) = [each.values for each in change.sets.values() if each.table.name == "cars"]
        assert (car["let_go_by"], car["let_go_at"]) == ("ses_1 ", rests_since)


def test_when_much_is_held_strangers_leave_the_rest_to_shoppers() -> None:
    def held(**wish: Any) -> bool:
        change = place(a_car_sight(), None, a_wish(**wish), NOW, TERMS, crowded=True)
        return bool(change.puts)

    assert held() is True
    with pytest.raises(StockCrowded) as refused:
        held(known=False)
    assert refused.value.extensions == {"retry_after_seconds": 60}
    rehearsal = FREE_CAR._replace(rehearsal=True)
    wish = a_wish(synthetic=True, known=False)
    assert place(a_car_sight(car=rehearsal), None, wish, NOW, TERMS, crowded=True).puts
