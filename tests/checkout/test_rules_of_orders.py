"""Submitting, opening, collecting and withdrawing an order, however it is seen: rules alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest

from app.checkout.change import Change, Put, Set
from app.checkout.errors import HoldEnded, HoldUnknown, OrderUnknown, TransitionRefused
from app.checkout.idempotency import StoredAnswer
from app.checkout.looks import HoldSight, OrderSight, Seen
from app.checkout.orders import NewOrder, OrderCommand, hand_over, open_payment, submit
from app.checkout.providers.protocol import ProviderPayment
from app.checkout.rows import Key, Purchase
from app.checkout.withdrawals import cancel, lapse
from app.contracts.checkout import Customer
from app.kernel.facts import EventContext
from tests.builders.sights import (
    CLAIM,
    NOW,
    OVERDUE,
    TOKEN,
    TOKENS,
    UNFINISHED,
    a_hold_sight,
    a_sight,
    facts_of,
    states_after,
)

OWNED = {"token_hash": TOKENS.hash_of("ord_1")}
NEW = NewOrder("ord_2", TOKENS.hash_of("ord_2"), b"sealed", "index")
BEGUN = UNFINISHED._replace(resource_id="ord_1")
PICK_UP = 72 * 3600


def an_order(**changes: Any) -> OrderCommand:
    values: dict[str, Any] = {
        "hold_id": "hld_1",
        "customer": Customer(name="Åsa Öberg", email="asa@example.se", phone="+46701234567"),
        "provider": "sandbox",
        "advice_id": "adv_1",
        "labels": {"utm_source": "letter"},
        "channel_group": "email",
        "claim": CLAIM,
        "session_id": "ses_1",
        "context": EventContext(session_id="ses_1"),
        "language": "sv",
        "return_url": "https://shop.example/back",
        "cancel_url": "https://shop.example/away",
    }
    return OrderCommand(**values | changes)


def submitted(sight: HoldSight | None, key: Key | None = None, **wish: Any) -> Change[Purchase]:
    return submit(sight, key, an_order(**wish), NEW, NOW, most=20)


def rows(change: Change[Any]) -> list[str]:
    return [each.table.name for each in change.puts]


def bought(**changes: Any) -> OrderSight:
    """A paid order whose car waits for its buyer."""
    seen: dict[str, Any] = {
        "order": {"state": "confirmed", "confirmed_at": NOW, **OWNED},
        "payment": {"state": "captured"},
        "hold": {"state": "ordered"},
        "car": {"state": "reserved"},
    }
    told: dict[str, Any] = {name: {**seen[name], **changes.get(name, {})} for name in seen}
    return a_sight(**told)


# --- submitted --------------------------------------------------------------------------------


def test_a_held_car_is_ordered_at_the_price_that_was_promised() -> None:
    promised = {"price": 45_000_000, "deposit": 450_000}
    change = submitted(a_hold_sight(hold=promised))

    order, payment = change.answer.order, change.answer.payment
    assert (order.price, order.deposit, payment.amount) == (45_000_000, 450_000, 450_000)
    assert (order.state, payment.state, payment.payment_url) == ("payment_pending", "pending", None)
    assert rows(change) == ["orders", "customers", "payments"]
    assert (change.sets, facts_of(change)) == ({}, ["order.submitted"])
    assert isinstance(change.key, Put)
    assert (change.key.values["resource_id"], "status" in change.key.values) == ("ord_2", False)


def test_a_customer_is_stored_sealed_only() -> None:
    change = submitted(a_hold_sight())
    assert "Öberg" not in repr((change.puts, change.key, change.facts))


def test_an_order_submitted_again_replaces_the_one_that_waits() -> None:
    change = submitted(a_hold_sight(order={}))

    replaced = change.sets["orders", "ord_1"].values
    assert (replaced["state"], replaced["message"], replaced["ended_at"]) == (
        "cancelled",
        "replaced",
        NOW,
    )
    assert change.sets["payments", "ord_1"].values == {"state": "cancelled"}
    assert facts_of(change) == ["order.ended", "order.submitted"]
    assert change.answer.order.order_id == "ord_2"


@pytest.mark.parametrize("over", ["declined", "cancelled"])
def test_an_order_that_is_over_is_left_as_it_is(over: str) -> None:
    change = submitted(a_hold_sight(order={"state": over}))
    assert (change.sets, facts_of(change)) == ({}, ["order.submitted"])


@pytest.mark.parametrize("hold", [{}, OVERDUE], ids=["the hold runs", "its time is over"])
def test_a_retry_goes_on_with_the_order_that_its_key_names(hold: dict[str, Any]) -> None:
    change = submitted(a_hold_sight(hold=hold, order={}), BEGUN)

    assert change.answer.order.order_id == "ord_1"
    assert (change.puts, change.sets, change.facts) == ([], {}, [])
    assert isinstance(change.key, Set)
    assert change.key.values["resource_id"] == "ord_1"
    assert change.key.values["locked_until"] > NOW


@pytest.mark.parametrize(
    ("key", "order"),
    [
        (BEGUN._replace(resource_id="ord_0"), {}),
        (BEGUN, {"state": "declined"}),
        (UNFINISHED, {}),
    ],
    ids=["it was replaced", "it is over", "it was never written"],
)
def test_a_retry_whose_order_does_not_wait_any_more_orders_anew(
    key: Key, order: dict[str, Any]
) -> None:
    change = submitted(a_hold_sight(order=order), key)

    assert change.answer.order.order_id == "ord_2"
    assert isinstance(change.key, Set)
    assert change.key.values["resource_id"] == "ord_2"


@pytest.mark.parametrize(
    "hold",
    [OVERDUE, {"state": "released"}, {"state": "expired"}, {"state": "sold_at_desk"}],
    ids=lambda hold: hold.get("state", "overdue"),
)
def test_a_hold_that_is_over_is_not_ordered(hold: dict[str, Any]) -> None:
    with pytest.raises(HoldEnded):
        submitted(a_hold_sight(hold=hold))


def test_a_retry_whose_hold_was_swept_meanwhile_is_told_so() -> None:
    swept = a_hold_sight(hold={"state": "expired"}, order={"state": "expired"})
    with pytest.raises(HoldEnded):
        submitted(swept, BEGUN)


@pytest.mark.parametrize("sight", [None, a_hold_sight(hold={"session_id": "ses_2"})])
def test_nobody_orders_with_another_one_s_hold(sight: HoldSight | None) -> None:
    with pytest.raises(HoldUnknown):
        submitted(sight)


# --- opened -----------------------------------------------------------------------------------

PAYMENT = ProviderPayment(
    payment_id="pay_9",
    reference="ord_1",
    state="pending",
    amount=500_000,
    currency="SEK",
    payment_url="https://pay.example/pay_9",
    accepted_at=None,
)


def opened(sight: OrderSight | None, key: Key | None) -> Change[StoredAnswer]:
    seen = Seen(sight, key)
    return open_payment(seen, CLAIM, PAYMENT, NOW, tokens=TOKENS, pick_up_seconds=PICK_UP)


def test_the_answer_says_where_to_pay_and_its_key_keeps_it_without_the_token() -> None:
    change = opened(a_sight(), BEGUN)

    wire = orjson.loads(change.answer.body)
    assert (wire["payment_url"], wire["order_token"]) == (PAYMENT.payment_url, TOKEN)
    assert change.sets["payments", "ord_1"].values == {
        "payment_id": "pay_9",
        "payment_url": PAYMENT.payment_url,
    }
    assert isinstance(change.key, Set)
    kept = change.key.values
    assert (kept["status"], TOKEN.encode() in kept["body"]) == (201, False)
    assert TOKENS.shown(StoredAnswer(201, kept["media_type"], kept["body"])) == change.answer


def test_a_retry_that_was_faster_has_given_the_answer() -> None:
    first = opened(a_sight(), BEGUN)
    assert isinstance(first.key, Set)
    kept = {name: first.key.values[name] for name in ("status", "media_type", "body")}
    second = opened(a_sight(), BEGUN._replace(**kept))

    assert second.answer == first.answer
    assert (second.car, second.key, second.sets) == (None, None, {})


def test_a_key_that_is_forgotten_keeps_nobody_from_paying() -> None:
    change = opened(a_sight(), None)
    assert (change.answer.status, change.key) == (201, None)


def test_what_is_not_there_is_not_opened() -> None:
    with pytest.raises(OrderUnknown):
        opened(None, BEGUN)


# --- handed over ------------------------------------------------------------------------------


def handed_over(sight: OrderSight | None, key: Key | None = None) -> Change[StoredAnswer]:
    return hand_over(sight, key, CLAIM, NOW, reported_by="umea", pick_up_seconds=PICK_UP)


@pytest.mark.parametrize("key", [None, UNFINISHED])
def test_a_car_that_was_handed_over_is_sold(key: Key | None) -> None:
    change = handed_over(bought(), key)

    assert states_after(change) == {"cars": "sold"}
    assert facts_of(change) == ["car.handed_over", "car.state_changed"]
    assert orjson.loads(change.answer.body)["handed_over_at"] is not None
    assert change.key is not None
    assert change.key.values["body"] == change.answer.body


def test_a_car_is_handed_over_once() -> None:
    with pytest.raises(TransitionRefused, match="already"):
        handed_over(bought(order={"handed_over_at": NOW}))


@pytest.mark.parametrize("state", ["payment_pending", "disputed", "cancelled", "refunded"])
def test_nobody_gets_the_keys_without_a_confirmed_order(state: str) -> None:
    with pytest.raises(TransitionRefused, match="Keep the keys"):
        handed_over(bought(order={"state": state}))


def test_no_order_is_handed_over_that_there_is_not() -> None:
    with pytest.raises(OrderUnknown):
        handed_over(None)


# --- withdrawn, or not collected --------------------------------------------------------------


def cancelled(
    sight: OrderSight | None, key: Key | None = None, token: str = TOKEN
) -> Change[StoredAnswer]:
    return cancel(sight, key, token, CLAIM, NOW, pick_up_seconds=PICK_UP)


@pytest.mark.parametrize("key", [None, UNFINISHED])
def test_a_bought_car_is_free_again_when_its_buyer_withdraws_and_their_money_owed(
    key: Key | None,
) -> None:
    change = cancelled(bought(), key)

    assert states_after(change) == {
        "orders": "cancelled",
        "payments": "refund_due",
        "cars": "available",
    }
    assert facts_of(change) == ["order.cancelled", "car.state_changed"]
    wire = orjson.loads(change.answer.body)
    assert (wire["state"], wire["refund"]) == ("cancelled", "due")
    assert change.key is not None
    assert change.key.values["status"] == 200


def test_an_order_that_waits_is_withdrawn_and_its_hold_lives_on() -> None:
    change = cancelled(a_sight(order=OWNED))

    assert states_after(change) == {"orders": "cancelled", "payments": "cancelled"}
    assert facts_of(change) == ["order.ended"]


@pytest.mark.parametrize(
    "state", ["declined", "expired", "cancelled", "disputed", "return_requested", "refunded"]
)
def test_what_is_over_or_disputed_is_not_withdrawn(state: str) -> None:
    with pytest.raises(TransitionRefused, match=state):
        cancelled(bought(order={"state": state}))


def test_a_car_that_was_handed_over_is_returned_and_not_withdrawn() -> None:
    with pytest.raises(TransitionRefused, match="return it"):
        cancelled(bought(order={"handed_over_at": NOW}))


@pytest.mark.parametrize(("sight", "token"), [(None, TOKEN), (bought(), "another")])
def test_an_order_is_withdrawn_by_whoever_has_its_token(
    sight: OrderSight | None, token: str
) -> None:
    with pytest.raises(OrderUnknown):
        cancelled(sight, token=token)


def test_a_car_that_nobody_collected_is_free_again_and_its_money_owed() -> None:
    change = lapse(bought(), NOW)

    assert change.answer is True
    assert states_after(change) == {
        "orders": "cancelled",
        "payments": "refund_due",
        "cars": "available",
    }
    assert change.sets["orders", "ord_1"].values["message"] == "lapsed"
    assert facts_of(change) == ["order.cancelled", "car.state_changed"]


@pytest.mark.parametrize(
    "sight",
    [
        None,
        bought(order={"handed_over_at": NOW - timedelta(seconds=1)}),
        bought(order={"state": "cancelled"}),
        bought(order={"state": "disputed"}),
    ],
    ids=["none", "handed over meanwhile", "withdrawn meanwhile", "disputed meanwhile"],
)
def test_what_is_settled_otherwise_does_not_lapse(sight: OrderSight | None) -> None:
    change = lapse(sight, NOW)
    assert (change.answer, change.car, change.key) == (False, None, None)
