"""A provider's word about a payment, in whatever state it finds the order: rules alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.checkout.change import Change
from app.checkout.providers.protocol import PaymentState, ProviderPayment
from app.checkout.settlement import Terms, apply, wanted
from app.contracts.events import OrderConfirmed
from tests.builders.sights import NOW, a_sight, facts_of, states_after

TERMS = Terms(pick_up_seconds=72 * 3600, hold_extension_seconds=600)
FREE = {"hold": {"state": "expired"}, "car": {"state": "available"}}
"""The hold is over, and nobody else has the car."""


def a_word(state: PaymentState, **changes: Any) -> ProviderPayment:
    values: dict[str, Any] = {
        "payment_id": "pay_1",
        "reference": "ord_1",
        "state": state,
        "amount": 500_000,
        "currency": "SEK",
        "payment_url": "",
        "accepted_at": NOW - timedelta(seconds=4),
    }
    return ProviderPayment(**values | changes)


def applied(word: ProviderPayment, **seen: Any) -> tuple[str, dict[str, Any], list[str]]:
    """The effect, the new states by table, and the facts."""
    sight = a_sight(**seen)
    change: Change[None] = Change(sight.car, answer=None)
    effect = apply(change, sight, word, NOW, TERMS)
    return effect, states_after(change), facts_of(change)


IN_TIME = {"cars": "reserved", "holds": "ordered", "orders": "confirmed", "payments": "captured"}
BOUGHT = ["payment.attempted", "order.confirmed", "car.state_changed"]


@pytest.mark.parametrize("before", ["payment_pending", "declined"])
def test_money_in_time_buys_the_car(before: str) -> None:
    assert applied(a_word("succeeded"), order={"state": before}) == ("confirmed", IN_TIME, BOUGHT)


@pytest.mark.parametrize("before", ["expired", "cancelled", "declined"])
def test_late_money_buys_a_car_that_is_free_unless_its_shopper_withdrew(before: str) -> None:
    effect, states, facts = applied(a_word("succeeded"), order={"state": before}, **FREE)

    if before == "cancelled":
        assert (effect, states) == ("late_refunded", {"payments": "refund_due"})
    else:
        bought = {name: state for name, state in IN_TIME.items() if name != "holds"}
        assert (effect, states, facts) == ("late_confirmed", bought, BOUGHT)


@pytest.mark.parametrize(
    "seen",
    [
        {"car": {"state": "reserved"}, "hold": {"state": "expired"}},
        {"car": {"state": "available", "listed": False}, "hold": {"state": "expired"}},
        {**FREE, "taken_elsewhere": True},
        {"last_of_hold": "ord_2"},
        {"order": {"erased_at": NOW}},
    ],
    ids=["somebody's", "not on offer", "somebody's by another id", "ordered again", "erased"],
)
def test_money_that_buys_nothing_is_owed_back(seen: dict[str, Any]) -> None:
    order = {"state": "declined", **seen.pop("order", {})}
    effect, states, facts = applied(a_word("succeeded"), order=order, **seen)

    assert (effect, states) == ("late_refunded", {"payments": "refund_due"})
    assert facts == ["payment.attempted"]
    assert not wanted(a_sight(order=order, **seen), a_word("authorised"))


@pytest.mark.parametrize("wrong", [{"amount": 499_999}, {"amount": 500_001}, {"currency": "NOK"}])
def test_another_amount_ends_the_order_and_goes_back(wrong: dict[str, Any]) -> None:
    effect, states, facts = applied(a_word("succeeded", **wrong))

    assert (effect, states) == (
        "wrong_amount",
        {"orders": "cancelled", "payments": "refund_due"},
    )
    assert facts == ["payment.attempted", "order.ended"]


@pytest.mark.parametrize("known", ["captured", "refund_due", "refund_refused", "refunded"])
@pytest.mark.parametrize("said", ["succeeded", "declined", "action_required", "cancelled"])
def test_money_that_is_known_counts_once(known: str, said: PaymentState) -> None:
    seen = {"payment": {"state": known}, "order": {"state": "confirmed"}}
    assert applied(a_word(said), **seen) == ("none", {}, [])


def test_a_hold_is_extended_once_however_often_the_bank_asks() -> None:
    first = applied(a_word("action_required"))
    second = applied(a_word("action_required"), hold={"extended": True})

    assert (first[0], second[0]) == ("extended", "none")
    assert first[2] == second[2] == ["payment.attempted"]


@pytest.mark.parametrize(
    ("said", "effect", "state"),
    [("declined", "declined", "declined"), ("cancelled", "closed", "cancelled")],
)
def test_a_payment_that_came_to_nothing_leaves_the_hold_alone(
    said: PaymentState, effect: str, state: str
) -> None:
    found, states, facts = applied(a_word(said))

    assert (found, states) == (effect, {"orders": state, "payments": state})
    assert facts[-1] == "order.ended"


def test_what_is_confirmed_says_how_long_it_took() -> None:
    sight = a_sight()
    change: Change[None] = Change(sight.car, answer=None)
    apply(change, sight, a_word("succeeded"), NOW, TERMS)

    (confirmed,) = [fact for fact, _ in change.facts if isinstance(fact, OrderConfirmed)]
    assert (confirmed.order_seconds, confirmed.confirmation_seconds) == (180, 4)
    assert confirmed.late is False
