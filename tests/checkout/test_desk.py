"""Sold at the desk: a dealer sells a car in the showroom that shoppers could buy online."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.builders.services import DEALER
from tests.builders.shop import DECLINED, PAYS, Shop


async def sell(
    shop: Shop, car_id: str = "car_1", *, key: str | None = None, **query: Any
) -> httpx.Response:
    return await shop.checkout.public.post(
        f"/api/checkout/v1/cars/{car_id}/desk-sale",
        params=query,
        headers={**DEALER, "idempotency-key": key or shop.key()},
    )


async def take_back(shop: Shop, car_id: str = "car_1") -> httpx.Response:
    return await shop.checkout.public.delete(
        f"/api/checkout/v1/cars/{car_id}/desk-sale", headers=DEALER
    )


async def told(shop: Shop) -> list[str]:
    """What was stated about cars since the shop opened."""
    return [
        f"{fact.type.rsplit('.', 1)[-1]} {fact.data.get('state', '')}".strip()
        for fact in await shop.facts()
        if ".car." in fact.type
    ]


async def test_a_free_car_goes_off_sale_at_once(shop: Shop) -> None:
    key = shop.key()
    sold = await sell(shop, key=key)
    shop.clock.advance(seconds=5)
    again = await sell(shop)
    replayed = await sell(shop, key=key)

    assert sold.json() == {
        "car_id": "car_1",
        "state": "sold",
        "sold_at": "2026-11-27T09:00:00.000Z",
        "in_feed": True,
    }
    assert [answer.status_code for answer in (sold, again, replayed)] == [200, 200, 200]
    assert sold.content == again.content == replayed.content
    assert replayed.headers["idempotency-replayed"] == "true"
    assert (await shop.hold()).json()["type"] == "/problems/car-not-available"
    assert await told(shop) == ["sold_at_desk", "state_changed sold"]
    fact = next(f for f in await shop.facts() if f.type.endswith("sold_at_desk"))
    assert fact.data == {
        "car_id": "car_1",
        "dealer_id": "umea",
        "reported_by": "operator",
        "hold_ended": False,
    }
    assert (fact.context.market, fact.context.channel) == ("SE", "dealer")
    assert (
        shop.metric("checkout_desk_sales_total", service="checkout", result="sold"),
        await shop.broken_invariants(),
    ) == (1, {})


async def test_a_hold_is_a_promise_that_ends_only_when_the_dealer_says_so_twice(
    shop: Shop,
) -> None:
    hold = await shop.held()

    held = await sell(shop)
    still = await shop.car()
    confirmed = await sell(shop, confirm="true")
    over = await shop.checkout.public.get(f"/api/checkout/v1/holds/{hold['hold_id']}")
    order = await shop.order(hold["hold_id"])

    assert (held.status_code, held.json()["type"]) == (409, "/problems/car-held")
    assert held.json()["held_until"] == hold["expires_at"]
    assert "confirm=true" in held.json()["detail"]
    assert (still, confirmed.status_code, await shop.car()) == ("held", 200, "sold")
    for answer in (over, order):
        problem = answer.json()
        assert (problem["type"], problem["reason"]) == ("/problems/hold-ended", "sold_at_desk")
        assert "sold this car in the showroom" in problem["detail"]
    released = next(f for f in await shop.facts() if f.type.endswith("hold.released"))
    assert (released.data["reason"], released.data["ended_as"]) == ("sold_at_desk", "sold_out")
    assert (await told(shop))[-2:] == ["sold_at_desk", "state_changed sold"]
    assert [
        shop.metric("checkout_desk_sales_total", service="checkout", result=result)
        for result in ("held", "hold_ended")
    ] == [1, 1]
    assert await shop.broken_invariants() == {}


async def test_a_hold_whose_time_is_over_needs_no_confirmation(shop: Shop) -> None:
    await shop.held()
    shop.clock.advance(minutes=16)

    assert (await sell(shop)).status_code == 200
    assert await shop.checkout.job("sweep")() == 0
    assert await shop.car() == "sold"


async def test_a_declined_payment_leaves_a_hold_and_its_money_never_comes_late(shop: Shop) -> None:
    order = await shop.ordered()
    await shop.pay(order, DECLINED)

    assert (await sell(shop)).json()["type"] == "/problems/car-held"
    assert (await sell(shop, confirm="true")).status_code == 200
    assert (await shop.read(order))["state"] == "declined"
    assert await shop.broken_invariants() == {}


@pytest.mark.parametrize("far", ["payment_pending", "confirmed", "handed over", "returning"])
async def test_an_order_is_never_ended_at_the_desk(shop: Shop, far: str) -> None:
    order = await shop.ordered()
    if far != "payment_pending":
        await shop.pay(order, PAYS)
    if far in ("handed over", "returning"):
        await shop.act(order, "handover")
    if far == "returning":
        await shop.act(order, "return", {"reason": "other"})
    before = await shop.read(order)

    for confirm in ("false", "true"):
        refused = await sell(shop, confirm=confirm)

        problem = refused.json()
        assert (refused.status_code, problem["type"]) == (409, "/problems/car-ordered")
        assert (problem["order_id"], problem["order_state"]) == (order["order_id"], before["state"])
        assert order["order_id"] in problem["detail"]
    assert await shop.read(order) == before
    assert shop.metric("checkout_desk_sales_total", service="checkout", result="ordered") == 2


async def test_a_car_is_free_for_the_desk_once_its_order_is_over(shop: Shop) -> None:
    cancelled, returned = await shop.confirmed("car_1"), await shop.confirmed("car_2")
    await shop.act(cancelled, "cancellation")
    for action, body in (("handover", None), ("return", {"reason": "other"})):
        await shop.act(returned, action, body)
    await shop.act(returned, "return-receipt")

    assert [(await sell(shop, car)).status_code for car in ("car_1", "car_2")] == [200, 200]
    await shop.list_car("car_2", price=40_000_000)
    await shop.withdraw_car("car_1")
    assert [await shop.car(car) for car in ("car_1", "car_2")] == ["sold", "sold"]
    assert await shop.broken_invariants() == {}


async def test_late_money_for_a_car_that_was_sold_at_the_desk_goes_back(shop: Shop) -> None:
    order = await shop.ordered()
    shop.clock.advance(minutes=16)
    await shop.checkout.job("sweep")()
    await sell(shop)

    await shop.pay(order, PAYS)
    await shop.checkout.job("refunds")()

    assert ((await shop.read(order))["state"], await shop.car()) == ("refunded", "sold")
    assert await shop.broken_invariants() == {}


async def test_the_feed_of_the_next_morning_does_not_bring_a_sold_car_back(shop: Shop) -> None:
    await sell(shop)

    await shop.list_car("car_1", price=40_000_000)
    listed = await shop.car()
    await shop.withdraw_car("car_1")
    left = await shop.car()
    await shop.list_car("car_1")

    # Left out and listed anew: the dealer has it again.
    assert (listed, left, await shop.car()) == ("sold", "sold", "available")
    assert (await told(shop))[-2:] == ["desk_sale_undone", "state_changed available"]
    assert (await shop.hold()).status_code == 201


async def test_a_dealer_takes_a_mistake_back(shop: Shop) -> None:
    await sell(shop)

    answers = [(await take_back(shop)).json() for _ in range(2)]
    hold = await shop.hold()
    ordered = await take_back(shop)

    free = {"car_id": "car_1", "state": "available", "sold_at": None, "in_feed": True}
    assert answers == [free, free]
    assert hold.status_code == 201
    assert ordered.json()["state"] == "held"
    assert await told(shop) == [
        "sold_at_desk",
        "state_changed sold",
        "desk_sale_undone",
        "state_changed available",
        "state_changed held",
    ]
    assert shop.metric("checkout_desk_sales_total", service="checkout", result="taken_back") == 1
    assert await shop.broken_invariants() == {}


@pytest.mark.parametrize("ended", ["taken back", "listed anew"])
async def test_a_kept_answer_does_not_say_sold_of_a_car_that_is_on_sale(
    shop: Shop, ended: str
) -> None:
    key = shop.key()  # as systems have them that derive it from the car
    await sell(shop, key=key)
    if ended == "taken back":
        await take_back(shop)
    else:
        await shop.withdraw_car("car_1")
        await shop.list_car("car_1")

    again = await sell(shop, key=key)
    on_sale = await shop.car()
    fresh = await sell(shop)
    replayed = await sell(shop, key=key)

    assert (again.status_code, again.json()["type"], on_sale) == (
        422,
        "/problems/idempotency-key-reused",
        "available",
    )
    assert "fresh key" in again.json()["detail"]
    assert (fresh.status_code, replayed.status_code, await shop.car()) == (200, 200, "sold")
    assert await shop.broken_invariants() == {}


async def test_only_a_dealers_key_sells_and_only_a_car_that_there_is(shop: Shop) -> None:
    path = "/api/checkout/v1/cars/car_1/desk-sale"
    stranger = {"authorization": "Bearer somebody", "idempotency-key": shop.key()}

    answers = [
        await shop.checkout.public.post(path, headers=stranger),
        await shop.checkout.public.delete(path, headers=stranger),
        await shop.checkout.public.post(path, headers=DEALER),
        await sell(shop, "car_99"),
        await take_back(shop, "car_99"),
    ]

    assert [(a.status_code, a.json()["type"].rsplit("/", 1)[-1]) for a in answers] == [
        (401, "not-authorised"),
        (401, "not-authorised"),
        (400, "idempotency-key-missing"),
        (404, "car-unknown"),
        (404, "car-unknown"),
    ]
    assert await shop.car() == "available"


async def test_one_physical_car_is_sold_at_the_desk_or_online_by_whatever_id(shop: Shop) -> None:
    for car_id in ("twin_a", "twin_b", "twin_c", "twin_d"):
        pair = "ab" if car_id[-1] in "ab" else "cd"
        await shop.list_car(car_id, identity=pair * 32)

    online = await shop.confirmed("twin_a")
    refused = await sell(shop, "twin_b", confirm="true")
    await sell(shop, "twin_c")
    lost = await shop.hold("twin_d")

    assert (online["state"], refused.status_code) == ("confirmed", 409)
    assert refused.json()["type"] == "/problems/car-ordered"
    assert lost.json()["type"] == "/problems/car-not-available"
    assert await shop.broken_invariants() == {}


async def test_after_a_month_a_car_that_was_sold_at_the_desk_may_be_traded_in(shop: Shop) -> None:
    await shop.list_car("twin_a", identity="ab" * 32)
    await sell(shop, "twin_a")
    await shop.withdraw_car("twin_a")

    found = []
    for days in (5, 30):
        shop.clock.advance(days=days)
        await shop.list_car("twin_b", identity="ab" * 32, price=40_000_000 + days)
        found.append((await shop.hold("twin_b")).status_code)

    assert found == [409, 201]
    assert await shop.broken_invariants() == {}


async def test_a_hold_outlives_its_cars_place_in_the_feed(shop: Shop) -> None:
    hold = await shop.held("car_1")
    paying = await shop.ordered("car_2")

    for car_id in ("car_1", "car_2"):
        await shop.withdraw_car(car_id)
    order = (await shop.order(hold["hold_id"])).json()
    for each in (order, paying):
        await shop.pay(each, PAYS)

    # They were promised the cars; the dealer hears of it by the orders, and may sell neither.
    assert [(await shop.read(each))["state"] for each in (order, paying)] == ["confirmed"] * 2
    assert (await sell(shop)).json()["order_id"] == order["order_id"]
    await shop.act(order, "cancellation")
    assert (await shop.hold("car_1")).status_code == 409


@pytest.mark.parametrize("shopper", ["hold", "order", "payment"])
async def test_desk_and_shopper_at_one_moment_have_one_winner(shop: Shop, shopper: str) -> None:
    cars = [f"race_{number}" for number in range(8)]
    for car_id in cars:
        await shop.list_car(car_id)
    steps: list[Any] = []
    # Shoppers without a session share an address, which may hold a few cars only.
    for number, car_id in enumerate(cars):
        me = shop.cookie(f"ses_{number}")
        if shopper == "hold":
            steps.append(shop.hold(car_id, **me))
            continue
        hold = (await shop.hold(car_id, **me)).json()
        if shopper == "order":
            steps.append(shop.order(hold["hold_id"], headers=me))
        else:
            order = (await shop.order(hold["hold_id"], headers=me)).json()
            steps.append(shop.pay(order, PAYS))

    desk = [sell(shop, car_id, confirm="true") for car_id in cars]
    answers = await asyncio.gather(
        *[each for pair in zip(desk, steps, strict=True) for each in pair]
    )

    for car_id, sold, bought in zip(cars, answers[::2], answers[1::2], strict=True):
        state = await shop.car(car_id)
        if sold.status_code == 200:
            assert state == "sold", (car_id, bought.text)
            # A hold may have been placed, and ended, before the sale.
            assert bought.status_code == 409 or shopper == "hold"
        else:
            assert sold.json()["type"] == "/problems/car-ordered"
            assert state == ("reserved" if shopper == "payment" else "held")
    if shopper == "payment":
        assert {sold.status_code for sold in answers[::2]} == {409}
    assert await shop.broken_invariants() == {}
