"""Behind PgBouncer in transaction mode the shop migrates, sells, and sells each car once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from sqlalchemy import text

from app.checkout.lines_postgresql import PAUSE_SECONDS
from app.checkout.signals import Effect
from app.embedded import SERVICES as BUILDS
from app.frame.data.database import Database
from app.frame.settings import ServiceSettings
from app.kernel.clock import ManualClock
from rigs.pgbouncer import LocalPgbouncer
from rigs.postgres import LocalPostgres
from rigs.shop import SERVICES
from tests.builders.services import running
from tests.builders.shop import PAYS, Shop, open_shop

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

LEFT = """
SELECT current_setting('enable_seqscan') AS setting, current_setting('lock_timeout') AS waits,
       (SELECT count(*) FROM pg_prepared_statements) AS statements,
       (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') AS locks
"""
POOL = 3
"""Connections per service: fewer than checkout's pool, let alone those of its lines."""


@pytest.fixture(scope="module")
def server() -> Iterator[LocalPostgres]:
    with LocalPostgres(databases=(*SERVICES, "race", "narrow", "bare")) as server:
        yield server


@pytest.fixture(scope="module")
def pooler(server: LocalPostgres) -> Iterator[LocalPgbouncer]:
    with LocalPgbouncer(server, settings={"default_pool_size": str(POOL)}) as pooler:
        yield pooler


async def test_six_services_migrate_and_stock_up_through_it(
    tmp_path: Path, pooler: LocalPgbouncer, server: LocalPostgres
) -> None:
    builds = {name: build for name, (build, _) in BUILDS.items()}
    urls = {name: pooler.url(name) for name in builds}
    async with running(tmp_path, builds, databases=urls, pooler="transaction") as services:
        await services["checkout"].job("consume:catalog")()
        ready = [
            (await each.internal.get("/health/ready")).status_code for each in services.values()
        ]
        known = (await services["checkout"].internal.get("/internal/checkout/cars/count")).json()

    assert (set(ready), known["available"] > 1000) == ({200}, True)
    assert _connections(server, tuple(builds)) <= POOL * len(builds)


async def test_twenty_shoppers_who_race_for_a_car_have_one_winner_who_buys_it(
    tmp_path: Path,
    clock: ManualClock,
    pooler: LocalPgbouncer,
    server: LocalPostgres,
) -> None:
    urls = {"checkout": pooler.url("race")}
    async with open_shop(tmp_path, clock, urls, cars=21, pooler="transaction") as shop:
        raced = await asyncio.gather(
            *(shop.hold("car_1", **{"x-forwarded-for": f"198.51.100.{n}"}) for n in range(20))
        )
        (won,) = [answer.json() for answer in raced if answer.status_code == 201]
        order = (await shop.order(won["hold_id"])).json()
        await shop.pay(order, PAYS)
        others = await asyncio.gather(
            *(
                shop.hold(f"car_{n + 2}", **{"x-forwarded-for": f"198.51.100.{n}"})
                for n in range(20)
            )
        )

        assert Counter(answer.status_code for answer in raced) == {201: 1, 409: 19}
        assert Counter(answer.status_code for answer in others) == {201: 20}
        assert (await shop.read(order))["state"] == "confirmed"
        assert await shop.broken_invariants() == {}
        assert _effects(shop, "failed") == 0
        assert _effects(shop, "done") > 0
        assert _connections(server, ("race",)) <= POOL
        assert await _left_behind(urls["checkout"]) == {("on", "5s", 0, 0)}


def _effects(shop: Shop, result: str) -> float:
    named = {"service": "checkout", "result": result}
    return sum(
        shop.metric("checkout_effects_total", effect=effect, **named) for effect in get_args(Effect)
    )


async def _left_behind(url: str) -> set[tuple[str, str, int, int]]:
    """What every connection of the pool still has of a transaction before."""
    database = Database(url, pooler="transaction")
    all_of_them = asyncio.Barrier(POOL)

    async def look() -> tuple[str, str, int, int]:
        async with database.read() as connection:
            row = (await connection.execute(text(LEFT))).one()
            await all_of_them.wait()  # at once, so each has another connection
        return row.setting, row.waits, row.statements, row.locks

    found = await asyncio.gather(*(look() for _ in range(POOL)))
    await database.close()
    return set(found)


def _connections(server: LocalPostgres, databases: tuple[str, ...]) -> int:
    open_now = server.query("SELECT datname FROM pg_stat_activity").split()
    return sum(name in databases for name in open_now)


async def test_who_waits_too_long_for_one_of_its_connections_is_told_when_to_come_back(
    tmp_path: Path, clock: ManualClock, server: LocalPostgres
) -> None:
    few = {"default_pool_size": "1", "query_wait_timeout": "1"}
    with LocalPgbouncer(server, settings=few) as narrow:
        urls = {"checkout": narrow.url("narrow")}
        async with open_shop(tmp_path, clock, urls, pooler="transaction") as shop:
            other = Database(narrow.url("narrow"), pooler="transaction")
            async with other.read() as connection:
                await connection.execute(text("SELECT 1"))  # has the only one until it ends
                full = await shop.hold()
            await other.close()
            await asyncio.sleep(PAUSE_SECONDS)
            taken = await shop.hold()

    assert (full.status_code, full.headers["retry-after"], taken.status_code) == (503, "2", 201)


async def test_without_the_setting_a_pooler_is_found_out(pooler: LocalPgbouncer) -> None:
    """Why the setting is there: named statements of one connection meet another one."""
    database = Database(pooler.url("bare"))
    ended = await asyncio.gather(*(_ask(database) for _ in range(60)), return_exceptions=True)
    await database.close()

    assert any("prepared statement" in str(error) for error in ended)


async def _ask(database: Database) -> None:
    async with database.read() as connection:
        for number in range(20):
            await connection.execute(text("SELECT CAST(:n AS int)"), {"n": number})
            await connection.commit()


def test_the_setting_is_each_service_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECKOUT_DATABASE_POOLER", "transaction")

    assert ServiceSettings.of("checkout").database_pooler == "transaction"
    assert ServiceSettings.of("catalog").database_pooler == ""
