"""A car that comes back, and a buyer who is forgotten, however they are seen: rules alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import orjson
import pytest

from app.checkout.change import Change
from app.checkout.errors import OrderOpen, OrderUnknown, TransitionRefused
from app.checkout.idempotency import ERASED_REQUEST, StoredAnswer
from app.checkout.looks import RECEIVED, OrderSight
from app.checkout.privacy import erase
from app.checkout.returns import Received, Terms, receive, request
from app.checkout.rows import Key
from app.contracts.checkout import OrderState, ReturnReason
from app.contracts.events import CustomerErased
from tests.builders.sights import (
    CLAIM,
    NOW,
    TOKEN,
    TOKENS,
    UNFINISHED,
    a_sight,
    facts_of,
    states_after,
)

DAYS_14 = timedelta(days=14)
TERMS = Terms(return_seconds=14 * 86_400, pick_up_seconds=72 * 3600)


def driven(state: OrderState = "confirmed", payment: str = "captured", **order: Any) -> OrderSight:
    """An order whose car its buyer has."""
    about = {"token_hash": TOKENS.hash_of("ord_1"), "handed_over_at": NOW - timedelta(days=2)}
    return a_sight(
        order={"state": state, "confirmed_at": NOW, **about, **order},
        payment={"state": payment},
        hold={"state": "ordered"},
        car={"state": "sold"},
    )


def asked(
    sight: OrderSight | None, key: Key | None = None, *, token: str = TOKEN, reason: str = "other"
) -> Change[StoredAnswer]:
    return request(sight, key, token, CLAIM, NOW, reason=reason, terms=TERMS)


def received(
    sight: OrderSight | None, key: Key | None = None, *, list_again: bool = False
) -> Change[Received]:
    return receive(sight, key, CLAIM, NOW, list_again=list_again, terms=TERMS)


@pytest.mark.parametrize("key", [None, UNFINISHED])
@pytest.mark.parametrize("reason", get_args(ReturnReason))
def test_who_gives_a_car_back_keeps_it_and_we_the_money_until_its_dealer_has_it(
    reason: str, key: Key | None
) -> None:
    change = asked(driven(), key, reason=reason)

    assert states_after(change) == {"orders": "return_requested"}
    assert facts_of(change) == ["order.return_requested"]
    assert orjson.loads(change.answer.body)["state"] == "return_requested"
    assert change.key is not None
    assert change.key.values["status"] == 200


@pytest.mark.parametrize(
    ("ago", "may"), [(DAYS_14, True), (DAYS_14 + timedelta(microseconds=1), False)]
)
def test_a_car_comes_back_until_the_last_moment_of_its_14_days(
    ago: timedelta, *, may: bool
) -> None:
    sight = driven(handed_over_at=NOW - ago)
    if may:
        assert asked(sight).answer.status == 200
        return
    with pytest.raises(TransitionRefused, match="14 days"):
        asked(sight)


@pytest.mark.parametrize(
    ("sight", "why"),
    [
        (driven(handed_over_at=None), "within 14 days after handover"),
        (driven("payment_pending"), "payment_pending"),
        (driven("return_requested"), "return_requested"),
        (driven("returned", message=RECEIVED), "returned"),
        (driven("disputed"), "Your bank"),
        (driven("refunded"), "take it to its dealer"),
        (driven("refunded", message=RECEIVED), "An order that is refunded"),
        (driven("refunded", handed_over_at=None), "An order that is refunded"),
    ],
)
def test_what_cannot_be_returned_says_what_to_do(sight: OrderSight, why: str) -> None:
    with pytest.raises(TransitionRefused, match=why):
        asked(sight)


@pytest.mark.parametrize(("sight", "token"), [(None, TOKEN), (driven(), "another")])
def test_only_whoever_has_its_token_returns_a_car(sight: OrderSight | None, token: str) -> None:
    with pytest.raises(OrderUnknown):
        asked(sight, token=token)


RETURNING = driven("return_requested", message="return_changed_mind")


@pytest.mark.parametrize("key", [None, UNFINISHED])
def test_a_car_that_its_dealer_has_again_is_owed_for_and_waits_for_its_feed(
    key: Key | None,
) -> None:
    change = received(RETURNING, key)

    assert states_after(change) == {"orders": "returned", "payments": "refund_due"}
    assert facts_of(change) == ["order.returned"]
    assert (change.answer.state, change.answer.reason) == ("returned", "changed_mind")
    assert change.key is not None
    assert change.key.values["body"] == change.answer.stored.body


def test_a_received_car_is_on_offer_at_once_when_its_dealer_says_so() -> None:
    change = received(RETURNING, list_again=True)

    assert states_after(change)["cars"] == "available"
    assert facts_of(change) == ["order.returned", "car.state_changed"]


def test_money_that_has_gone_back_already_is_not_owed_again() -> None:
    change = received(driven("refunded", "refunded", message="refunded"), list_again=True)

    assert states_after(change) == {"orders": "refunded", "cars": "available"}
    assert (change.answer.state, change.answer.reason) == ("refunded", "other")


@pytest.mark.parametrize(
    "sight",
    [
        driven(),
        driven("disputed"),
        driven("returned", message=RECEIVED),
        driven("refunded", message=RECEIVED),
        driven("refunded", handed_over_at=None),
        driven("cancelled", message="withdrawn", handed_over_at=None),
    ],
)
def test_only_a_car_that_comes_back_is_received_and_only_once(sight: OrderSight) -> None:
    with pytest.raises(TransitionRefused, match="return was asked for"):
        received(sight)


def test_no_car_is_received_of_an_order_that_there_is_not() -> None:
    with pytest.raises(OrderUnknown):
        received(None)


# --- forgotten --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sight",
    [
        driven(),
        driven("disputed"),
        driven("return_requested"),
        driven("refunded", handed_over_at=None),
        *(a_sight(order={"state": state}) for state in ("declined", "expired", "cancelled")),
    ],
    ids=lambda sight: sight.order.state,
)
def test_whose_order_it_was_is_forgotten_and_nothing_else_of_it(sight: OrderSight) -> None:
    change = erase(sight, NOW)

    assert [(end.table.name, end.key) for end in change.ends] == [("customers", "ord_1")]
    assert {name: entry.values for (name, _), entry in change.sets.items()} == {
        "orders": {"erased_at": NOW, "context": {"campaign": ""}},
        "holds": {"address_hash": "", "context": {"campaign": ""}},
        "idempotency": {"fingerprint": ERASED_REQUEST, "body": b""},
    }
    assert [fact for fact, _ in change.facts] == [CustomerErased("ord_1")]
    assert (states_after(change), change.puts) == ({}, [])


@pytest.mark.parametrize(("who", "forgotten"), [("ses_1 ", True), ("ses_2 there", False)])
def test_the_car_forgets_who_let_it_go_with_whose_order_it_was(who: str, forgotten: bool) -> None:
    seen = driven()
    car = seen.car._replace(let_go_by=who, let_go_at=NOW)
    change = erase(replace(seen, car=car), NOW)

    cars = [each.values for (name, _), each in change.sets.items() if name == "cars"]
    assert cars == [{"let_go_by": None}] * forgotten


@pytest.mark.parametrize(
    ("sight", "waits_for"),
    [
        (a_sight(), "payment"),
        (driven(handed_over_at=None), "handover"),
        (driven("disputed", handed_over_at=None), "handover"),
    ],
)
def test_an_open_order_needs_to_know_whose_it_is(sight: OrderSight, waits_for: str) -> None:
    with pytest.raises(OrderOpen) as refused:
        erase(sight, NOW)
    assert refused.value.extensions["waits_for"] == waits_for


def test_who_is_forgotten_already_is_not_forgotten_again() -> None:
    change = erase(driven(erased_at=NOW), NOW)
    assert (change.car, change.sets, change.ends) == (None, {}, [])
