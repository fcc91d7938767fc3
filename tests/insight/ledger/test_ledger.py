"""The ledger on a real database: exactly once, whatever crashes and however many replicas."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import text

from app.frame.start.service import Service
from app.insight.api.exporter import values_of
from app.insight.ledger.accounts import MEASURES, Cell, Entry, Segment, cells_of
from app.insight.ledger.store import Store
from app.insight.models import METADATA
from telemetry.catalogue import insight as metrics
from tests.builders.facts import (
    HUMAN,
    START,
    Stated,
    Writer,
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


async def test_an_order_reaches_the_metrics_page_through_the_outbox(world: World) -> None:
    service = await world.replica()
    await world.state(purchase(HUMAN, "1"))
    await run_job(service, "consume-")
    assert total(service, "shop_orders_total") == 1
    assert total(service, "shop_order_value_total", currency="SEK") == 48_990_000
    assert total(service, "shop_order_duration_seconds_count") == 1
    assert total(service, "shop_order_duration_seconds_sum") == 21.0
    assert total(service, "insight_facts_total", source="checkout", result="stored") == 4


async def test_closed_label_sets_are_exported_from_zero(world: World) -> None:
    service = await world.replica()
    page, _ = service.platform.registry.exposition()
    lines = page.decode().splitlines()
    zero = (
        'shop_orders_total{channel="web",device="phone",entry="direct",'
        'market="SE",traffic="human"} 0.0'
    )
    ordered = {
        ",".join(sorted(line.split("{")[1].split("}")[0].split(",")))
        for line in lines
        if line.startswith("shop_orders_total{")
    }
    assert zero.split("{")[1].split("}", maxsplit=1)[0] in ordered


async def test_a_restart_shows_the_same_numbers_and_books_nothing_twice(world: World) -> None:
    first = await world.replica()
    await world.state(purchase(HUMAN, "1"))
    await run_job(first, "consume-")
    before = exported(first, lambda name: name.startswith("shop_"))
    second = await world.replica()
    assert exported(second, lambda name: name.startswith("shop_")) == before
    await run_job(second, "consume-")
    assert exported(second, lambda name: name.startswith("shop_")) == before


async def test_a_crash_between_booking_and_commit_books_nothing_and_then_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await world.replica()
    await world.state(purchase(HUMAN, "1"))
    save = Store.save

    async def save_and_crash(self: Store, *args: Any) -> None:
        await save(self, *args)
        raise ConnectionResetError("the process died before its commit")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "save", save_and_crash)
        await run_job(service, "consume-", "ledger-snapshot")
        assert exported(service, lambda name: name.startswith(("shop_", "insight_facts"))) == {}
    await run_job(service, "consume-")
    assert total(service, "shop_orders_total") == 1
    assert total(service, "shop_sessions_converted_total") == 1


async def test_two_replicas_that_poll_at_once_book_every_fact_once(world: World) -> None:
    replicas = [await world.replica(), await world.replica()]
    for number in range(1, 6):
        await world.state([replace(one, after=0) for one in purchase(shopper(number), str(number))])
        await asyncio.gather(*(run_job(service, "consume-") for service in replicas))
    world.clock.advance(seconds=60)
    await asyncio.gather(*(run_job(service, "consume-") for service in replicas))
    for service in replicas:
        await run_job(service, "ledger-snapshot")
        assert total(service, "shop_orders_total") == 5
        assert total(service, "shop_sessions_total") == 5
        assert total(service, "shop_sessions_converted_total") == 5


async def test_what_is_exported_equals_what_is_in_the_tables(world: World) -> None:
    service = await world.replica()
    await world.state(
        [
            *purchase(HUMAN, "1"),
            *visit(shopper(2)),
            *advice(shopper(2), "adv_1", "no_match"),
            hold(shopper(2), "2"),
            submitted(shopper(2), "2"),
            released(shopper(2), "2", "expired"),
            confirmed(shopper(2), "2", late=True, after=990),
            refused(shopper(3, market="FI"), "3"),
        ]
    )
    await run_job(service, "consume-")
    async with service.database.read() as connection:
        rows = (
            await connection.execute(
                text("SELECT metric, labels, value FROM counters WHERE part = ''")
            )
        ).all()
    stored = {
        (metric, tuple(sorted(orjson.loads(labels).items()))): float(value)
        for metric, labels, value in rows
    }
    histograms = ("_bucket", "_sum", "_count")
    assert stored == exported(
        service, lambda name: name.startswith("shop_") and not name.endswith(histograms)
    )
    async with service.database.read() as connection:
        orders = await connection.scalar(
            text("SELECT COUNT(*) FROM orders WHERE confirmed_at IS NOT NULL")
        )
    assert total(service, "shop_orders_total") == orders == 2


async def test_a_label_value_that_the_catalogue_dropped_does_not_break_the_page(
    world: World,
) -> None:
    service = await world.replica()
    async with service.database.transaction() as transaction:
        labels = {"market": "ZZ", "channel": "web", "device": "phone"}
        labels |= {"entry": "direct", "traffic": "human"}
        await transaction.execute(
            text("INSERT INTO counters VALUES ('shop_orders_total', :labels, '', 7)"),
            {"labels": orjson.dumps(labels, option=orjson.OPT_SORT_KEYS).decode()},
        )
    await run_job(service, "ledger-snapshot")
    assert total(service, "shop_orders_total") == 0


async def test_lag_is_the_age_of_the_oldest_waiting_fact_and_zero_when_booked(
    world: World,
) -> None:
    service = await world.replica()
    await run_job(service, "consume-")
    assert total(service, "ledger_lag_seconds") == 0


async def test_lag_grows_while_a_source_cannot_be_reached_and_falls_when_it_returns(
    world: World,
) -> None:
    service = await world.replica()
    reachable = world.services.pop(("checkout", True))
    await run_job(service, "consume-")
    world.clock.advance(seconds=45)
    await run_job(service, "consume-")
    assert total(service, "ledger_lag_seconds", source="checkout") == 45
    assert total(service, "ledger_lag_seconds", source="storefront") == 0
    world.services["checkout", True] = reachable
    await run_job(service, "consume-")
    assert total(service, "ledger_lag_seconds", source="checkout") == 0


async def test_an_idle_session_is_closed_and_its_advice_abandoned_once(world: World) -> None:
    service = await world.replica()
    await world.state([*visit(HUMAN), *advice(HUMAN, "adv_1", None)])
    await run_job(service, "consume-", "close-sessions")
    assert total(service, "shop_advice_total") == 0
    world.clock.advance(minutes=31)
    await run_job(service, "close-sessions")
    await run_job(service, "close-sessions")
    await run_job(service, "ledger-snapshot")
    assert total(service, "shop_advice_total", result="abandoned") == 1


def test_nothing_personal_has_a_column() -> None:
    words = ("mail", "phone", "address", "vin", "token", "customer", "card", "person")
    columns = {column.name for table in METADATA.tables.values() for column in table.columns}
    columns.remove("customer_id")  # a keyed pseudonym, and another once the customer is erased
    assert [name for name in columns if any(word in name.split("_") for word in words)] == []


def test_every_ledger_metric_is_a_sum_of_entries_and_can_be_built_of_them() -> None:
    cells: Counter[Cell] = Counter()
    segment = Segment("SE", "web", "phone", "direct", "human")
    for measure, metric in MEASURES.items():
        if metric is None:
            continue
        own = [label for label in metric.labels if label.name not in Segment._fields]
        values = tuple((label.values or ("x",))[0] for label in own)
        for cell, amount in cells_of(Entry(measure, START, START, segment, values)):
            cells[cell] += amount
    ledger = {metric.name for metric in metrics.METRICS if metric.source == "ledger"}
    assert set(values_of(cells)) == ledger - {"ledger_lag_seconds", "ledger_restated_total"}


async def test_every_other_service_may_be_absent(world: World) -> None:
    world.services.clear()
    service: Service = await world.replica()
    await run_job(service, "consume-")
    assert total(service, "shop_orders_total") == 0


async def test_the_internal_port_serves_the_numbers(world: World) -> None:
    service = await world.replica()
    await world.state(purchase(HUMAN, "1"))
    await run_job(service, "consume-")
    transport = httpx.ASGITransport(service.internal)
    async with httpx.AsyncClient(transport=transport, base_url="http://insight") as client:
        page = (await client.get("/metrics")).text
    sold = [line for line in page.splitlines() if line.startswith("shop_orders_total{")]
    assert sum(float(line.rsplit(" ", 1)[1]) for line in sold) == 1


def test_writers_number_each_source_without_gaps() -> None:
    events = Writer().events([Stated("checkout", hold(HUMAN, "1").fact, HUMAN)] * 3)
    assert [event.position for event in events] == [1, 2, 3]
