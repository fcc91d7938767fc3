"""Practice payments leave with their webhooks: those that nobody made early, the others late."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from tests.builders.shop import DECLINED, LOST, PAYS, Shop


async def rows(shop: Shop, query: str) -> list[tuple[Any, ...]]:
    async with shop.sandbox.service.database.read() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def retain(shop: Shop, *, after_days: int) -> list[tuple[Any, ...]]:
    """The payments and webhooks that are left by the state of their payment."""
    shop.clock.advance(days=after_days)
    await shop.sandbox.job("retention")()
    return await rows(
        shop,
        "SELECT p.state, COUNT(d.event_id) FROM payments p LEFT JOIN deliveries d"
        " ON d.payment_id = p.payment_id GROUP BY p.payment_id, p.state ORDER BY p.state",
    )


async def test_payments_leave_when_they_are_old_and_take_their_webhooks_with_them(
    shop: Shop,
) -> None:
    await shop.ordered("car_1")
    await shop.pay(await shop.ordered("car_2"), DECLINED)
    await shop.pay(await shop.ordered("car_3"), PAYS)
    await shop.pay(await shop.ordered("car_4"), LOST)

    everything = [("declined", 1), ("requires_payment_method", 0), ("succeeded", 1)]
    assert await retain(shop, after_days=90) == [*everything, ("succeeded", 1)]
    assert await retain(shop, after_days=1) == [("succeeded", 1), ("succeeded", 1)]
    assert await retain(shop, after_days=309) == [("succeeded", 1), ("succeeded", 1)]
    assert await retain(shop, after_days=1) == []
    assert await rows(shop, "SELECT COUNT(*) FROM deliveries") == [(0,)]


async def test_a_payment_whose_webhook_still_has_to_be_delivered_stays(sqlite_shop: Shop) -> None:
    order = await sqlite_shop.ordered()
    await sqlite_shop.pay(order, DECLINED)
    async with sqlite_shop.sandbox.service.database.transaction() as transaction:
        due = "UPDATE deliveries SET due_at = '2026-11-27 09:00:00.000000'"
        await transaction.execute(text(due))
    assert await retain(sqlite_shop, after_days=91) == [("declined", 1)]


async def test_who_comes_back_to_a_payment_that_has_left_finds_a_page(sqlite_shop: Shop) -> None:
    order = await sqlite_shop.ordered()
    await retain(sqlite_shop, after_days=91)
    gone = await sqlite_shop.sandbox.public.get(order["payment_url"])
    assert gone.status_code == 404
