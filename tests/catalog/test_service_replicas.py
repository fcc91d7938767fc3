"""The catalogue on either database: one schema, several replicas, a change feed without gaps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection

from app.catalog.main import build
from app.catalog.models import METADATA
from app.contracts.catalog import CarPage
from app.contracts.stock import CarChange, StockClient
from app.kernel.clock import ManualClock
from rigs.postgres import LocalPostgres
from tests.builders.checkout_events import CheckoutEvents
from tests.builders.feeds import car, feed
from tests.builders.services import DEALER, Running, running, synthetic_headers

TUESDAY = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
CARS = "/api/catalog/v1/cars"


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)]
)
def server(request: pytest.FixtureRequest) -> Iterator[LocalPostgres | None]:
    if request.param == "sqlite":
        yield None
        return
    with LocalPostgres(databases=("catalog",)) as postgres:
        yield postgres


@pytest.fixture
def url(server: LocalPostgres | None, tmp_path: Path) -> str:
    """An empty database."""
    if server is None:
        return f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    server.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public", database="catalog")
    return server.url("catalog")


@asynccontextmanager
async def replica(
    folder: Path,
    url: str,
    checkout: CheckoutEvents | None = None,
    clock: ManualClock | None = None,
) -> AsyncIterator[Running]:
    others = {("checkout", True): checkout.app} if checkout else {}
    async with running(
        folder,
        {"catalog": build},
        clock=clock or ManualClock(TUESDAY),
        others=others,
        databases={"catalog": url},
    ) as services:
        yield services["catalog"]


async def all_changes(shop: Running, *, after: int = 0, limit: int = 1000) -> list[CarChange]:
    client, found, more = StockClient(shop.internal), [], True
    while more:
        page = await client.changes(after=after, limit=limit)
        found += page.items
        after, more = page.version, page.more
    return found


async def all_events(shop: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        response = await shop.internal.get(
            "/internal/catalog/events", params={"consumer": "test", "after": len(found)}
        )
        items = response.json()["items"]
        if not items:
            return found
        found += items


async def test_migrations_make_exactly_the_tables_of_the_models(tmp_path: Path, url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))

    async with (
        replica(tmp_path, url) as shop,
        shop.service.database.engine.connect() as connection,
    ):
        assert await connection.run_sync(differences) == []


async def test_replicas_that_start_together_import_the_stock_once(tmp_path: Path, url: str) -> None:
    async with AsyncExitStack() as stack:
        first, second = await asyncio.gather(
            stack.enter_async_context(replica(tmp_path / "a", url)),
            stack.enter_async_context(replica(tmp_path / "b", url)),
        )
        kinds = [event["type"] for event in await all_events(first)]
        changes = await all_changes(second)
        lists = [(await shop.public.get(CARS)).content for shop in (first, second)]

    assert kinds.count("catalog.feed.imported") == 8
    assert kinds.count("catalog.car.listed") == 1520
    assert [change.version for change in changes] == list(range(1, 1521))
    assert lists[0] == lists[1]


async def test_a_change_made_by_one_replica_reaches_the_others(tmp_path: Path, url: str) -> None:
    checkout = CheckoutEvents()
    async with (
        replica(tmp_path / "a", url, checkout) as one,
        replica(tmp_path / "b", url, checkout) as other,
    ):
        before = CarPage.model_validate_json((await other.public.get(CARS)).content)
        chosen = before.items[0].car_id
        checkout.car_is(chosen, "held")
        await one.job("follow-checkout")()
        await other.job("follow-checkout")()  # has no lease: only looks whether all is read
        await one.public.post(
            "/api/catalog/v1/feeds/acme",
            content=feed([car("A1")]),
            params={"market": "SE"},
            headers=DEALER,
        )

        await other.job("refresh-shelf")()
        after = CarPage.model_validate_json((await other.public.get(CARS)).content)

    assert after.total == before.total  # one held, one new
    assert chosen not in {item.car_id for item in after.items}
    assert checkout.asked_after == [0, 1, 1]


async def test_the_change_feed_read_in_small_pages_misses_nothing(tmp_path: Path, url: str) -> None:
    checkout = CheckoutEvents()
    async with replica(tmp_path, url, checkout) as shop:
        whole = await all_changes(shop)
        assert await all_changes(shop, limit=97) == whole

        newest = whole[-1].version
        checkout.car_is(whole[3].car_id, "reserved")
        await shop.job("follow-checkout")()
        fresh = await all_changes(shop, after=newest)

    assert [(change.car_id, change.state, change.version) for change in fresh] == [
        (whole[3].car_id, "reserved", newest + 1)
    ]
    assert fresh[0].car.car_id == fresh[0].car_id
    assert {change.rehearsal for change in whole} == {True, False}


async def test_sold_rehearsal_cars_are_replaced_through_the_importer(
    tmp_path: Path, url: str
) -> None:
    checkout = CheckoutEvents()
    proof = synthetic_headers(TUESDAY)
    async with replica(tmp_path, url, checkout) as shop:
        first = await _rehearsal_cars(shop, proof)
        for sold in first[:65]:
            checkout.car_is(sold, "sold")
        checkout.car_is(first[65], "held")
        await shop.job("follow-checkout")()
        await shop.job("replenish-rehearsal")()
        await shop.job("refresh-shelf")()
        second = await _rehearsal_cars(shop, proof)

        await shop.job("replenish-rehearsal")()
        await shop.job("refresh-shelf")()
        third = await _rehearsal_cars(shop, proof)
        people = (await shop.public.get(CARS, params={"market": "SE"})).json()["total"]
        bought = await shop.public.get(f"{CARS}/{first[0]}", headers=proof)
        held = await shop.public.get(f"{CARS}/{first[65]}", headers=proof)

    assert len(second) == 120
    assert set(first[66:]) < set(second)
    assert set(second).isdisjoint(first[:66])
    assert third == second
    assert people == 420
    assert (bought.json()["state"], held.json()["state"]) == ("sold", "held")


async def test_the_shipped_feeds_are_imported_again_when_they_are_due(
    tmp_path: Path, url: str
) -> None:
    clock = ManualClock(TUESDAY)
    async with replica(tmp_path, url, clock=clock) as shop:
        first = await _imports(shop)
        await shop.job("renew-feeds")()
        early = await _imports(shop)
        clock.advance(minutes=11)
        await shop.job("renew-feeds")()
        later = await _imports(shop)

    assert early == first
    assert [import_["source"] for import_ in later[len(first) :]] == [
        *["ellevar"] * 4,
        *["rehearsal"] * 4,
    ]
    assert all(import_["removed"] == 0 for import_ in later)


async def _imports(shop: Running) -> list[dict[str, Any]]:
    events = await all_events(shop)
    return [event["data"] for event in events if event["type"] == "catalog.feed.imported"]


async def _rehearsal_cars(shop: Running, proof: dict[str, str]) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        query = httpx.QueryParams({"market": "SE", "limit": 100})
        query = query.set("cursor", cursor) if cursor else query
        response = await shop.public.get(CARS, params=query, headers=proof)
        page = CarPage.model_validate_json(response.content)
        found += [item.car_id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found
