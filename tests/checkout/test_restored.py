"""When the catalogue was restored: what it states anew is what is on offer."""

from __future__ import annotations

from app.checkout.restating import states_as_facts
from app.contracts.events import CarStateChanged
from app.kernel.facts import EventContext
from tests.builders.shop import Shop, listed


async def _restored(shop: Shop, *cars: str) -> None:
    facts = [(listed(car_id, price=1_000_00), EventContext()) for car_id in cars]
    async with shop.catalog.database.transaction() as transaction:
        await shop.catalog.outbox.begin_epoch(transaction, facts)
    await shop.checkout.job("consume:catalog")()


async def test_cars_that_a_restored_catalogue_does_not_know_are_off_sale_and_keep_their_buyer(
    shop: Shop,
) -> None:
    await shop.ordered("car_3")
    await _restored(shop, "car_1", "car_3")

    rows = "SELECT car_id, listed, state, price FROM cars WHERE NOT rehearsal ORDER BY car_id"
    assert [(car_id, bool(on), *rest) for car_id, on, *rest in await shop.rows(rows)] == [
        ("car_1", True, "available", 1_000_00),
        ("car_2", False, "available", 48_990_000),
        ("car_3", True, "held", 1_000_00),
        ("car_4", False, "available", 48_990_000),
    ]
    assert (await shop.hold("car_2")).status_code == 409
    assert (await shop.hold("car_1")).status_code == 201


async def test_a_car_that_was_sold_at_the_desk_does_not_come_back_by_an_older_offer(
    shop: Shop,
) -> None:
    await shop.damage(
        "UPDATE cars SET state = 'sold' WHERE car_id = 'car_1'",
        "INSERT INTO desk_sales VALUES ('car_1', '2026-11-27 09:00:00.000000', 'umea', false)",
    )
    await shop.withdraw_car("car_1")
    await _restored(shop, "car_1")

    assert await shop.car("car_1") == "sold"


async def test_what_checkout_stands_for_is_who_has_which_car(shop: Shop) -> None:
    await shop.ordered("car_2")
    async with shop.checkout.service.database.transaction() as transaction:
        facts = await states_as_facts(transaction)

    assert [fact for fact, _ in facts] == [
        CarStateChanged("car_1", "available"),
        CarStateChanged("car_2", "held"),
        CarStateChanged("car_3", "available"),
        CarStateChanged("car_4", "available"),
        CarStateChanged("rehearsal_1", "available"),
    ]
