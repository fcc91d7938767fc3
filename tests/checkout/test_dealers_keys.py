"""Whose dealer key acts at the desk: each one for its own dealers' orders only."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.kernel.clock import ManualClock
from tests.builders.shop import Shop, open_shop

UMEA, LUND = ({"authorization": f"Bearer key-of-{name}"} for name in ("umea", "lund"))
KEYS = json.dumps(
    [
        {"name": name, "key": f"key-of-{name}", "sources": [name], "dealers": [name]}
        for name in ("umea", "lund")
    ]
)


@pytest.fixture
async def shop(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path, clock, {}, dealer_keys=KEYS) as opened:
        yield opened


async def act(shop: Shop, order_id: str, action: str, who: dict[str, str]) -> httpx.Response:
    return await shop.checkout.public.post(
        f"/api/checkout/v1/orders/{order_id}/{action}",
        headers={**who, "idempotency-key": shop.key()},
    )


@pytest.mark.parametrize("action", ["handover", "return-receipt"])
async def test_another_dealers_order_is_refused_and_not_told_about(shop: Shop, action: str) -> None:
    order = await shop.confirmed()
    if action == "return-receipt":
        await shop.act(order, "handover")
        await shop.act(order, "return", {"reason": "other"})
    before = await shop.read(order)

    refused = await act(shop, order["order_id"], action, LUND)
    problem: dict[str, Any] = refused.json()
    answers = [
        refused.status_code,
        (await act(shop, "ord_nobodys", action, LUND)).status_code,
        (await act(shop, order["order_id"], action, {"authorization": "Bearer no"})).status_code,
    ]
    untouched = await shop.read(order)
    taken = await act(shop, order["order_id"], action, UMEA)

    assert (answers, untouched) == ([403, 404, 401], before)
    assert problem["type"] == "/problems/dealer-key-elsewhere"
    assert (problem["key"], problem["dealers"]) == ("lund", ["lund"])
    assert "umea" not in refused.text
    assert taken.status_code == 200


async def test_a_dealer_sells_their_own_cars_only(shop: Shop) -> None:
    path = "/api/checkout/v1/cars/car_1/desk-sale"

    async def ask(method: str, who: dict[str, str]) -> httpx.Response:
        headers = {**who, "idempotency-key": shop.key()}
        return await shop.checkout.public.request(method, path, headers=headers)

    answers = [
        await ask(method, who)
        for method, who in (("POST", LUND), ("POST", UMEA), ("DELETE", LUND), ("DELETE", UMEA))
    ]

    assert [answer.status_code for answer in answers] == [403, 200, 403, 200]
    assert "umea" not in answers[0].text
    facts = [fact.data for fact in await shop.facts() if "reported_by" in fact.data]
    assert [fact["reported_by"] for fact in facts] == ["umea", "umea"]


async def test_the_handover_says_whose_key_reported_it(shop: Shop) -> None:
    first, second = await shop.confirmed("car_1"), await shop.confirmed("car_2")

    await act(shop, first["order_id"], "handover", UMEA)
    await shop.act(second, "handover")

    assert [
        fact.data["reported_by"]
        for fact in await shop.facts()
        if fact.type.endswith("car.handed_over")
    ] == ["umea", "operator"]


async def test_a_handover_that_cannot_be_says_why(shop: Shop) -> None:
    waiting, paid, gone = [await shop.ordered(f"car_{number}") for number in (1, 2, 3)]
    await shop.pay(paid, "4242 4242 4242 4242")
    await shop.act(gone, "cancellation")

    early = await shop.act(waiting, "handover")
    late = await shop.act(gone, "handover")
    once = await shop.act(paid, "handover", {"handed_over_at": "2031-01-01T00:00:00Z"})
    shop.clock.advance(seconds=60)
    twice = await shop.act(paid, "handover")

    assert [a.status_code for a in (early, late, once, twice)] == [409, 409, 200, 409]
    assert "this one is payment_pending. Keep the keys." in early.json()["detail"]
    assert "this one is cancelled" in late.json()["detail"]
    # The time of a handover is the moment at which it is reported, by the shop's clock.
    assert once.json()["handed_over_at"] == "2026-11-27T09:00:00.000Z"
    assert twice.json()["detail"] == "The car was handed over already, at 2026-11-27T09:00:00.000Z."
