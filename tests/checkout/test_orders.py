"""An order from submission to handover, return or refund."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.checkout.customers import CustomerIndex
from app.checkout.states import TRANSITIONS, diagram
from tests.builders.platform import KEYS
from tests.builders.shop import (
    ANOTHER,
    CHALLENGE,
    CUSTOMER,
    DECLINED,
    DEPOSIT,
    LOST,
    PAYS,
    PRICE,
    VAT,
    Shop,
    set_flag,
)

ROOT = Path(__file__).resolve().parents[2]


async def _held_order(shop: Shop, **changes: Any) -> Any:
    return await shop.order((await shop.held())["hold_id"], **changes)


async def test_an_order_says_everything_once(shop: Shop) -> None:
    hold = await shop.held()
    order = (await shop.order(hold["hold_id"])).json()

    assert order == {
        "order_id": order["order_id"],
        "hold_id": hold["hold_id"],
        "car_id": "car_1",
        "state": "payment_pending",
        "price": {"amount": PRICE, "currency": "SEK"},
        "vat": {"amount": VAT, "currency": "SEK"},
        "deposit": {"amount": DEPOSIT, "currency": "SEK"},
        "created_at": "2026-11-27T09:00:00.000Z",
        "confirmed_at": None,
        "handed_over_at": None,
        "expires_at": "2026-11-27T09:15:00.000Z",
        "ready_for_handover_at": None,
        "pick_up_by": None,
        "message": None,
        "refund": None,
        "payment_url": order["payment_url"],
        "order_token": order["order_token"],
    }
    assert order["payment_url"].startswith("http://test/sandbox/pay/pay_")
    later = await shop.read(order)
    assert later == {key: value for key, value in order.items() if key != "order_token"}


async def test_a_paid_order_is_confirmed_and_its_car_reserved(shop: Shop) -> None:
    order = await shop.ordered()
    shop.clock.advance(seconds=40)

    paid = await shop.pay(order, PAYS)

    assert (paid.status_code, paid.headers["location"]) == (303, "http://test/")
    confirmed = await shop.read(order)
    assert (confirmed["state"], confirmed["confirmed_at"], confirmed["pick_up_by"]) == (
        "confirmed",
        "2026-11-27T09:00:40.000Z",
        "2026-11-30T09:00:40.000Z",
    )
    assert (confirmed["payment_url"], confirmed["expires_at"]) == (None, None)
    assert await shop.car() == "reserved"
    assert await shop.fact_types() == [
        *("hold.placed", "car.state_changed", "order.submitted"),
        *("payment.attempted", "order.confirmed", "car.state_changed"),
    ]
    assert await shop.broken_invariants() == {}


async def test_the_confirmation_is_a_fact_with_money_and_times(shop: Shop) -> None:
    order = await shop.ordered()
    shop.clock.advance(seconds=40)
    await shop.pay(order, PAYS)

    (confirmed,) = [e for e in await shop.facts() if e.type == "checkout.order.confirmed"]
    ((index,),) = await shop.rows("SELECT email_index FROM customers")
    assert confirmed.data == {
        "order_id": order["order_id"],
        "hold_id": order["hold_id"],
        "car_id": "car_1",
        "model_id": "norrsken",
        "price": PRICE,
        "vat": VAT,
        "deposit": DEPOSIT,
        "currency": "SEK",
        "provider": "sandbox",
        "order_seconds": 40.0,
        "confirmation_seconds": 0.0,
        "advice_id": "",
        "late": False,
        "customer_id": CustomerIndex(KEYS["session_key"]).pseudonym(index),
    }
    assert (confirmed.context.market, confirmed.context.channel) == ("SE", "api")


async def test_an_order_submitted_again_replaces_the_earlier_one(shop: Shop) -> None:
    first = await shop.ordered()
    second = (await shop.order(first["hold_id"])).json()

    assert ((await shop.read(first))["state"], (await shop.read(second))["state"]) == (
        "cancelled",
        "payment_pending",
    )
    await shop.pay(second, PAYS)
    assert (await shop.read(second))["state"] == "confirmed"
    assert await shop.broken_invariants() == {}


async def test_both_orders_of_one_hold_paid_make_one_sale_and_one_refund(shop: Shop) -> None:
    first = await shop.ordered()
    second = (await shop.order(first["hold_id"])).json()

    await shop.pay(second, PAYS)
    await shop.pay(first, PAYS)
    assert await shop.checkout.job("refunds")() == 1

    assert ((await shop.read(first))["state"], (await shop.read(second))["state"]) == (
        "refunded",
        "confirmed",
    )
    assert await shop.broken_invariants() == {}


async def test_the_replaced_order_paid_first_goes_back_and_the_newer_one_still_counts(
    shop: Shop,
) -> None:
    first = await shop.ordered()
    second = (await shop.order(first["hold_id"])).json()

    await shop.pay(first, PAYS)
    await shop.pay(second, PAYS)
    await shop.checkout.job("refunds")()

    assert ((await shop.read(first))["state"], (await shop.read(second))["state"]) == (
        "refunded",
        "confirmed",
    )


async def test_a_declined_card_leaves_the_hold_for_another_try(shop: Shop) -> None:
    order = await shop.ordered()
    await shop.pay(order, DECLINED)
    declined = await shop.read(order)
    assert (declined["state"], declined["message"]) == (
        "declined",
        "Your bank declined the deposit. Nothing was charged.",
    )
    assert await shop.car() == "held"

    again = (await shop.order(order["hold_id"])).json()
    await shop.pay(again, PAYS)

    assert (await shop.read(again))["state"] == "confirmed"
    assert (await shop.read(order))["state"] == "declined"
    assert await shop.broken_invariants() == {}


async def test_a_3d_secure_step_extends_the_hold_once(shop: Shop) -> None:
    order = await shop.ordered()
    shop.clock.advance(minutes=14)
    await shop.pay(order, CHALLENGE)
    shop.clock.advance(minutes=9)

    assert await shop.checkout.job("sweep")() == 0
    assert (await shop.read(order))["expires_at"] == "2026-11-27T09:25:00.000Z"
    await shop.challenge(order, "approve")
    assert (await shop.read(order))["state"] == "confirmed"


async def test_an_unpaid_order_expires_with_its_hold(shop: Shop) -> None:
    order = await shop.ordered()
    shop.clock.advance(minutes=15)
    await shop.checkout.job("sweep")()

    assert (await shop.read(order))["state"] == "expired"
    assert await shop.car() == "available"
    assert (await shop.fact_types())[-3:] == [
        "order.ended",
        "hold.released",
        "car.state_changed",
    ]
    assert await shop.broken_invariants() == {}


async def test_an_ended_hold_cannot_be_ordered(shop: Shop) -> None:
    hold = await shop.held()
    shop.clock.advance(minutes=15)

    answer = await shop.order(hold["hold_id"])

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/hold-ended")


async def test_a_payment_after_the_hold_ended_buys_the_car_while_it_is_free(shop: Shop) -> None:
    order = await shop.ordered()
    shop.clock.advance(minutes=16)
    await shop.checkout.job("sweep")()

    await shop.pay(order, PAYS)

    assert (await shop.read(order))["state"] == "confirmed"
    assert shop.metric("checkout_late_payments_total", service="checkout", result="honoured") == 1
    (confirmed,) = [e for e in await shop.facts() if e.type == "checkout.order.confirmed"]
    assert confirmed.data["late"] is True
    assert await shop.broken_invariants() == {}


@pytest.mark.parametrize("gone", ["held by another", "withdrawn from its feed"])
async def test_a_payment_for_a_car_that_is_gone_goes_back(shop: Shop, gone: str) -> None:
    order = await shop.ordered()
    shop.clock.advance(minutes=16)
    await shop.checkout.job("sweep")()
    if gone == "held by another":
        await shop.held(**ANOTHER)
    else:
        await shop.withdraw_car("car_1")

    await shop.pay(order, PAYS)
    assert await shop.broken_invariants() == {}
    assert await shop.checkout.job("refunds")() == 1
    assert await shop.checkout.job("refunds")() == 0

    late = await shop.read(order)
    assert (late["state"], late["message"]) == (
        "refunded",
        "The payment came after the car was gone. Your deposit went back in full.",
    )
    assert shop.metric("checkout_late_payments_total", service="checkout", result="refunded") == 1
    assert (await shop.fact_types())[-1] == "order.refunded"
    assert await shop.broken_invariants() == {}


async def test_an_unpaid_order_is_cancelled_and_its_hold_lives_on(shop: Shop) -> None:
    order = await shop.ordered()

    cancelled = await shop.act(order, "cancellation")

    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert await shop.car() == "held"
    assert (await shop.order(order["hold_id"])).status_code == 201


async def test_a_confirmed_order_is_cancelled_with_a_refund(shop: Shop) -> None:
    order = await shop.confirmed()

    cancelled = await shop.act(order, "cancellation")
    await shop.checkout.job("refunds")()

    assert cancelled.json()["state"] == "cancelled"
    assert (await shop.read(order))["state"] == "refunded"
    assert (await shop.read(order))["confirmed_at"] is not None
    assert await shop.car() == "available"
    assert (await shop.fact_types())[-3:] == [
        "order.cancelled",
        "car.state_changed",
        "order.refunded",
    ]
    assert await shop.broken_invariants() == {}


async def test_a_car_is_handed_over_once_and_returned_within_14_days(shop: Shop) -> None:
    order = await shop.confirmed()

    handed = [(await shop.act(order, "handover")).status_code for _ in range(2)]
    assert handed == [200, 409]
    assert await shop.car() == "sold"
    assert (await shop.act(order, "cancellation")).status_code == 409

    shop.clock.advance(days=14)
    returned = await shop.act(order, "return", {"reason": "changed_mind"})
    await shop.checkout.job("refunds")()
    with_owner = (returned.json()["state"], (await shop.read(order))["state"], await shop.car())
    elsewhere = (await shop.hold()).status_code
    received = await shop.act(order, "return-receipt", {"list_again": True})
    await shop.checkout.job("refunds")()

    assert with_owner == ("return_requested", "return_requested", "sold")
    assert elsewhere == 409
    assert (received.status_code, received.json()["state"]) == (200, "returned")
    assert (await shop.read(order))["state"] == "refunded"
    assert await shop.car() == "available"
    assert await shop.broken_invariants() == {}


async def test_a_car_is_not_returned_before_handover_or_after_14_days(shop: Shop) -> None:
    order = await shop.confirmed()
    early = await shop.act(order, "return", {"reason": "defect"})
    await shop.act(order, "handover")
    shop.clock.advance(days=14, seconds=1)
    late = await shop.act(order, "return", {"reason": "defect"})

    assert [early.status_code, late.status_code] == [409, 409]
    assert (await shop.read(order))["state"] == "confirmed"


async def test_an_order_that_nobody_picks_up_lapses_with_a_refund(shop: Shop) -> None:
    kept, left = await shop.confirmed("car_1"), await shop.confirmed("car_2")
    await shop.act(kept, "handover")
    shop.clock.advance(hours=72)

    assert await shop.checkout.job("lapse")() == 1
    assert await shop.checkout.job("lapse")() == 0
    await shop.checkout.job("refunds")()

    lapsed = await shop.read(left)
    assert (lapsed["state"], lapsed["message"]) == (
        "refunded",
        "The car was not picked up in time. Your deposit went back in full.",
    )
    assert (await shop.read(kept))["state"] == "confirmed"
    assert await shop.broken_invariants() == {}


async def test_a_handover_and_a_withdrawal_at_once_have_one_winner(shop: Shop) -> None:
    order = await shop.confirmed()

    answers = await asyncio.gather(
        shop.act(order, "handover"), shop.act(order, "cancellation"), shop.act(order, "handover")
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert await shop.broken_invariants() == {}


async def test_an_order_is_only_for_who_has_its_token(shop: Shop) -> None:
    order, other = await shop.ordered("car_1"), await shop.ordered("car_2")
    address = f"/api/checkout/v1/orders/{order['order_id']}"

    def get(**headers: str) -> Any:
        return shop.checkout.public.get(address, headers=headers)

    answers = [
        await get(),
        await get(authorization="Basic abc"),
        await get(authorization="Bearer nonsense"),
        await get(authorization=f"Bearer {other['order_token']}"),
        await get(authorization=f"bearer {order['order_token']}"),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 404, 404, 200]
    assert (await shop.act({**order, "order_token": "no"}, "cancellation")).status_code == 404
    assert (await shop.act(order, "handover", key='"hand-over-1"')).status_code == 409


async def test_a_handover_needs_the_dealer_s_key(sqlite_shop: Shop) -> None:
    order = await sqlite_shop.confirmed()
    answer = await sqlite_shop.checkout.public.post(
        f"/api/checkout/v1/orders/{order['order_id']}/handover",
        headers={
            "authorization": f"Bearer {order['order_token']}",
            "idempotency-key": sqlite_shop.key(),
        },
    )

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "http://test@evil.example/",
        "http://test.evil.example/",
        "javascript:alert(1)",
        "/\n/evil.example",
        "/thanks\r\nset-cookie: a=b",
        "http:/evil.example",
    ],
)
async def test_a_return_address_of_another_origin_is_refused(sqlite_shop: Shop, url: str) -> None:
    answer = await _held_order(sqlite_shop, return_url=url)

    assert (answer.status_code, answer.json()["detail"].split(":")[0]) == (422, "return_url")
    assert await sqlite_shop.rows("SELECT COUNT(*) FROM orders") == [(0,)]


@pytest.mark.parametrize("url", ["/se/sv/order?done=1", "http://test/se/sv/order?done=1"])
async def test_the_shopper_comes_back_to_where_the_shop_said(sqlite_shop: Shop, url: str) -> None:
    order = (await _held_order(sqlite_shop, return_url=url)).json()

    paid = await sqlite_shop.pay(order, PAYS)

    assert paid.headers["location"] == "http://test/se/sv/order?done=1"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[
            ("email", text)
            for text in ("no address", "anna@x.test,", "anna@x.test.", "a@b", "a@b.1")
        ],
        *[("email", text) for text in ("anna@-x.test", "a;b@x.test", "a\x00b@x.test", "a@x..test")],
        *[("phone", text) for text in ("call me", "1234", "+" + "1" * 18, "", "08-465 ext. 4")],
        *[("name", text) for text in ("  ", "x" * 121, "An\x00na", "\u200b", "Anna\x1b[31m")],
    ],
)
async def test_wrong_details_are_named_and_cost_nothing(
    sqlite_shop: Shop, field: str, value: str
) -> None:
    answer = await _held_order(sqlite_shop, customer={**CUSTOMER, field: value})

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [f"customer.{field}"]
    assert (await _held_order_again(sqlite_shop)).status_code == 201


async def _held_order_again(shop: Shop) -> Any:
    ((hold_id,),) = await shop.rows("SELECT hold_id FROM holds")
    return await shop.order(str(hold_id))


async def test_while_payments_are_off_an_order_waits_with_its_hold(sqlite_shop: Shop) -> None:
    hold = await sqlite_shop.held()
    await set_flag(sqlite_shop.checkout, "checkout-payments-enabled", False)

    off = await sqlite_shop.order(hold["hold_id"], key='"the-same-key"')
    await set_flag(sqlite_shop.checkout, "checkout-payments-enabled", True)
    on = await sqlite_shop.order(hold["hold_id"], key='"the-same-key"')

    assert (off.status_code, off.headers["retry-after"], on.status_code) == (503, "30", 201)


async def test_a_card_that_loses_its_message_is_found_by_asking(shop: Shop) -> None:
    order = await shop.ordered()
    await shop.pay(order, LOST)
    assert (await shop.read(order))["state"] == "payment_pending"

    shop.clock.advance(seconds=30)
    await shop.checkout.job("reconcile")()
    await shop.checkout.job("reconcile")()

    assert (await shop.read(order))["state"] == "confirmed"
    assert (await shop.fact_types()).count("order.confirmed") == 1
    assert await shop.broken_invariants() == {}


async def test_a_lost_message_of_an_order_that_ended_still_gets_the_money_home(shop: Shop) -> None:
    order = await shop.ordered()
    await shop.pay(order, LOST)
    shop.clock.advance(minutes=16)
    await shop.checkout.job("sweep")()
    await shop.held(**ANOTHER)

    await shop.checkout.job("reconcile-ended")()
    await shop.checkout.job("refunds")()

    assert (await shop.read(order))["state"] == "refunded"
    assert await shop.broken_invariants() == {}


def test_the_documentation_shows_exactly_the_state_machine() -> None:
    page = (ROOT / "docs" / "orders.md").read_text()

    assert f"```mermaid\n{diagram()}\n```" in page


async def test_the_code_moves_orders_only_along_the_table(shop: Shop) -> None:
    """Every journey of this file in one, watched by a trigger-like log of states."""
    seen: set[tuple[str, str]] = set()
    states: dict[str, str] = {}

    async def look() -> None:
        for order_id, state in await shop.rows("SELECT order_id, state FROM orders"):
            before = states.get(order_id)
            if before is not None and before != state:
                seen.add((before, state))
            states[order_id] = state

    async def step(*work: Any) -> None:
        for one in work:
            await one
            await look()

    declined = await shop.ordered("car_1")
    await look()
    await step(shop.pay(declined, DECLINED))
    paid = (await shop.order(declined["hold_id"])).json()
    await step(shop.pay(paid, PAYS), shop.act(paid, "handover"))
    await step(shop.act(paid, "return", {"reason": "other"}))
    again = {"list_again": True}
    await step(shop.act(paid, "return-receipt", again), shop.checkout.job("refunds")())
    late = await shop.ordered("car_2")
    await look()
    shop.clock.advance(minutes=16)
    await step(shop.checkout.job("sweep")(), shop.pay(late, PAYS))
    await step(shop.act(late, "cancellation"), shop.checkout.job("refunds")())
    gone = await shop.ordered("car_3")
    await look()
    await step(shop.act(gone, "cancellation"))
    await step(shop.pay(gone, PAYS), shop.checkout.job("refunds")())

    allowed = {(before, after) for before, targets in TRANSITIONS.items() for after in targets}
    assert seen <= allowed
    assert len(seen) >= 7
    assert await shop.broken_invariants() == {}


async def test_labels_reach_the_fact_of_the_order_and_none_is_refused(shop: Shop) -> None:
    hold = await shop.held()
    labels = {
        "utm_source": "social",
        "utm_medium": "paid",
        "utm_campaign": "winter",
        "utm_content": "Carousel | Lookalike | " * 20,
        "utm_term": None,
        "utm_id": {"deep": [1, 2]},
        "entry": "billboard",
    }

    order = await shop.order(hold["hold_id"], attribution=labels)

    assert order.status_code == 201
    (fact,) = [event for event in await shop.facts() if event.type == "checkout.order.submitted"]
    told = {name: value for name, value in fact.data.items() if name.startswith("utm_")}
    assert told == {
        "utm_source": "social",
        "utm_medium": "paid",
        "utm_content": ("Carousel | Lookalike | " * 20)[:100].rstrip(),
        "utm_term": "",
    }
    assert (fact.context.campaign, fact.context.entry) == ("winter", "direct")
