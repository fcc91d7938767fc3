"""Days that a shopper has: counted from when the car can be collected, not from the click."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from app.kernel.opening import Calendar
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
async def test_a_dealer_without_stated_hours_keeps_a_car_for_72_hours_once_it_can_be_collected(
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
    assert returned.json()["state"] == "return_requested"


WEEKDAYS = Calendar(
    "SE",
    "Europe/Stockholm",
    ((("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"), "08:30", "17:30"),),
)


async def test_the_days_to_collect_a_car_are_days_on_which_its_dealer_is_open(shop: Shop) -> None:
    shop.clock.advance(days=26, hours=8)  # Wednesday the 23rd of December, 18:00 in Stockholm
    order = await _confirmed(shop, handover_lead_seconds=0, dealer_calendar=WEEKDAYS.text())

    assert (order["ready_for_handover_at"], order["pick_up_by"]) == (
        "2026-12-28T07:30:00.000Z",
        "2027-01-04T16:30:00.000Z",  # the eve is closed, and the 30th comes before 72 hours
    )
    shop.clock.advance(days=11, hours=23)
    assert await shop.checkout.job("lapse")() == 0
    shop.clock.advance(hours=1)
    assert await shop.checkout.job("lapse")() == 1


async def test_a_later_calendar_does_not_move_what_was_promised(shop: Shop) -> None:
    calendar = WEEKDAYS.text()
    order = await _confirmed(shop, handover_lead_seconds=0, dealer_calendar=calendar)

    shorter = replace(WEEKDAYS, hours=((("Monday",), "08:30", "09:00"),))
    await shop.list_car("car_late", handover_lead_seconds=0, dealer_calendar=shorter.text())

    assert order["pick_up_by"] == "2026-12-02T16:30:00.000Z"
    assert (await shop.read(order))["pick_up_by"] == order["pick_up_by"]


async def test_an_order_of_the_version_before_keeps_its_72_hours(shop: Shop) -> None:
    order = await _confirmed(shop, handover_lead_seconds=0, dealer_calendar=WEEKDAYS.text())
    async with shop.checkout.service.database.transaction() as transaction:
        await transaction.execute(text("UPDATE orders SET pick_up_by = NULL"))

    assert (await shop.read(order))["pick_up_by"] == "2026-11-30T09:00:40.000Z"
    shop.clock.advance(hours=72)
    assert await shop.checkout.job("lapse")() == 1
