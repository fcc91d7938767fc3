"""A fact that the ledger cannot book stops no other, shows in the lag, and is booked once."""

from __future__ import annotations

import json

from sqlalchemy import text

from tests.builders.facts import HUMAN, confirmed, hold, purchase, shopper, submitted
from tests.insight.conftest import World, run_job, total


async def test_an_order_that_cannot_be_booked_is_counted_once_after_the_fix(
    world_on_each: World,
) -> None:
    world = world_on_each
    service = await world.replica()
    await world.state([hold(HUMAN, "1"), submitted(HUMAN, "1"), confirmed(HUMAN, "1")])
    await _price_of_confirmed(world, '"a lot"')
    await world.state(purchase(shopper(2), "2"))

    await run_job(service, "consume-", "ledger-snapshot")
    assert total(service, "shop_orders_total") == 1
    assert total(service, "ledger_lag_seconds", source="checkout") >= 1
    assert total(service, "ledger_lag_seconds", source="storefront") == 0
    assert total(service, "consumer_events_undigested", source="checkout") == 1

    # The fix: a version comes that can read it. A corrected copy stands for it.
    async with service.database.transaction() as transaction:
        row = (await transaction.execute(text("SELECT payload FROM undigested"))).scalar_one()
        wire = json.loads(row)
        wire["data"]["price"] = 48_990_000
        await transaction.execute(
            text("UPDATE undigested SET payload = :wire"), {"wire": json.dumps(wire)}
        )
    for _ in range(3):
        world.clock.advance(seconds=40)
        await run_job(service, "consume-", "ledger-snapshot")
    assert total(service, "shop_orders_total") == 2
    assert total(service, "ledger_lag_seconds", source="checkout") == 0
    assert total(service, "consumer_events_undigested", source="checkout") == 0


async def _price_of_confirmed(world: World, price: str) -> None:
    """Corrupt the stated fact in its source, as a fault there would have."""
    async with world.sources["checkout"].database.transaction() as transaction:
        await transaction.execute(
            text(
                "UPDATE outbox SET data = json_set(data, '$.price', json(:price))"
                " WHERE type = 'checkout.order.confirmed'"
            ),
            {"price": price},
        )
