"""A car given back after handover: on sale again only when its dealer has it and says so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.shop import PAYS, Shop


async def _given_back(shop: Shop) -> dict[str, Any]:
    order = await shop.ordered()
    await shop.pay(order, PAYS)
    await shop.act(order, "handover")
    await shop.act(order, "return", {"reason": "defect"})
    return order


async def test_a_received_car_comes_back_with_its_feed_and_not_before(shop: Shop) -> None:
    order = await _given_back(shop)

    await shop.list_car("car_1", price=40_000_000)
    before = await shop.car()
    await shop.act(order, "return-receipt")
    received = await shop.car()
    await shop.checkout.job("refunds")()
    await shop.withdraw_car("car_1")
    await shop.list_car("car_1")

    assert (before, received, await shop.car()) == ("sold", "sold", "available")
    facts = await shop.fact_types()
    assert facts[-4:] == [
        "order.return_requested",
        "order.returned",
        "order.refunded",
        "car.state_changed",
    ]
    returned = next(fact for fact in await shop.facts() if fact.type.endswith("order.returned"))
    assert returned.data["reason"] == "defect"
    assert await shop.broken_invariants() == {}


async def test_a_car_that_is_sold_again_is_not_relisted_by_its_first_return(shop: Shop) -> None:
    first = await _given_back(shop)
    await shop.act(first, "return-receipt", {"list_again": True})
    second = await shop.ordered()
    await shop.pay(second, PAYS)
    await shop.act(second, "handover")

    await shop.list_car("car_1", price=40_000_000)

    assert (await shop.read(second))["state"] == "confirmed"
    assert await shop.car() == "sold"


async def test_only_the_dealer_receives_and_only_what_was_given_back(shop: Shop) -> None:
    order = await shop.ordered()
    await shop.pay(order, PAYS)
    await shop.act(order, "handover")
    early = await shop.act(order, "return-receipt")
    await shop.act(order, "return", {"reason": "other"})
    path = f"/api/checkout/v1/orders/{order['order_id']}/return-receipt"
    headers = {
        "authorization": f"Bearer {order['order_token']}",
        "idempotency-key": shop.key(),
    }
    stranger = await shop.checkout.public.post(path, json={}, headers=headers)
    key = shop.key()
    received = [(await shop.act(order, "return-receipt", key=key)) for _ in range(2)]
    twice = await shop.act(order, "return-receipt")

    assert (early.status_code, stranger.status_code, twice.status_code) == (409, 401, 409)
    assert received[0].content == received[1].content
    assert received[0].json()["state"] == "returned"


@pytest.mark.parametrize("step", ["return", "return-receipt"])
async def test_money_that_goes_back_at_the_provider_ends_a_return(shop: Shop, step: str) -> None:
    order = await _given_back(shop)
    payment = str(order["payment_url"]).rsplit("/", 1)[-1]
    if step == "return-receipt":
        await shop.act(order, "return-receipt")

    await shop.sandbox.internal.post(f"/internal/sandbox/payments/{payment}/refunds", json={})
    await shop.sandbox.job("webhooks")()

    assert ((await shop.read(order))["state"], await shop.car()) == ("refunded", "sold")
    later = await shop.act(order, "return-receipt", {"list_again": True})
    assert later.status_code == (200 if step == "return" else 409)
    assert await shop.car() == ("available" if step == "return" else "sold")
    assert (await shop.fact_types()).count("order.refunded") == 1
    assert await shop.broken_invariants() == {}
