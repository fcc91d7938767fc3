"""What holds for every change of every rule, whatever is seen (property tests)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from app.checkout.change import Change, unchanged
from app.checkout.desk import sell, take_back
from app.checkout.errors import CarNotAvailable
from app.checkout.holds import Lost, expire, lose, place, release
from app.checkout.looks import RECEIVED, CarSight, DeskSight, HoldSight, OrderSight, Seen
from app.checkout.models import CARS, HOLDS, ORDERS, PAYMENTS
from app.checkout.movements import move_money, paid_back
from app.checkout.orders import hand_over, open_payment, submit
from app.checkout.privacy import erase
from app.checkout.providers.protocol import MoneyMove, MoneyMoved, PaymentState
from app.checkout.returns import receive, request
from app.checkout.settlement import apply
from app.checkout.states import LIVE
from app.checkout.withdrawals import cancel, lapse
from app.contracts.checkout import OrderState
from app.contracts.events import CarStateChanged
from app.kernel.errors import VitrineError
from app.kernel.facts import EventContext
from tests.builders.sights import (
    CAR,
    CLAIM,
    HOLD,
    NOW,
    ORDER,
    PAYMENT,
    SALE,
    TOKEN,
    TOKENS,
    UNFINISHED,
)
from tests.checkout import test_rules_of_holds as holds
from tests.checkout import test_rules_of_orders as orders
from tests.checkout import test_rules_of_returns as returns
from tests.checkout import test_settlement as settlement

MOMENTS = st.sampled_from([NOW - timedelta(days=15), NOW - timedelta(seconds=1), NOW])
HANDED = ("return_requested", "returned")
"""States that only an order gets whose car was handed over."""


@st.composite
def purchases(draw: Callable[..., Any]) -> OrderSight:
    """An order in any state, with car, hold and payment as they can be then."""
    state: OrderState = draw(st.sampled_from(get_args(OrderState)))
    handed_over = state in HANDED or (
        state in ("confirmed", "disputed", "refunded") and draw(st.booleans())
    )
    waits = state in ("payment_pending", "declined", "expired", "cancelled")
    held = state == "payment_pending" or (
        state in ("declined", "cancelled") and draw(st.booleans())
    )
    if held:
        car, hold = "held", "active"
    elif state in ("confirmed", "disputed", "return_requested") or handed_over:
        car, hold = ("sold" if handed_over else "reserved"), "ordered"
    else:
        car = draw(st.sampled_from(["available", "held", "reserved", "sold"]))
        hold = draw(st.sampled_from(["released", "expired", "sold_at_desk"]))
    known = ["pending", "declined", "cancelled", "refund_due", "refunded"]
    paid = ["captured", "refund_due", "refund_refused", "refunded"]
    return OrderSight(
        order=ORDER._replace(
            state=state,
            token_hash=TOKENS.hash_of("ord_1"),
            confirmed_at=None if waits else NOW,
            handed_over_at=draw(MOMENTS) if handed_over else None,
            message=draw(st.sampled_from([None, RECEIVED, "return_other", "refunded"])),
            erased_at=draw(st.sampled_from([None, NOW])),
        ),
        payment=PAYMENT._replace(
            state=draw(st.sampled_from(known if waits else paid)),
            refunded_amount=draw(st.sampled_from([None, 1000, 500_000])),
        ),
        hold=HOLD._replace(state=hold, expires_at=NOW + draw(LATER)),
        car=CAR._replace(state=car, listed=draw(st.booleans())),
        last_of_hold=draw(st.sampled_from(["ord_1", "ord_2"])),
        taken_elsewhere=draw(st.booleans()),
        event_known=False,
    )


LATER = st.sampled_from([timedelta(minutes=-1), timedelta(0), timedelta(minutes=10)])
KEYS = st.sampled_from([None, UNFINISHED, UNFINISHED._replace(resource_id="ord_1")])


@st.composite
def cars(draw: Callable[..., Any]) -> CarSight:
    """A car with who holds it."""
    state = draw(st.sampled_from(["available", "held", "reserved", "sold"]))
    held = state == "held"
    waits: OrderState = draw(st.sampled_from(["payment_pending", "declined", "cancelled"]))
    hold = HOLD._replace(session_id=draw(st.sampled_from(["ses_1", "ses_2", ""])))
    return CarSight(
        car=CAR._replace(state=state, listed=draw(st.booleans()), rehearsal=draw(st.booleans())),
        hold=hold._replace(expires_at=NOW + draw(LATER)) if held else None,
        order=ORDER._replace(state=waits) if held and draw(st.booleans()) else None,
        elsewhere=draw(st.sampled_from(["", "held", "sold"])) if state == "available" else "",
        of_session=draw(st.integers(0, 4)),
        of_address=draw(st.integers(0, 13)),
    )


def at_desk(seen: CarSight, *, sold_there: bool) -> DeskSight:
    sale = SALE if sold_there and seen.car.state == "sold" else None
    in_force = seen.order if seen.order and seen.order.state in LIVE else None
    return DeskSight(seen.car, seen.hold, seen.order, sale, in_force, seen.elsewhere)


def check(decide: Callable[[], Change[Any]]) -> None:
    """What every change keeps to; a refusal is none."""
    try:
        change = decide()
    except VitrineError:
        return
    if change.car is None:
        assert (change.puts, change.ends, change.event, change.room) == ([], [], None, None)
        assert change.key is not None or not (change.facts or change.sets)
        # Where an order is paid is nothing that happens to its car.
        assert {table for table, _ in change.sets} <= {PAYMENTS.name}
        noted = {name for entry in change.sets.values() for name in entry.values}
        assert noted <= {"payment_id", "payment_url"}
        return
    own = {key for table, key in change.sets if table == CARS.name}
    assert own <= {change.car.car_id}  # the guard is of one car
    moved = change.sets.get((CARS.name, change.car.car_id))
    state = None if moved is None else moved.values.get("state")
    said = [fact for fact, _ in change.facts if isinstance(fact, CarStateChanged)]
    assert {fact.car_id for fact in said} <= {change.car.car_id}
    if state is not None:
        assert [fact.state for fact in said][-1:] == [state]
    new = [each.values for each in change.puts if each.table in (HOLDS, ORDERS)]
    for live, table in (({"active"}, HOLDS), (LIVE, ORDERS)):
        rows = [each for each in change.puts if each.table is table]
        alive = [each for each in rows if each.values["state"] in live]
        alive += [
            entry  # type: ignore[misc]
            for (name, _), entry in change.sets.items()
            if name == table.name and entry.values.get("state") in live
        ]
        assert len(alive) <= 1
    assert {each["car_id"] for each in new} <= {change.car.car_id}


@given(cars(), KEYS, st.booleans(), st.booleans())
def test_of_a_car(seen: CarSight, key: Any, sold_there: bool, confirm: bool) -> None:
    wish = holds.a_wish(synthetic=confirm)
    lost, gone = Lost(seen.car, seen.car.state), CarNotAvailable("Gone.")
    desk = at_desk(seen, sold_there=sold_there)
    check(lambda: place(seen, key, wish, NOW, holds.TERMS))
    check(lambda: lose(lost, key, wish, NOW, error=gone, kept=gone, bought=confirm))
    by = {"reported_by": "umea"}
    check(lambda: sell(desk, key, "car_1", CLAIM, EventContext(), NOW, confirm=confirm, **by))
    check(lambda: take_back(desk, "car_1", EventContext(), **by))


@given(purchases(), KEYS, st.booleans())
def test_of_an_order(seen: OrderSight, key: Any, list_again: bool) -> None:
    promised = {"pick_up_seconds": orders.PICK_UP}
    held = HoldSight(seen.hold, seen.car, seen.order, seen.payment, 1)
    opened = Seen(seen, key)
    check(lambda: release(held, "ses_1", NOW))
    check(lambda: expire(held, NOW))
    check(lambda: submit(held, key, orders.an_order(), orders.NEW, NOW, most=20))
    check(lambda: open_payment(opened, CLAIM, orders.PAYMENT, NOW, tokens=TOKENS, **promised))
    check(lambda: hand_over(seen, key, CLAIM, NOW, reported_by="umea", **promised))
    check(lambda: cancel(seen, key, TOKEN, CLAIM, NOW, **promised))
    check(lambda: lapse(seen, NOW))
    about: dict[str, Any] = {"terms": returns.TERMS}
    check(lambda: request(seen, key, TOKEN, CLAIM, NOW, reason="other", **about))
    check(lambda: receive(seen, key, CLAIM, NOW, list_again=list_again, **about))
    check(lambda: erase(seen, NOW))


@given(
    purchases(),
    st.sampled_from(get_args(PaymentState)),
    st.sampled_from(get_args(MoneyMove)),
    st.sampled_from([1000, 500_000]),
)
def test_of_money(seen: OrderSight, said: PaymentState, move: MoneyMove, amount: int) -> None:
    def paid() -> Change[Any]:
        change: Change[Any] = Change(seen.car, answer=None)
        word = settlement.a_word(said, amount=amount)
        apply(change, seen, word, NOW, settlement.TERMS)
        return change

    def moved() -> Change[Any]:
        change: Change[Any] = Change(seen.car, answer=None)
        move_money(change, seen, MoneyMoved("pi_1", "ord_1", move, amount, move_id="re_1"), NOW)
        return change

    def back() -> Change[Any]:
        if seen.payment.state != "refund_due":
            return unchanged(None)
        change: Change[Any] = Change(seen.car, answer=None)
        paid_back(change, seen)
        return change

    for decide in (paid, moved, back):
        check(decide)
