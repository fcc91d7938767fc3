"""A fact of the catalogue that checkout cannot digest keeps no other car from being sold."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from tests.builders.shop import PRICE, Shop

GOOD = {
    "car_id": "car_9",
    "model_id": "norrsken",
    "title": "Norrsken",
    "market": "SE",
    "dealer_id": "umea",
    "source": "SE",
    "price": PRICE,
    "currency": "SEK",
    "vat_rate": "0.25",
}
POISON: dict[str, dict[str, Any]] = {
    "too long": {"title": "x" * 201},
    "NUL": {"title": "x\x00y"},
    "of another type": {"price": "a lot"},
    "a huge number": {"price": 2**63},
    "an unknown market": {"market": "XX"},
    "no moment": {"ready_for_handover_at": "soon"},
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
async def test_the_other_cars_are_sold_and_a_corrected_feed_mends_the_one(
    shop: Shop, poison: dict[str, Any]
) -> None:
    await shop.list_car("car_9")
    await _corrupt(shop, poison)
    await shop.list_car("car_10")

    assert (await shop.hold("car_10")).status_code == 201
    assert (await shop.hold("car_9")).status_code == 201  # as it was listed before
    assert await _aside(shop) == 1

    await shop.list_car("car_9", price=PRICE + 100)
    assert await _aside(shop) == 0


async def _corrupt(shop: Shop, changed: dict[str, Any]) -> None:
    """A fact as a catalogue without our checks would have stated it: written past the outbox."""
    rows = shop.catalog.outbox._rows
    async with shop.catalog.database.transaction() as transaction:
        await transaction.execute(
            rows.insert().values(
                event_id="evt_poison",
                type="catalog.car.listed",
                time=shop.clock.now(),
                data={**GOOD, **changed},
                context={},
            )
        )


async def _aside(shop: Shop) -> int:
    async with shop.checkout.service.database.read() as connection:
        return int(await connection.scalar(text("SELECT COUNT(*) FROM undigested")) or 0)
