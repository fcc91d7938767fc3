"""A physical car is held, ordered and sold once, by whatever ids the catalogue lists it."""

from __future__ import annotations

import asyncio

from app.kernel.resale import RESALE_AFTER
from tests.builders.shop import PAYS, Shop

THE_SAME = "a" * 64


async def twins(shop: Shop) -> None:
    """Two rows of one car, as no catalogue should list them."""
    for car_id in ("car_1", "car_2"):
        await shop.list_car(car_id, identity=THE_SAME)


async def test_of_many_shoppers_at_both_ids_exactly_one_holds_the_car(shop: Shop) -> None:
    await twins(shop)

    answers = await asyncio.gather(*[shop.hold(f"car_{1 + n % 2}") for n in range(20)])

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert await shop.rows("SELECT COUNT(*) FROM holds") == [(1,)]
    assert await shop.broken_invariants() == {}


async def test_the_other_id_is_taken_while_somebody_holds_orders_or_has_the_car(
    shop: Shop,
) -> None:
    await twins(shop)

    order = await shop.ordered("car_1")
    late = await shop.hold("car_2")
    assert (late.status_code, late.json()["type"]) == (409, "/problems/car-not-available")
    assert len(late.json()["similar_cars"]) == 2
    await shop.pay(order, PAYS)
    assert (late.json()["reason"], (await shop.hold("car_2")).json()["reason"]) == ("held", "sold")
    await shop.act(order, "handover")
    assert (await shop.hold("car_2")).status_code == 409

    assert (await shop.hold("car_3")).status_code == 201
    assert await shop.broken_invariants() == {}


async def test_a_car_given_back_is_free_under_its_other_id(shop: Shop) -> None:
    await twins(shop)
    hold = await shop.held("car_1")

    await shop.checkout.public.delete(f"/api/checkout/v1/holds/{hold['hold_id']}")

    assert (await shop.hold("car_2")).status_code == 201


async def test_money_that_comes_too_late_does_not_buy_the_car_by_its_other_id(shop: Shop) -> None:
    await twins(shop)
    order = await shop.ordered("car_1")
    shop.clock.advance(seconds=3600)
    await shop.checkout.job("sweep")()
    await shop.held("car_2")

    await shop.pay(order, PAYS)
    assert await shop.checkout.job("refunds")() == 1

    assert (await shop.car("car_1"), await shop.car("car_2")) == ("available", "held")
    assert (await shop.read(order))["state"] == "refunded"
    assert await shop.broken_invariants() == {}


async def test_which_car_somebody_holds_does_not_change_under_them(shop: Shop) -> None:
    await shop.list_car("car_1", identity=THE_SAME)
    await shop.held("car_1")

    await shop.list_car("car_1", identity="b" * 64)
    await shop.list_car("car_2", identity=THE_SAME)

    assert (await shop.hold("car_2")).status_code == 409


async def test_cars_that_two_shoppers_have_already_stop_no_catalogue(shop: Shop) -> None:
    """As before identities were known: each keeps what was promised, and nobody else is."""
    first = await shop.held("car_1")
    second = await shop.held("car_2")

    await twins(shop)

    assert await shop.rows("SELECT car_id FROM cars WHERE identity IS NOT NULL") == [("car_1",)]
    assert (await shop.order(first["hold_id"])).status_code == 201
    await shop.checkout.public.delete(f"/api/checkout/v1/holds/{second['hold_id']}")
    assert (await shop.hold("car_2")).status_code == 409
    assert await shop.broken_invariants() == {}


async def test_a_car_that_somebody_holds_becomes_known_by_its_vin_at_once(shop: Shop) -> None:
    await shop.list_car("car_1")
    await shop.held("car_1")

    await twins(shop)

    assert (await shop.hold("car_2")).status_code == 409
    await shop.list_car("car_1", identity="b" * 64)
    assert (await shop.hold("car_2")).status_code == 409


async def test_a_car_that_was_traded_in_is_sold_again_after_a_month(shop: Shop) -> None:
    await shop.list_car("car_1", identity=THE_SAME)
    order = await shop.confirmed("car_1")
    await shop.act(order, "handover")
    await shop.withdraw_car("car_1")

    await shop.list_car("car_2", identity=THE_SAME)
    assert (await shop.hold("car_2")).status_code == 409

    shop.clock.advance(seconds=RESALE_AFTER.total_seconds() + 1)
    await shop.list_car("car_2", identity=THE_SAME)
    assert (await shop.hold("car_2")).status_code == 201
    assert await shop.broken_invariants() == {}


async def test_an_order_is_readable_however_far_away_its_handover_is(shop: Shop) -> None:
    """Feeds are bounded now; a fact of an older catalogue is not."""
    await shop.list_car("car_1", ready_for_handover_at="9999-12-31T23:59:59.000Z")

    order = await shop.confirmed("car_1")
    assert order["state"] == "confirmed"

    await shop.damage(
        "UPDATE orders SET pick_up_by = NULL, ready_for_handover_at = '9999-12-31 23:59:59'"
    )
    assert (await shop.read(order))["ready_for_handover_at"] == "9999-12-31T23:59:59.000Z"


async def test_a_returned_car_is_free_under_another_id_once_its_dealer_has_it(shop: Shop) -> None:
    await shop.list_car("car_1", identity=THE_SAME)
    order = await shop.confirmed("car_1")
    await shop.act(order, "handover")
    await shop.act(order, "return", {"reason": "defect"})
    shop.clock.advance(seconds=RESALE_AFTER.total_seconds() + 1)

    await shop.list_car("car_2", identity=THE_SAME)
    on_its_way = await shop.hold("car_2")
    await shop.act(order, "return-receipt")
    await shop.list_car("car_2", identity=THE_SAME)

    assert (on_its_way.status_code, (await shop.hold("car_2")).status_code) == (409, 201)
    assert await shop.broken_invariants() == {}


async def test_cars_that_no_catalogue_knows_apart_stay_on_offer_while_others_are_taken(
    shop: Shop,
) -> None:
    await shop.held("car_2")
    hold = await shop.held("car_1")

    await shop.list_car("car_1")  # its feed says the same once more
    await shop.checkout.public.delete(f"/api/checkout/v1/holds/{hold['hold_id']}")

    assert (await shop.hold("car_1")).status_code == 201
