"""Refunds and disputes at the provider after an order was confirmed, and payments it closes."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from tests.builders.services import DEALER
from tests.builders.shop import DEPOSIT, LOST, PAYS, Shop

HALF = DEPOSIT // 2


def _payment(order: dict[str, Any]) -> str:
    return str(order["payment_url"]).rsplit("/", 1)[-1]


async def _confirmed(shop: Shop, car_id: str = "car_1", card: str = PAYS) -> dict[str, Any]:
    order = await shop.ordered(car_id)
    await shop.pay(order, card)
    return order


async def _happens(
    shop: Shop, order: dict[str, Any], what: str, body: Any = None, *, told: bool = True
) -> None:
    """Something happens at the provider; `told` says whether its message reaches us."""
    answer = await shop.sandbox.internal.post(
        f"/internal/sandbox/payments/{_payment(order)}/{what}", json=body
    )
    assert answer.status_code == 200, answer.text
    if told:
        await shop.sandbox.job("webhooks")()
    else:
        async with shop.sandbox.service.database.transaction() as connection:
            await connection.exec_driver_sql("UPDATE deliveries SET due_at = NULL")


def _moves(shop: Shop, move: str) -> float:
    return shop.metric(
        "checkout_money_moved_total", service="checkout", provider="sandbox", move=move
    )


async def _told_since_confirmed(shop: Shop) -> list[str]:
    types = await shop.fact_types()
    last = len(types) - types[::-1].index("order.confirmed")
    return types[last + 1 :]


async def test_a_deposit_refunded_by_hand_ends_the_order_and_frees_the_car(shop: Shop) -> None:
    order = await _confirmed(shop)

    await _happens(shop, order, "refunds", {})
    await _happens(shop, order, "refunds", {})

    read = await shop.read(order)
    assert (read["state"], read["message"]) == ("refunded", "Your deposit went back in full.")
    assert await shop.car() == "available"
    assert await _told_since_confirmed(shop) == [
        "order.cancelled",
        "car.state_changed",
        "order.refunded",
    ]
    assert _moves(shop, "refunded") == 1
    assert await shop.broken_invariants() == {}
    assert (await shop.hold()).status_code == 201


async def test_a_part_that_goes_back_is_told_and_the_order_stands(shop: Shop) -> None:
    order = await _confirmed(shop)

    await _happens(shop, order, "refunds", {"amount": HALF})
    partly = ((await shop.read(order))["state"], await shop.car())
    await _happens(shop, order, "refunds", {"amount": DEPOSIT - HALF})

    assert partly == ("confirmed", "reserved")
    assert ((await shop.read(order))["state"], await shop.car()) == ("refunded", "available")
    assert (_moves(shop, "partly_refunded"), _moves(shop, "refunded")) == (1, 1)
    assert await shop.broken_invariants() == {}


async def test_the_rest_of_a_partly_refunded_deposit_goes_back_with_a_withdrawal(
    shop: Shop,
) -> None:
    order = await _confirmed(shop)
    await _happens(shop, order, "refunds", {"amount": HALF})

    await shop.act(order, "cancellation")
    await shop.checkout.job("refunds")()

    assert (await shop.read(order))["state"] == "refunded"
    assert (await shop.fact_types()).count("order.refunded") == 1


async def test_a_refund_after_handover_leaves_the_car_with_its_owner(shop: Shop) -> None:
    order = await _confirmed(shop)
    await shop.act(order, "handover")

    await _happens(shop, order, "refunds", {})

    assert ((await shop.read(order))["state"], await shop.car()) == ("refunded", "sold")
    assert "order.cancelled" not in await shop.fact_types()
    returned = await shop.act(order, "return", {"reason": "defect"})
    assert returned.json()["detail"].startswith("Your deposit has gone back already")
    sold = await shop.checkout.public.post(
        "/api/checkout/v1/cars/car_1/desk-sale",
        headers={**DEALER, "idempotency-key": shop.key()},
    )
    assert sold.json()["detail"].startswith("This car was handed over to its buyer, and their")
    assert await shop.broken_invariants() == {}


@pytest.mark.parametrize("told", [True, False])
async def test_our_own_refund_is_told_once_whoever_tells_of_it(shop: Shop, told: bool) -> None:
    order = await _confirmed(shop)
    await shop.act(order, "cancellation")
    if told:  # the provider's message overtakes our own call's answer
        await _happens(shop, order, "refunds", {})
    await shop.checkout.job("refunds")()
    await _happens(shop, order, "refunds", {})

    assert (await shop.read(order))["state"] == "refunded"
    assert (await shop.fact_types()).count("order.refunded") == 1
    assert _moves(shop, "refunded") == 0
    assert await shop.broken_invariants() == {}


async def test_a_disputed_order_keeps_its_car_until_the_dispute_is_won(shop: Shop) -> None:
    order = await _confirmed(shop)

    await _happens(shop, order, "disputes", {"status": "open"})
    disputed = ((await shop.read(order))["state"], await shop.car())
    handed = await shop.act(order, "handover")
    broken = await shop.broken_invariants()
    await _happens(shop, order, "disputes", {"status": "won"})

    assert (disputed, handed.status_code, broken) == (("disputed", "reserved"), 409, {})
    assert ((await shop.read(order))["state"], await shop.car()) == ("confirmed", "reserved")
    assert (_moves(shop, "disputed"), _moves(shop, "dispute_won")) == (1, 1)


@pytest.mark.parametrize("opened", [True, False])
async def test_a_lost_dispute_is_a_refund(shop: Shop, opened: bool) -> None:
    order = await _confirmed(shop)

    if opened:
        await _happens(shop, order, "disputes", {"status": "open"})
    await _happens(shop, order, "disputes", {"status": "lost"})
    await _happens(shop, order, "disputes", {"status": "open"})

    assert ((await shop.read(order))["state"], await shop.car()) == ("refunded", "available")
    assert (await shop.fact_types()).count("order.refunded") == 1
    assert await shop.broken_invariants() == {}


async def test_an_order_is_disputed_again_over_a_part_and_then_over_all(shop: Shop) -> None:
    order = await _confirmed(shop)

    await _happens(shop, order, "disputes", {"status": "open", "amount": HALF})
    await _happens(shop, order, "disputes", {"status": "lost"})
    partly = ((await shop.read(order))["state"], await shop.car())
    await _happens(shop, order, "disputes", {"status": "open", "amount": DEPOSIT - HALF})
    disputed = ((await shop.read(order))["state"], await shop.car())
    handed = await shop.act(order, "handover")
    await _happens(shop, order, "disputes", {"status": "lost"})

    assert (partly, disputed) == (("confirmed", "reserved"), ("disputed", "reserved"))
    assert handed.status_code == 409
    assert ((await shop.read(order))["state"], await shop.car()) == ("refunded", "available")
    assert await _told_since_confirmed(shop) == [
        "order.disputed",
        "order.dispute_decided",
        "order.partly_refunded",
        "order.disputed",
        "order.dispute_decided",
        "order.cancelled",
        "car.state_changed",
        "order.refunded",
    ]
    assert await shop.broken_invariants() == {}


async def test_a_disputed_order_is_not_lapsed_or_forgotten(shop: Shop) -> None:
    order = await _confirmed(shop)
    await _happens(shop, order, "disputes", {"status": "open"})

    shop.clock.advance(hours=200)
    await shop.checkout.job("lapse")()
    erased = await shop.act(order, "erasure")

    assert (erased.status_code, (await shop.read(order))["state"]) == (409, "disputed")


@pytest.mark.parametrize(
    ("what", "body", "state"),
    [
        ("refunds", {}, "refunded"),
        ("refunds", {"amount": HALF}, "confirmed"),
        ("disputes", {"status": "open"}, "disputed"),
    ],
)
async def test_what_no_message_told_is_found_by_asking(
    shop: Shop, what: str, body: dict[str, Any], state: str
) -> None:
    order = await _confirmed(shop)
    await _happens(shop, order, what, body, told=False)

    for _ in range(3):
        await shop.checkout.job("reconcile-kept")()

    assert (await shop.read(order))["state"] == state
    assert sum(_moves(shop, move) for move in ("refunded", "partly_refunded", "disputed")) == 1


async def test_asking_goes_round_all_kept_payments(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.checkout.reconciliation.GLANCE", 1)
    orders = [await _confirmed(shop, f"car_{number}") for number in (1, 2, 3)]
    orders.sort(key=lambda order: order["order_id"])
    await _happens(shop, orders[2], "refunds", {}, told=False)

    states = []
    for _ in range(3):
        await shop.checkout.job("reconcile-kept")()
        states.append((await shop.read(orders[2]))["state"])

    assert states == ["confirmed", "confirmed", "refunded"]


async def test_a_refund_that_overtakes_its_success_ends_the_order(shop: Shop) -> None:
    order = await _confirmed(shop, card=LOST)
    success = (await shop.sent_webhooks())[-1]

    await _happens(shop, order, "refunds", {})
    await shop.webhook(success)

    assert (await shop.read(order))["state"] == "refunded"
    assert "order.confirmed" not in await shop.fact_types()
    assert await shop.broken_invariants() == {}


async def test_a_payment_that_the_provider_closes_ends_its_order_and_leaves_the_hold(
    shop: Shop,
) -> None:
    hold = await shop.held()
    order = (await shop.order(hold["hold_id"])).json()

    await _happens(shop, order, "cancellation")
    again = await shop.order(hold["hold_id"])
    await shop.pay(again.json(), PAYS)

    read = await shop.read(order)
    assert (read["state"], read["payment_url"]) == ("cancelled", None)
    assert read["message"] == "The payment was closed before it was made. Nothing was charged."
    assert (await shop.read(again.json()))["state"] == "confirmed"
    assert await shop.broken_invariants() == {}


@pytest.mark.parametrize(
    ("type_", "payment", "result"),
    [
        ("payment.succeeded", {"state": "succeeded"}, "unknown_order"),
        ("payment.refunded", {"state": "succeeded"}, "unknown_order"),
        ("payment.disputed", {"state": "succeeded", "dispute": "open"}, "unknown_order"),
        ("payment.declined", {"state": "declined"}, "ignored"),
        ("payment.canceled", {"state": "canceled"}, "ignored"),
    ],
)
async def test_money_without_an_order_has_a_result_of_its_own(
    shop: Shop, type_: str, payment: dict[str, Any], result: str
) -> None:
    await _confirmed(shop)
    event = orjson.loads((await shop.sent_webhooks())[-1])
    event |= {"event_id": "wh_of_nobody", "type": type_}
    event["payment"] |= {**payment, "reference": "ord_01nobodyknows", "payment_id": "pay_nobody"}

    answer = await shop.webhook(orjson.dumps(event))

    assert (answer.status_code, answer.json()) == (200, {"result": result})
    counted = shop.metric(
        "checkout_webhooks_total", service="checkout", provider="sandbox", result=result
    )
    assert counted == 1


async def test_a_message_of_ours_is_too_large_and_says_so(sqlite_shop: Shop) -> None:
    await _confirmed(sqlite_shop)
    event = orjson.loads((await sqlite_shop.sent_webhooks())[-1])

    answer: httpx.Response = await sqlite_shop.webhook(orjson.dumps(event) + b" " * 70_000)

    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")
