"""Refunds and disputes that a provider tells of, as pure rules: several, in parts, in any order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from app.checkout.change import Change
from app.checkout.looks import OrderSight
from app.checkout.models import CARS, ORDERS, PAYMENTS
from app.checkout.movements import Told, move_money, paid_back
from app.checkout.providers.protocol import MoneyMove, MoneyMoved, ProviderPayment
from app.checkout.settlement import Terms
from app.checkout.settlement import apply as apply_payment
from app.contracts.checkout import OrderState
from app.contracts.events import OrderConfirmed, OrderDisputed
from app.kernel.facts import Fact
from tests.builders.sights import NOW, ORDER, a_sight

DEPOSIT = ORDER.deposit


def _sight(
    state: OrderState = "confirmed", payment: str = "captured", *, message: str | None = None
) -> OrderSight:
    """An order that was paid, or waits for its payment."""
    waits = state in ("payment_pending", "declined")
    return a_sight(
        order={"state": state, "message": message, "confirmed_at": None if waits else NOW},
        payment={"state": payment, "accepted_at": None if waits else NOW},
        hold={"state": "active" if waits else "ordered"},
        car={"state": "held" if waits else "reserved"},
    )


def _after(sight: OrderSight, change: Change[Any]) -> OrderSight:
    """What is seen once a change was written."""
    values = {table: each.values for (table, _), each in change.sets.items()}
    return replace(
        sight,
        order=sight.order._replace(**values.get(ORDERS.name, {})),
        payment=sight.payment._replace(**values.get(PAYMENTS.name, {})),
        car=sight.car._replace(**values.get(CARS.name, {})),
    )


def _told(sight: OrderSight, *moves: MoneyMoved) -> tuple[OrderSight, list[Told]]:
    """What is seen after some messages, and what each of them meant."""
    meant: list[Told] = []
    for move in moves:
        change: Change[Any] = Change(sight.car, answer=None)
        meant.append(move_money(change, sight, move, NOW))
        sight = _after(sight, change)
    return sight, meant


def _is(sight: OrderSight) -> tuple[str, str, str, int]:
    payment = sight.payment
    return sight.order.state, sight.car.state, payment.state, payment.refunded_amount or 0


def _move(move: MoneyMove, amount: int, move_id: str = "", **values: Any) -> MoneyMoved:
    return MoneyMoved("pi_1", "ord_1", move, amount, move_id=move_id, **values)


def _total(amount: int, *, asked: bool = False) -> MoneyMoved:
    return _move("refunded", amount, asked=asked)


def _refund(move_id: str, amount: int, move: MoneyMove = "refunded") -> MoneyMoved:
    return _move(move, amount, move_id)


def _dispute(move_id: str, move: MoneyMove, amount: int = DEPOSIT, **values: Any) -> MoneyMoved:
    return _move(move, amount, move_id, **values)


STANDS = ("confirmed", "reserved", "captured")
DISPUTED = ("disputed", "reserved", "captured")
OVER = ("refunded", "available", "refunded")


@pytest.mark.parametrize("first", ["inquiry_closed", "dispute_won", "dispute_refunded"])
def test_a_dispute_after_one_that_was_decided_opens_again_and_can_be_lost(
    first: MoneyMove,
) -> None:
    begun: MoneyMove = "inquiry" if first == "inquiry_closed" else "disputed"
    amount = 100_000 if first == "dispute_refunded" else DEPOSIT
    earlier = _dispute("dp_1", begun, amount), _dispute("dp_1", first, amount)
    opened, meant = _told(_sight(), *earlier, _dispute("dp_2", "disputed"))
    lost, _ = _told(opened, _dispute("dp_2", "disputed"), _dispute("dp_2", "dispute_lost"))

    assert (_is(opened)[:3], meant[-1]) == (DISPUTED, "disputed")
    assert _is(lost)[:3] == OVER
    assert lost.payment.dispute == "lost"


def test_an_inquiry_is_told_and_moves_nothing_until_it_becomes_a_dispute() -> None:
    asked, told = _told(_sight(), _dispute("dp_1", "inquiry"), _dispute("dp_1", "inquiry"))
    closed, over = _told(asked, _dispute("dp_1", "inquiry_closed"))
    escalated, _ = _told(asked, _dispute("dp_1", "disputed"))

    assert (_is(asked), told) == ((*STANDS, 0), ["inquiry", "nothing"])
    assert (_is(closed), over) == ((*STANDS, 0), ["nothing"])
    assert _is(escalated) == (*DISPUTED, 0)


def test_while_one_of_two_disputes_is_open_the_car_is_kept() -> None:
    both = _dispute("dp_1", "disputed", 200_000), _dispute("dp_2", "disputed", 300_000)
    one, _ = _told(_sight(), *both, _dispute("dp_1", "dispute_lost", 200_000))
    won, _ = _told(one, _dispute("dp_2", "dispute_won", 300_000))
    lost, _ = _told(one, _dispute("dp_2", "dispute_lost", 300_000))

    assert _is(one) == (*DISPUTED, 200_000)
    assert _is(won) == (*STANDS, 200_000)
    assert _is(lost) == (*OVER, DEPOSIT)


def test_a_dispute_over_a_part_that_is_lost_leaves_the_order_standing() -> None:
    part = 100_000
    opened, _ = _told(_sight(), _dispute("dp_1", "disputed", part))
    lost, meant = _told(opened, _dispute("dp_1", "dispute_lost", part))
    rest, _ = _told(lost, _refund("re_1", DEPOSIT - part))

    assert _is(opened) == (*DISPUTED, 0)
    assert (_is(lost), meant) == ((*STANDS, part), ["dispute_lost"])
    assert _is(rest) == (*OVER, DEPOSIT)


@pytest.mark.parametrize(
    "unknown", [{"amount": 0}, {"amount": 47_000, "currency": "EUR"}], ids=["amount", "currency"]
)
def test_a_dispute_that_cannot_be_compared_is_about_all(unknown: dict[str, Any]) -> None:
    lost, _ = _told(_sight(), _dispute("dp_1", "dispute_lost", **unknown))

    assert _is(lost) == (*OVER, DEPOSIT)


def test_a_dispute_that_a_refund_ended_is_that_refund() -> None:
    opened, _ = _told(_sight(), _dispute("dp_1", "disputed"))
    alone, _ = _told(opened, _dispute("dp_1", "dispute_refunded"))
    after, _ = _told(opened, _total(DEPOSIT), _dispute("dp_1", "dispute_refunded"))
    part = _dispute("dp_1", "dispute_refunded", 100_000)
    partly, _ = _told(opened, part, _refund("re_1", 100_000))

    assert _is(alone) == _is(after) == (*OVER, DEPOSIT)
    assert _is(partly) == (*STANDS, 100_000)


@pytest.mark.parametrize(
    "moves",
    [
        [_refund("re_1", 200_000), _refund("re_2", 300_000)],
        [_refund("re_1", 200_000), _refund("re_2", 300_000), _total(200_000), _total(DEPOSIT)],
        [_total(DEPOSIT), _refund("re_1", 200_000)],
        [_refund("re_1", 200_000, "refund_pending"), _refund("re_1", 200_000), _total(DEPOSIT)],
    ],
    ids=["refunds", "refunds and totals", "one refund untold", "pending first"],
)
def test_refunds_add_up_and_no_total_counts_twice(moves: Sequence[MoneyMoved]) -> None:
    for order in itertools.permutations(moves):
        sight, meant = _told(_sight(), *order, *order)

        assert _is(sight) == (*OVER, DEPOSIT)
        assert meant.count("refunded") == 1


@pytest.mark.parametrize(
    "moves",
    [
        [_refund("re_1", 200_000), _total(200_000), _total(200_000)],
        [_refund("re_1", 200_000), _refund("re_2", 300_000, "refund_pending"), _total(DEPOSIT)],
        [_refund("re_1", DEPOSIT, "refund_failed"), _refund("re_2", 200_000)],
    ],
    ids=["total", "one pending", "one failed"],
)
def test_a_part_leaves_the_order_standing(moves: Sequence[MoneyMoved]) -> None:
    for order in itertools.permutations(moves):
        if order.index(moves[-1]) < order.index(moves[-2]) and moves[-1] == _total(DEPOSIT):
            continue  # a sum does not say what of it is pending: the refund's own word comes first
        sight, _ = _told(_sight(), *order, *order)

        assert _is(sight) == (*STANDS, 200_000)


def test_a_refund_counts_when_its_money_has_moved() -> None:
    pending, noted = _told(_sight(), _refund("re_1", DEPOSIT, "refund_pending"))
    failed, told = _told(pending, _refund("re_1", DEPOSIT, "refund_failed"))
    late, _ = _told(failed, _refund("re_1", DEPOSIT), _total(DEPOSIT))
    moved, _ = _told(pending, _refund("re_1", DEPOSIT))

    assert (_is(pending), noted) == ((*STANDS, 0), ["nothing"])
    assert (_is(failed), told) == ((*STANDS, 0), ["refund_failed"])
    assert _is(late) == (*STANDS, 0)
    assert _is(moved) == (*OVER, DEPOSIT)


@pytest.mark.parametrize("state", ["refund_pending", "refunded"])
def test_a_refund_that_fails_after_it_was_told_is_owed_until_it_has_gone_back(
    state: MoneyMove,
) -> None:
    ended, _ = _told(_sight(), _total(DEPOSIT), _refund("re_1", DEPOSIT, state))
    failed, meant = _told(ended, _refund("re_1", DEPOSIT, "refund_failed"))
    change: Change[Any] = Change(failed.car, answer=None)
    paid_back(change, failed)
    again = _after(failed, change)
    second, _ = _told(again, _refund("re_2", DEPOSIT), _refund("re_2", DEPOSIT, "refund_failed"))

    assert (_is(failed), meant) == (
        ("refunded", "available", "refund_refused", 0),
        ["refund_failed"],
    )
    assert _is(again) == (*OVER, DEPOSIT)
    assert _is(second)[2:] == ("refund_refused", 0)


def test_one_of_two_refunds_that_fails_leaves_its_part_owed() -> None:
    halves = _refund("re_1", 200_000), _refund("re_2", 300_000)
    failed, _ = _told(_sight(), *halves, _refund("re_2", 300_000, "refund_failed"))
    third, _ = _told(failed, _refund("re_3", 300_000))

    assert _is(failed)[2:] == ("refund_refused", 200_000)
    assert _is(third)[2:] == ("refunded", DEPOSIT)


def test_what_a_question_finds_is_of_now_and_counts_no_failure() -> None:
    failed, _ = _told(_sight(), _refund("re_1", DEPOSIT), _refund("re_1", DEPOSIT, "refund_failed"))
    stale, _ = _told(failed, _total(DEPOSIT))
    asked, _ = _told(failed, _total(DEPOSIT, asked=True))

    assert _is(stale)[2:] == ("refund_refused", 0)
    assert _is(asked)[2:] == ("refunded", DEPOSIT)


def test_a_dispute_that_was_found_by_asking_gets_its_name_when_it_is_told() -> None:
    found, _ = _told(_sight(), _move("disputed", 0))
    won, _ = _told(found, _dispute("dp_1", "dispute_won"))
    again, meant = _told(won, _move("disputed", 0))

    assert _is(found) == (*DISPUTED, 0)
    assert (_is(again), meant) == ((*STANDS, 0), ["nothing"])


def test_what_a_version_before_kept_still_counts() -> None:
    sight = _sight()
    partly = replace(sight, payment=sight.payment._replace(refunded_amount=200_000))
    won = replace(sight, payment=sight.payment._replace(dispute="won"))

    assert _is(_told(partly, _total(200_000))[0]) == (*STANDS, 200_000)
    assert _is(_told(partly, _total(DEPOSIT))[0]) == (*OVER, DEPOSIT)
    assert _is(_told(won, _dispute("dp_2", "disputed"))[0]) == (*DISPUTED, 0)


def test_a_withdrawn_order_whose_dispute_is_lost_is_owed_no_more() -> None:
    owed, part = _sight("cancelled", "refund_due"), _dispute("dp_1", "dispute_lost", 100_000)
    partly, _ = _told(owed, part)
    whole, _ = _told(partly, _refund("re_1", DEPOSIT - 100_000))

    assert _is(partly)[2:] == ("refund_due", 100_000)
    assert (whole.order.state, _is(whole)[2:]) == ("refunded", ("refunded", DEPOSIT))


SUCCESS = ProviderPayment("pi_1", "ord_1", "succeeded", DEPOSIT, "SEK", "", NOW)


def _succeeded(sight: OrderSight) -> OrderSight:
    change: Change[Any] = Change(sight.car, answer=None)
    apply_payment(change, sight, SUCCESS, NOW, Terms(3600, 600))
    return _after(sight, change)


def test_a_dispute_that_overtakes_its_success_keeps_the_car_all_the_same() -> None:
    waiting, _ = _told(_sight("payment_pending", "pending"), _dispute("dp_1", "disputed"))
    paid = _succeeded(waiting)
    won, _ = _told(paid, _dispute("dp_1", "dispute_won"))

    assert _is(paid) == (*DISPUTED, 0)
    assert _is(won) == (*STANDS, 0)


def _confirmed_or_disputed(said: Sequence[Fact]) -> list[str]:
    """In which order it was said: the ledger follows a dispute of a confirmed order only."""
    return [
        fact.TYPE.removeprefix("checkout.")
        for fact in said
        if isinstance(fact, (OrderConfirmed, OrderDisputed))
    ]


@pytest.mark.parametrize("car", ["held", "reserved"], ids=["bought", "paid in vain"])
def test_each_dispute_is_said_once_in_whatever_order_it_is_told_asked_about_and_paid(
    car: str,
) -> None:
    opened, found = _dispute("dp_1", "disputed", 200_000), _move("disputed", 0)
    messages: list[MoneyMoved | ProviderPayment] = [SUCCESS, opened, opened, found]
    for told in itertools.permutations(messages):
        sight = _sight("payment_pending", "pending")
        sight = replace(sight, car=sight.car._replace(state=car))
        said: list[Fact] = []
        meant: list[object] = []
        for message in told:
            change: Change[Any] = Change(sight.car, answer=None)
            if isinstance(message, MoneyMoved):
                meant.append(move_money(change, sight, message, NOW))
            else:
                apply_payment(change, sight, message, NOW, Terms(3600, 600))
            said += [fact for fact, _ in change.facts]
            sight = _after(sight, change)
        bought = ["order.confirmed"] if car == "held" else []
        assert _confirmed_or_disputed(said) == [*bought, "order.disputed"], told
        assert meant.count("disputed") == 1, told


def test_an_order_that_is_confirmed_after_all_says_nothing_of_a_declined_card() -> None:
    paid = _succeeded(_sight("declined", "declined", message="declined"))

    assert (paid.order.state, paid.order.message) == ("confirmed", None)
