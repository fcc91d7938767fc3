"""Days that a shopper has: counted from when the car can be collected, not from the click."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.shop import PAYS, Shop

TWO_WEEKS = 14 * 24 * 3600


async def _confirmed(shop: Shop, **handover: Any) -> dict[str, Any]:
    await shop.list_car("car_late", **handover)
    order = await shop.ordered("car_late")
    shop.clock.advance(seconds=40)
    await shop.pay(order, PAYS)
    return {**await shop.read(order), "order_token": order["order_token"]}


@pytest.mark.parametrize(
    ("handover", "ready_at", "pick_up_by"),
    [
        ({}, None, "2026-11-30T09:00:40.000Z"),
        (
            {"ready_for_handover_at": "2026-12-11T12:00:00Z"},
            "2026-12-11T12:00:00.000Z",
            "2026-12-14T12:00:00.000Z",
        ),
        (
            {"ready_for_handover_at": "2026-11-01T12:00:00Z"},
            "2026-11-27T09:00:00.000Z",
            "2026-11-30T09:00:40.000Z",
        ),
        (
            {"handover_lead_seconds": TWO_WEEKS},
            "2026-12-11T09:00:00.000Z",
            "2026-12-14T09:00:00.000Z",
        ),
        ({"handover_lead_seconds": 0}, "2026-11-27T09:00:00.000Z", "2026-11-30T09:00:40.000Z"),
    ],
    ids=["not stated", "on a day", "a day that has passed", "so long after the order", "at once"],
)
async def test_the_dealer_keeps_a_car_for_72_hours_once_it_can_be_collected(
    shop: Shop, handover: dict[str, Any], ready_at: str | None, pick_up_by: str
) -> None:
    order = await _confirmed(shop, **handover)

    assert (order["ready_for_handover_at"], order["pick_up_by"]) == (ready_at, pick_up_by)


async def test_a_car_that_is_not_there_yet_does_not_lapse(shop: Shop) -> None:
    order = await _confirmed(shop, handover_lead_seconds=TWO_WEEKS)

    shop.clock.advance(days=16, hours=23)
    assert await shop.checkout.job("lapse")() == 0
    shop.clock.advance(hours=1)
    assert await shop.checkout.job("lapse")() == 1

    lapsed = await shop.read(order)
    assert (lapsed["state"], lapsed["message"]) == (
        "cancelled",
        "The car was not picked up in time. Your deposit goes back in full.",
    )


async def test_a_later_feed_does_not_move_the_day_that_the_shopper_was_told(shop: Shop) -> None:
    order = await _confirmed(shop, ready_for_handover_at="2026-12-11T12:00:00Z")

    await shop.list_car("car_late", ready_for_handover_at="2026-12-24T12:00:00Z")

    assert (await shop.read(order))["pick_up_by"] == "2026-12-14T12:00:00.000Z"


async def test_a_car_can_be_returned_for_14_days_after_handover_however_late_that_was(
    shop: Shop,
) -> None:
    order = await _confirmed(shop, handover_lead_seconds=TWO_WEEKS)
    shop.clock.advance(days=16)
    handed_over = await shop.act(order, "handover")
    shop.clock.advance(days=14)

    returned = await shop.act(order, "return", {"reason": "changed_mind"})

    assert (handed_over.status_code, returned.status_code) == (200, 200)
    assert returned.json()["state"] == "returned"
