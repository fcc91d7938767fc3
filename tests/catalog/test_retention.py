"""Cars of long ago leave the catalogue's books; whoever has or had a car keeps it there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from app.catalog.documents import car_id_of
from app.kernel.clock import ManualClock
from tests.builders.checkout_events import CheckoutEvents
from tests.builders.feeds import car, feed
from tests.builders.services import DEALER, Running


async def send(shop: Running, *rows: dict[str, str]) -> Any:
    answer = await shop.public.post(
        "/api/catalog/v1/feeds/group",
        content=feed(rows),
        params={"market": "SE", "confirm_removal": "true"},
        headers=DEALER,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def known(shop: Running) -> list[str]:
    async with shop.service.database.read() as connection:
        rows = await connection.scalars(text("SELECT stock_id FROM cars ORDER BY stock_id"))
        return list(rows)


async def test_a_car_that_left_its_feed_unsold_leaves_the_books_and_may_come_back(
    shop: Running, clock: ManualClock, checkout: CheckoutEvents
) -> None:
    await send(shop, car("G1"), car("G2"), car("G3"))
    checkout.car_is(car_id_of("group", "SE", "G2"), "sold")
    await shop.job("follow-checkout")()
    await send(shop, car("G3"))

    clock.advance(days=400)
    await shop.job("retention")()
    assert await known(shop) == ["G1", "G2", "G3"]
    clock.advance(seconds=1)
    await shop.job("retention")()
    assert await known(shop) == ["G2", "G3"]

    await send(shop, car("G1"), car("G3"))
    assert await known(shop) == ["G1", "G2", "G3"]
