"""What depends on the database works on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection

from app.insight.ledger.invariants import violations
from app.insight.ledger.periods import Period
from app.insight.ledger.readings import Readings
from app.insight.ledger.store import Store
from app.insight.models import METADATA
from tests.builders.facts import (
    HUMAN,
    START,
    advice,
    confirmed,
    hold,
    purchase,
    refused,
    released,
    shopper,
    submitted,
    visit,
)
from tests.insight.conftest import World, exported, run_job, total

DAY = Period(START - timedelta(hours=1), START + timedelta(hours=1))


async def test_every_kind_of_journey_is_booked_and_balances(world_on_each: World) -> None:
    world = world_on_each
    service = await world.replica()
    await world.state(
        [
            *purchase(HUMAN, "1"),
            *visit(shopper(2)),
            *advice(shopper(2), "adv_1"),
            hold(shopper(2), "2"),
            submitted(shopper(2), "2"),
            released(shopper(2), "2", "expired"),
            confirmed(shopper(2), "2", late=True, after=990),
            refused(shopper(3, market="FI"), "3"),
            *advice(shopper(4), "adv_2", None),
            *visit(shopper(4)),
        ]
    )
    await run_job(service, "consume-")
    readings = Readings(Store(service.database))
    world.clock.advance(minutes=31)
    await run_job(service, "close-sessions")
    await run_job(service, "ledger-snapshot")
    shop = await readings.shop(DAY)
    assert (shop.orders, shop.sessions, shop.converted) == (2, 3, 2)
    assert shop.ends == {"ordered": 2, "sold_out": 1}
    assert shop.order_value == {"SEK": 97_980_000}
    assert total(service, "shop_orders_total") == 2
    assert total(service, "shop_advice_total", result="abandoned") == 1
    assert violations(await readings.totals()) == []
    sessions, orders = await readings.pulse(DAY, slots=4)
    assert (sessions, orders) == ([0, 0, 3, 0], [0, 0, 2, 0])
    assert [line.order_id for line in await readings.last_orders(limit=5)] == ["ord_2", "ord_1"]


async def test_replicas_that_poll_at_once_book_every_fact_once(world_on_each: World) -> None:
    world = world_on_each
    replicas = [await world.replica(), await world.replica()]
    for number in range(1, 5):
        await world.state(purchase(shopper(number), str(number)))
        world.clock.advance(seconds=11)  # leases run out, so that either replica may read
        await asyncio.gather(*(run_job(service, "consume-") for service in replicas))
    for service in replicas:
        await run_job(service, "ledger-snapshot")
        assert total(service, "shop_orders_total") == 4
        assert total(service, "shop_sessions_converted_total") == 4
    assert violations(await Readings(Store(replicas[0].database)).totals()) == []


async def test_a_new_process_shows_what_the_last_one_booked(world_on_each: World) -> None:
    world = world_on_each
    first = await world.replica()
    await world.state(purchase(HUMAN, "1"))
    await run_job(first, "consume-")
    second = await world.replica()
    numbers = [
        exported(service, lambda name: name.startswith("shop_")) for service in (first, second)
    ]
    assert numbers[0] == numbers[1]
    assert numbers[0]


async def test_migrations_make_the_tables_that_the_models_describe(world_on_each: World) -> None:
    service = await world_on_each.replica()

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, METADATA))

    async with service.database.read() as connection:
        assert await connection.run_sync(differences) == []
