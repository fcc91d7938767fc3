"""No crowd takes the stock away from everybody, and shoppers go on holding cars meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.kernel.clock import ManualClock
from tests.builders.services import synthetic_headers
from tests.builders.shop import Shop, listed, open_shop

CARS = 20


@pytest.fixture
async def strict_shop(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shop]:
    """Twenty cars, of which strangers may hold five together."""
    monkeypatch.setenv("CHECKOUT_STRANGERS_SHARE", "0.25")
    monkeypatch.setenv("CHECKOUT_STRANGERS_LEAST", "2")
    async with open_shop(tmp_path, clock, {}, cars=CARS) as shop:
        await shop.state(listed("car_no", market="NO"))
        await shop.checkout.job("stock-held")()
        yield shop


async def _crowd(shop: Shop) -> Counter[int]:
    """Whatever answers strangers get who reach for every car from a network each."""
    answers = await asyncio.gather(
        *(
            shop.hold(f"car_{n}", **{"x-forwarded-for": f"2001:db8:0:{n}::1"})
            for n in range(1, CARS + 1)
        )
    )
    return Counter(answer.status_code for answer in answers)


async def test_strangers_get_a_share_of_the_stock_and_shoppers_the_rest(strict_shop: Shop) -> None:
    shopper = strict_shop.cookie("ses_1")
    strict_shop.clock.advance(seconds=60)

    assert await _crowd(strict_shop) == {201: 5, 429: CARS - 5}
    await strict_shop.checkout.job("stock-held")()
    assert await _crowd(strict_shop) == {409: 5, 429: CARS - 5}
    assert strict_shop.metric("checkout_stock_held_ratio", service="checkout", market="SE") == 0.25

    late = {"x-forwarded-for": "203.0.113.1"}
    refused = await strict_shop.hold(f"car_{CARS}", **strict_shop.cookie("ses_new"), **late)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert refused.json()["type"] == "/problems/stock-crowded"
    assert (await strict_shop.hold(f"car_{CARS}", **shopper)).status_code == 201
    assert (await strict_shop.hold("car_no")).status_code == 201  # another market


async def test_when_holds_end_strangers_are_welcome_again(strict_shop: Shop) -> None:
    await _crowd(strict_shop)
    strict_shop.clock.advance(minutes=15)
    await strict_shop.checkout.job("sweep")()
    await strict_shop.checkout.job("stock-held")()

    assert await _crowd(strict_shop) == {201: 5, 429: CARS - 5}
    assert strict_shop.metric("checkout_stock_held_ratio", service="checkout", market="SE") == 0


async def test_rehearsals_neither_count_nor_wait(strict_shop: Shop) -> None:
    rehearsal = synthetic_headers(strict_shop.clock.now())
    await strict_shop.state(*(listed(f"trial_{n}", rehearsal=True) for n in range(12)))

    held = [await strict_shop.hold(f"trial_{n}", **rehearsal) for n in range(12)]
    await strict_shop.checkout.job("stock-held")()

    assert {answer.status_code for answer in held} == {201}
    assert await _crowd(strict_shop) == {201: 5, 429: CARS - 5}
