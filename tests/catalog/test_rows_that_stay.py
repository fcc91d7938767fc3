"""A row that is there is the same car as before, whatever it leaves out or gets wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.catalog.documents import car_id_of
from app.kernel.clock import ManualClock, rfc3339
from tests.builders.checkout_events import CheckoutEvents
from tests.builders.feeds import car, feed
from tests.builders.services import DEALER, Running

VIN = "YS3FB45S231000017"
OTHER = "WBA3A5C50DF358011"
DAY = 86_400
BROKEN = {"price": "559900,00 SEK"}
TENTH = {"price": "55990.00 SEK"}


async def post(shop: Running, source: str, *rows: dict[str, str], **query: str) -> Any:
    return await shop.public.post(
        f"/api/catalog/v1/feeds/{source}",
        content=feed(rows),
        params={"market": "SE", **query},
        headers=DEALER,
    )


async def send(shop: Running, source: str, *rows: dict[str, str], **query: str) -> Any:
    answer = await post(shop, source, *rows, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def told(report: Any, of: str = "rejections") -> list[tuple[str, str]]:
    return [(row["stock_id"], row["reason"]) for row in report[of]]


async def becomes(shop: Running, checkout: CheckoutEvents, state: str, *cars: str) -> None:
    for name in cars:
        source, stock_id = name.split()
        checkout.car_is(car_id_of(source, "SE", stock_id), state)
    await shop.job("follow-checkout")()


async def listed(shop: Running) -> list[str]:
    async with shop.service.database.read() as connection:
        rows = await connection.execute(text("SELECT source, stock_id FROM cars WHERE listed"))
        return sorted(f"{source} {stock_id}" for source, stock_id in rows)


async def withdrawn(shop: Running) -> list[bool]:
    """Of every withdrawal that was told: whether the feed still has the car."""
    async with shop.service.database.read() as connection:
        rows = await connection.execute(
            text(
                "SELECT data ->> 'in_feed' FROM outbox WHERE type = 'catalog.car.withdrawn'"
                " ORDER BY position"
            )
        )
        return [str(value) in ("1", "true") for (value,) in rows]


async def test_an_empty_vin_is_not_another_car(shop: Running, clock: ManualClock) -> None:
    await send(shop, "group", car("G1", vin=VIN), car("G2"))

    assert (await send(shop, "group", car("G1"), car("G2")))["unchanged"] == 2
    assert told(await send(shop, "agency", car("A1", vin=VIN))) == [("A1", "duplicate_vin")]
    # Nor after it was left out for a while; it is another car when it was gone for good.
    await send(shop, "group", car("G2"))
    await send(shop, "agency", car("A1", vin=VIN))
    assert told(await send(shop, "group", car("G1"), car("G2"))) == [("G1", "duplicate_vin")]
    await send(shop, "group", car("G2"))
    clock.advance(seconds=31 * DAY)
    assert (await send(shop, "group", car("G1"), car("G2")))["accepted"] == 1
    assert await listed(shop) == ["agency A1", "group G1", "group G2"]


@pytest.mark.parametrize("before", [[], [car("A1")], [car("A1", vin=OTHER)]])
async def test_what_a_refused_row_stated_is_not_forgotten_by_an_empty_cell(
    shop: Running, before: list[dict[str, str]]
) -> None:
    await send(shop, "group", car("G1", vin=VIN))
    await send(shop, "agency", *before)
    assert told(await send(shop, "agency", car("A1", vin=VIN))) == [("A1", "duplicate_vin")]

    assert told(await send(shop, "agency", car("A1"))) == [("A1", "duplicate_vin")]

    assert await listed(shop) == ["group G1"]
    await send(shop, "group")
    assert (await send(shop, "agency", car("A1")))["accepted"] == 1


async def test_two_rows_of_one_feed_are_never_one_car(shop: Running) -> None:
    await send(shop, "group", car("G1", vin=VIN))
    await send(shop, "group", car("G2", vin=VIN))

    report = await send(shop, "group", car("G1"), car("G2", vin=VIN))

    assert told(report) == [("G1", "duplicate_vin")]
    assert "'G2' in the same feed" in report["rejections"][0]["message"]
    # The row that states the VIN has the car.
    assert told(await send(shop, "group", car("G1", vin=VIN), car("G2"))) == [
        ("G2", "duplicate_vin")
    ]
    assert await listed(shop) == ["group G1"]


@pytest.mark.parametrize("state", ["held", "reserved", "sold"])
async def test_a_vin_that_is_filled_in_counts_at_once_whoever_has_the_car(
    shop: Running, checkout: CheckoutEvents, state: str
) -> None:
    await send(shop, "group", car("G1"))
    await becomes(shop, checkout, state, "group G1")

    await send(shop, "group", car("G1", vin=VIN))

    assert told(await send(shop, "agency", car("A1", vin=VIN))) == [("A1", "duplicate_vin")]


@pytest.mark.parametrize("before", [{}, {"vin": OTHER}])
async def test_a_car_that_somebody_has_goes_off_sale_in_every_other_feed(
    shop: Running, checkout: CheckoutEvents, before: dict[str, str]
) -> None:
    await send(shop, "group", car("G1", **before))
    await becomes(shop, checkout, "held", "group G1")
    await send(shop, "agency", car("A1", vin=VIN))

    report = await send(shop, "group", car("G1", vin=VIN))

    assert ("G1", "vin_elsewhere") in told(report, "notices")
    assert "'A1' of the source agency" in report["notices"][-1]["message"]
    assert await listed(shop) == ["group G1"]
    assert told(await send(shop, "agency", car("A1", vin=VIN))) == [("A1", "duplicate_vin")]
    # Given back and gone, it is the agency's again.
    await becomes(shop, checkout, "available", "group G1")
    await send(shop, "group")
    assert (await send(shop, "agency", car("A1", vin=VIN)))["accepted"] == 1


async def test_a_corrected_vin_waits_and_is_kept_from_others_meanwhile(
    shop: Running, checkout: CheckoutEvents
) -> None:
    await send(shop, "group", car("G1", vin=VIN))
    await becomes(shop, checkout, "held", "group G1")

    for row in (car("G1", vin=OTHER), car("G1"), car("G1", vin=OTHER)):
        report = await send(shop, "group", row)
        assert ("G1", "vin_waits") in told(report, "notices")
    both = [car("A1", vin=VIN), car("A2", vin=OTHER)]
    assert len(told(await send(shop, "agency", *both))) == 2
    await becomes(shop, checkout, "available", "group G1")
    assert len(told(await send(shop, "agency", *both))) == 2

    taken = await send(shop, "group", car("G1", vin=OTHER))
    assert ("G1", "vin_waits") not in told(taken, "notices")
    assert told(await send(shop, "agency", *both)) == [("A2", "duplicate_vin")]


async def test_a_car_that_two_customers_have_is_offered_to_nobody_else(
    shop: Running, checkout: CheckoutEvents
) -> None:
    await send(shop, "group", car("G1"))
    await send(shop, "agency", car("A1", vin=VIN))
    await becomes(shop, checkout, "held", "group G1", "agency A1")

    report = await send(shop, "group", car("G1", vin=VIN))

    assert "customers have this car twice" in report["rejections"][0]["message"]
    assert (report["promised"], await listed(shop)) == (["G1"], [])
    await becomes(shop, checkout, "available", "agency A1")
    assert told(await send(shop, "agency", car("A1", vin=VIN))) == [("A1", "duplicate_vin")]
    await becomes(shop, checkout, "available", "group G1")
    assert (await send(shop, "agency", car("A1", vin=VIN)))["accepted"] == 1
    assert told(await send(shop, "group", car("G1", vin=VIN))) == [("G1", "duplicate_vin")]


async def test_a_rejected_row_takes_its_car_off_sale_and_keeps_its_place(shop: Running) -> None:
    await send(shop, "group", car("G1", vin=VIN), car("G2"))

    await send(shop, "group", car("G1", vin=VIN, **BROKEN), car("G2"))

    assert await listed(shop) == ["group G2"]
    assert told(await send(shop, "agency", car("A1", vin=VIN))) == [("A1", "duplicate_vin")]
    assert (await send(shop, "group", car("G1", vin=VIN), car("G2")))["accepted"] == 1
    # A row that cannot be read wins no place from those who have it.
    await send(shop, "group", car("G2"))
    await send(shop, "agency", car("A1", vin=VIN))
    await send(shop, "group", car("G1", vin=VIN, **BROKEN), car("G2"))
    assert (await send(shop, "agency", car("A1", vin=VIN)))["unchanged"] == 1


@pytest.mark.parametrize(
    "rows",
    [
        [car("G1", vin=VIN, **BROKEN), car("G2")],
        [car("G1", vin=VIN), car("G1", vin=OTHER), car("G2")],
        [car("G1", vin=VIN), car("G3", vin=VIN), car("G2")],
        [car("G1", vin="no vin"), car("G2")],
        [car("G9", vin=VIN), car("G2")],
    ],
    ids=["bad price", "id twice", "vin twice", "bad vin", "another id"],
)
@pytest.mark.parametrize("state", ["available", "sold"])
async def test_checkout_hears_whether_a_withdrawn_car_is_still_in_its_feed(
    shop: Running, checkout: CheckoutEvents, rows: list[dict[str, str]], state: str
) -> None:
    await send(shop, "group", car("G1", vin=VIN), car("G2"))
    await becomes(shop, checkout, state, "group G1")

    await send(shop, "group", *rows)
    await send(shop, "group", *rows)
    assert await withdrawn(shop) == [True]
    await send(shop, "group", car("G2"))

    assert (await withdrawn(shop))[:2] == [True, False]


async def test_the_vin_of_a_rejected_row_counts_for_a_car_that_came_back(
    shop: Running, checkout: CheckoutEvents
) -> None:
    await send(shop, "group", car("G1"))
    await becomes(shop, checkout, "reserved", "group G1")
    await send(shop, "group")

    await send(shop, "group", car("G1", vin=VIN, **BROKEN))

    assert told(await send(shop, "agency", car("A1", vin=VIN))) == [("A1", "duplicate_vin")]


@pytest.mark.parametrize("stock_id", ["G1", ""])
async def test_the_vin_of_a_rejected_row_counts(
    shop: Running, checkout: CheckoutEvents, stock_id: str
) -> None:
    """By the row of a car that a customer has, or by any row of one that is known."""
    await send(shop, "group", car("G1", **({} if stock_id else {"vin": VIN})), car("G2"))
    if stock_id:
        await becomes(shop, checkout, "held", "group G1")
        await send(shop, "agency", car("A1", vin=VIN))

    await send(shop, "group", car(stock_id, vin=VIN, **BROKEN), car("G2"))

    assert await listed(shop) == ["group G2"]
    assert told(await send(shop, "agency", car("A1", vin=VIN))) == [("A1", "duplicate_vin")]


async def test_one_broken_row_does_not_close_a_shop(shop: Running) -> None:
    await send(shop, "group", car("G1"))

    for row in (car("G1", **BROKEN), car("G7", **BROKEN)):
        refused = await post(shop, "group", row)
        assert refused.status_code == 409
        detail = refused.json()["detail"]
        assert "remove 1 of 1 cars that group has on offer in SE; no row of it can be" in detail
        assert "Rejected rows: 1; the first: Row 2: price '559900,00 SEK' is not a" in detail
    assert await listed(shop) == ["group G1"]
    assert (await post(shop, "group")).status_code == 200


@pytest.mark.parametrize(
    ("between", "after"),
    [
        ([], [car("G9", vin=VIN, **TENTH)]),
        ([[car("G2")]], [car("G1", vin=VIN, **TENTH)]),
        ([[car("G2")]], [car("G9", vin=VIN, **TENTH)]),
        ([[car("G1", vin=VIN, **BROKEN)]], [car("G1", vin=VIN, **TENTH)]),
        ([[car("G1", vin=VIN, **BROKEN)], [car("G2")]], [car("G1", **TENTH)]),
    ],
    ids=["renumbered", "left out once", "left out and renumbered", "rejected once", "both"],
)
async def test_a_price_is_compared_with_the_last_one_of_the_same_car(
    shop: Running,
    clock: ManualClock,
    between: list[list[dict[str, str]]],
    after: list[dict[str, str]],
) -> None:
    kept = car("G2")
    await send(shop, "group", car("G1", vin=VIN), kept)
    for rows in between:
        await send(shop, "group", *rows, *([] if kept in rows else [kept]))

    refused = await post(shop, "group", *after, kept)

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/prices-guarded")
    await send(shop, "group", kept)
    clock.advance(seconds=31 * DAY)
    await send(shop, "group", *after, kept)


async def test_another_source_is_held_to_the_cars_last_price(shop: Running) -> None:
    await send(shop, "group", car("G1", vin=VIN))
    await send(shop, "group")

    assert (await post(shop, "agency", car("A1", vin=VIN, **TENTH))).status_code == 409
    await send(shop, "agency", car("A1", vin=VIN, **TENTH), confirm_prices="true")


async def test_a_price_that_falls_while_a_shopper_has_the_car_is_guarded(
    shop: Running, checkout: CheckoutEvents
) -> None:
    await send(shop, "group", car("G1"))
    await becomes(shop, checkout, "held", "group G1")

    assert (await post(shop, "group", car("G1", **TENTH))).status_code == 409


async def test_cars_that_change_their_ids_among_them_keep_their_prices(shop: Running) -> None:
    dear, cheap = {"price": "900000.00 SEK"}, {"price": "200000.00 SEK"}
    await send(shop, "group", car("G1", vin=VIN, **dear), car("G2", vin=OTHER, **cheap))

    swapped = await send(shop, "group", car("G2", vin=VIN, **dear), car("G1", vin=OTHER, **cheap))

    assert swapped["accepted"] == 2


async def test_a_file_of_nothing_but_broken_rows_is_answered_briefly(shop: Running) -> None:
    report = await send(shop, "group", *(car(f"G{n}", **BROKEN) for n in range(1200)))

    assert (report["rejected"], len(report["rejections"])) == (1200, 1000)
    assert report["more_rejections"] == 200


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (feed([]) + b"x\n" * 100_001, "100,002 lines; 100,000 is the most"),
        (feed([]) + b"\r" * 100_001, "100,001 lines; 100,000 is the most"),
        (b"id\t" * 40_000, "first line has more than 100,000 characters"),
    ],
)
async def test_what_a_file_costs_to_read_is_bounded(
    shop: Running, content: bytes, says: str
) -> None:
    answer = await shop.public.post(
        "/api/catalog/v1/feeds/group?market=SE", content=content, headers=DEALER
    )

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/feed-unreadable")
    assert says in answer.json()["detail"]


async def test_a_clock_that_goes_ahead_does_not_keep_later_exports_away(
    shop: Running, clock: ManualClock
) -> None:
    await send(shop, "group", car("G1"), exported_at=rfc3339(clock.now() + timedelta(minutes=50)))
    clock.advance(seconds=60)
    await send(shop, "group", car("G1"), exported_at=rfc3339(clock.now()))
