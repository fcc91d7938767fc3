"""One physical car is one offer, whatever feeds, markets and stock ids it stands in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.catalog.documents import car_id_of
from app.catalog.main import build
from app.kernel.clock import ManualClock
from tests.builders.checkout_events import CheckoutEvents
from tests.builders.feeds import car, feed
from tests.builders.services import DEALER, Running, running
from tests.conftest import NewDatabase

VIN = "YS3FB45S231000017"
OTHER = "WBA3A5C50DF358011"
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
NORWEGIAN = {
    "price": "559900.00 NOK",
    "vehicle_fulfillment(option:store_code)": "in_store:NO-OSL-1",
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def shop(
    tmp_path: Path,
    clock: ManualClock,
    checkout: CheckoutEvents,
    new_database: NewDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Running]:
    monkeypatch.setenv("CATALOG_REHEARSAL", "false")
    others = {("checkout", True): checkout.app}
    databases = {"catalog": new_database("catalog")}
    async with running(
        tmp_path, {"catalog": build}, clock=clock, others=others, databases=databases
    ) as services:
        yield services["catalog"]


async def send(shop: Running, source: str, *rows: dict[str, str], market: str = "SE") -> Any:
    answer = await shop.public.post(
        f"/api/catalog/v1/feeds/{source}",
        content=feed(rows),
        params={"market": market},
        headers=DEALER,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def reasons(report: Any) -> list[str]:
    return [row["reason"] for row in report["rejections"]]


async def listed(shop: Running) -> list[str]:
    """Sources and ids that are on offer with a VIN."""
    async with shop.service.database.read() as connection:
        rows = await connection.execute(
            text("SELECT source, stock_id FROM cars WHERE listed AND identity IS NOT NULL")
        )
        return sorted(f"{source} {stock_id}" for source, stock_id in rows)


async def becomes(shop: Running, checkout: CheckoutEvents, stock_id: str, state: str) -> None:
    checkout.car_is(car_id_of("group", "SE", stock_id), state)
    await shop.job("follow-checkout")()


async def test_a_second_source_cannot_list_a_car_until_the_first_drops_it(shop: Running) -> None:
    await send(shop, "group", car("G1", vin=VIN), car("G2"))

    second = await send(shop, "agency", car("A1", vin=VIN), car("A2"))

    assert (second["accepted"], reasons(second)) == (1, ["duplicate_vin"])
    assert second["rejections"][0] | {"message": ""} == {
        "row": 2,
        "stock_id": "A1",
        "field": "vin",
        "value": "",
        "reason": "duplicate_vin",
        "message": "",
    }
    assert "the source group lists a car with this VIN in SE" in second["rejections"][0]["message"]
    assert await listed(shop) == ["group G1"]

    await send(shop, "group", car("G2"))
    assert (await send(shop, "agency", car("A1", vin=VIN), car("A2")))["accepted"] == 1
    assert reasons(await send(shop, "group", car("G1", vin=VIN), car("G2"))) == ["duplicate_vin"]
    assert await listed(shop) == ["agency A1"]


@pytest.mark.parametrize(
    "written",
    [VIN.lower(), f"{VIN[:3]}-{VIN[3:9]} {VIN[9:]}", "".join(chr(ord(c) + 0xFEE0) for c in VIN)],
)
async def test_a_vin_is_the_same_however_it_is_written(shop: Running, written: str) -> None:
    await send(shop, "group", car("G1", vin=VIN))

    assert reasons(await send(shop, "agency", car("A1", vin=written))) == ["duplicate_vin"]
    twice = await send(shop, "third", car("T1", vin=OTHER), car("T2", vin=f" {OTHER.lower()} "))
    assert reasons(twice) == ["duplicate_vin"] * 2


async def test_another_market_of_the_same_source_is_another_place(shop: Running) -> None:
    await send(shop, "group", car("G1", vin=VIN))

    abroad = await send(shop, "group", car("G1", vin=VIN, **NORWEGIAN), market="NO")

    assert reasons(abroad) == ["duplicate_vin"]
    assert await listed(shop) == ["group G1"]


async def test_two_imports_at_the_same_moment_list_the_car_once(shop: Running) -> None:
    reports = await asyncio.gather(
        *(send(shop, f"source-{n}", car("S1", vin=VIN)) for n in range(6))
    )

    assert sorted(report["accepted"] for report in reports) == [0] * 5 + [1]
    assert len(await listed(shop)) == 1


async def test_cars_without_a_vin_are_told_apart_by_their_ids_only(shop: Running) -> None:
    assert (await send(shop, "group", car("G1")))["accepted"] == 1
    assert (await send(shop, "agency", car("G1")))["accepted"] == 1


async def test_a_renumbered_car_is_on_offer_once(shop: Running) -> None:
    await send(shop, "group", car("G1", vin=VIN))

    report = await send(shop, "group", car("G9", vin=VIN))

    assert (report["accepted"], report["removed"]) == (1, 1)
    assert await listed(shop) == ["group G9"]


async def test_renumbering_a_whole_stock_loses_no_car(shop: Running) -> None:
    vins = [f"YS3FB45S2310000{number:02}" for number in range(10)]
    await send(shop, "group", *(car(f"G{n}", vin=vin) for n, vin in enumerate(vins)))

    report = await send(shop, "group", *(car(f"N{n}", vin=vin) for n, vin in enumerate(vins)))

    assert (report["accepted"], report["removed"]) == (10, 10)


@pytest.mark.parametrize("state", ["held", "reserved", "sold"])
async def test_a_car_that_somebody_has_does_not_come_back_under_another_id_or_source(
    shop: Running, checkout: CheckoutEvents, state: str
) -> None:
    await send(shop, "group", car("G1", vin=VIN), car("G2"))
    await becomes(shop, checkout, "G1", state)

    for source in ("group", "agency", "group"):
        report = await send(shop, source, car("X1", vin=VIN), car("G2"))
        assert reasons(report) == ["duplicate_vin"]
    assert "customer" in report["rejections"][0]["message"]
    assert await listed(shop) == []


async def test_a_released_car_may_be_listed_under_its_new_id(
    shop: Running, checkout: CheckoutEvents
) -> None:
    await send(shop, "group", car("G1", vin=VIN))
    await becomes(shop, checkout, "G1", "held")
    await send(shop, "group", car("X1", vin=VIN))
    await becomes(shop, checkout, "G1", "available")

    assert (await send(shop, "group", car("X1", vin=VIN)))["accepted"] == 1


async def test_a_sold_car_comes_back_as_a_trade_in_after_a_month(
    shop: Running, checkout: CheckoutEvents, clock: ManualClock
) -> None:
    await send(shop, "group", car("G1", vin=VIN), car("G2"))
    await becomes(shop, checkout, "G1", "sold")
    await send(shop, "group", car("G2"))

    clock.advance(seconds=29 * 86_400)
    assert reasons(await send(shop, "agency", car("A1", vin=VIN))) == ["duplicate_vin"]
    clock.advance(seconds=2 * 86_400)
    assert (await send(shop, "agency", car("A1", vin=VIN)))["accepted"] == 1
    # The first dealer's old row does not push it away.
    assert reasons(await send(shop, "group", car("G1", vin=VIN), car("G2"))) == ["duplicate_vin"]
    assert await listed(shop) == ["agency A1"]


async def test_a_corrected_vin_is_taken_at_once_while_the_car_is_free(shop: Running) -> None:
    await send(shop, "group", car("G1", vin=VIN), car("G2", vin=OTHER))

    swapped = await send(shop, "group", car("G1", vin=OTHER), car("G2", vin=VIN))

    assert (swapped["accepted"], swapped["rejected"]) == (2, 0)
    third = "1M8GDM9AXKP042788"
    await send(shop, "group", car("G1", vin=third), car("G2", vin=VIN))
    assert (await send(shop, "agency", car("A1", vin=OTHER)))["accepted"] == 1


async def test_which_car_somebody_has_does_not_change_under_them(
    shop: Running, checkout: CheckoutEvents
) -> None:
    await send(shop, "group", car("G1", vin=VIN))
    await becomes(shop, checkout, "G1", "held")

    await send(shop, "group", car("G1", vin=OTHER))
    assert reasons(await send(shop, "agency", car("A1", vin=VIN))) == ["duplicate_vin"]

    await becomes(shop, checkout, "G1", "available")
    await send(shop, "group", car("G1", vin=OTHER))
    assert (await send(shop, "agency", car("A1", vin=VIN)))["accepted"] == 1


async def test_no_vin_is_kept_or_told(shop: Running) -> None:
    report = await send(shop, "group", car("G1", vin=VIN))
    again = await send(shop, "agency", car("A1", vin=VIN))

    async with shop.service.database.read() as connection:
        rows = [*await connection.execute(text("SELECT * FROM cars"))]
        facts = [*await connection.execute(text("SELECT data FROM outbox"))]
    assert VIN not in repr([report, again, rows, facts])


async def test_a_sold_car_stays_sold_when_every_secret_is_changed(
    tmp_path: Path, clock: ManualClock, checkout: CheckoutEvents, new_database: NewDatabase
) -> None:
    others = {("checkout", True): checkout.app}
    databases = {"catalog": new_database("catalog")}
    for secret in ("one session key", "another one"):
        async with running(
            tmp_path,
            {"catalog": build},
            clock=clock,
            others=others,
            databases=databases,
            session_key=secret,
        ) as services:
            shop = services["catalog"]
            if secret == "one session key":
                await send(shop, "group", car("G1", vin=VIN))
                await becomes(shop, checkout, "G1", "sold")
            else:
                report = await send(shop, "agency", car("A1", vin=VIN))

    assert reasons(report) == ["duplicate_vin"]
