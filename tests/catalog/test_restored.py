"""A catalogue whose database was restored: who kept a picture of it draws it anew."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import text

from app.advisor.gateways import CatalogFollower
from app.advisor.showroom import Showroom
from app.catalog.main import build
from app.catalog.restating import offers_as_facts
from app.kernel.clock import ManualClock
from tests.builders.feeds import car, feed
from tests.builders.services import DEALER, Running, running
from tests.builders.showroom import TUESDAY

CARS = "/api/catalog/v1/cars"


async def _import(shop: Running, *stock_ids: str) -> None:
    answer = await shop.public.post(
        "/api/catalog/v1/feeds/nordbil?market=SE",
        content=feed([car(stock_id) for stock_id in stock_ids]),
        headers={**DEALER, "content-type": "text/tab-separated-values"},
    )
    assert answer.status_code == 200, answer.text


async def _follow(room: Showroom, shop: Running) -> set[str]:
    await CatalogFollower(room, public=shop.public, internal=shop.internal).refresh()
    return {
        offered.car.car_id
        for market in ("SE", "NO", "DK", "FI")
        for offers in room.offers(rehearsal=False, market=market).values()
        for offered in offers
    }


async def test_the_advisor_forgets_cars_that_a_restored_catalogue_does_not_know(
    tmp_path: Path,
) -> None:
    room, clock = Showroom(), ManualClock(TUESDAY)
    file = tmp_path / "catalog.db"
    async with running(tmp_path, {"catalog": build}, clock=clock) as services:
        await services["catalog"].internal.get("/internal/catalog/events")  # it has an epoch
        shipped = await _follow(room, services["catalog"])
    shutil.copy(file, tmp_path / "backup")
    async with running(tmp_path, {"catalog": build}, clock=clock) as services:
        await _import(services["catalog"], "A1", "A2")
        more = await _follow(room, services["catalog"])
    shutil.copy(tmp_path / "backup", file)
    async with running(tmp_path, {"catalog": build}, clock=clock) as services:
        restored = await _follow(room, services["catalog"])

    assert (len(more - shipped), restored) == (2, shipped)


async def test_a_replica_that_runs_on_draws_the_restored_stock_anew(tmp_path: Path) -> None:
    clock = ManualClock(TUESDAY)
    async with running(tmp_path, {"catalog": build}, clock=clock) as services:
        shop = services["catalog"]
        await shop.internal.get("/internal/catalog/events")
        await shop.job("refresh-shelf")()
        before = (await shop.public.get(f"{CARS}?market=SE&limit=1")).json()["total"]
        await _import(shop, "A1", "A2")
        await shop.job("refresh-shelf")()
        with_new = (await shop.public.get(f"{CARS}?market=SE&limit=1")).json()["total"]
        async with shop.service.database.transaction() as transaction:
            await transaction.execute(text("DELETE FROM cars WHERE source = 'nordbil'"))
            await transaction.execute(
                text("UPDATE stock_head SET version = (SELECT MAX(version) FROM cars)")
            )
        await shop.job("refresh-shelf")()
        after = (await shop.public.get(f"{CARS}?market=SE&limit=1")).json()["total"]

    assert (with_new, after) == (before + 2, before)


async def test_what_the_catalogue_stands_for_is_what_its_feeds_said(tmp_path: Path) -> None:
    async with running(tmp_path, {"catalog": build}, clock=ManualClock(TUESDAY)) as services:
        shop = services["catalog"]
        await _import(shop, "A1", "A2")
        await _import(shop, "A1", "A3", "A4")
        stated: dict[str, object] = {}
        after = 0
        while True:
            page = (await shop.internal.get(f"/internal/catalog/events?after={after}")).json()
            if not page["items"]:
                break
            after = page["items"][-1]["sequence"]
            for event in page["items"]:
                if event["type"] in ("catalog.car.listed", "catalog.car.withdrawn"):
                    stated[event["data"]["car_id"]] = (event["type"], event["data"])
        async with shop.service.database.transaction() as transaction:
            facts = await offers_as_facts(transaction)
        anew = {fact.car_id: (fact.TYPE, asdict(fact)) for fact, _ in facts}  # type: ignore[attr-defined]

    assert anew == stated
