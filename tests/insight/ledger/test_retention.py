"""What has stayed long enough leaves the ledger, and no number moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from app.contracts import events as facts
from app.frame.data.database import DatabaseUnavailable
from app.frame.start.service import Service
from app.insight.ledger.books import LATE, Books
from app.insight.ledger.invariants import violations
from app.insight.ledger.projections import Projection
from app.insight.ledger.readings import Readings
from app.insight.ledger.store import Store
from app.kernel.clock import rfc3339
from tests.builders.facts import (
    HUMAN,
    START,
    Stated,
    Writer,
    advice,
    hold,
    purchase,
    refused,
    released,
    shopper,
    submitted,
    visit,
)
from tests.builders.ledger import Ledger
from tests.insight.conftest import World, exported, run_job
from tests.proofs.interruptions import Fuse, counting_sqlite

Sample = tuple[str, tuple[tuple[str, str], ...]]
DETAILS = ("sessions", "checkouts")
KEY = {"authorization": "Bearer test-report_key"}


def day(number: int, stated: Sequence[Stated]) -> list[Stated]:
    return [replace(one, after=one.after + number * 86_400) for one in stated]


def shoppers_of(number: int) -> list[Stated]:
    """One who buys, one who lets an order run out, one who comes too late, one who looks."""
    n = str(number)
    buys, waits, late, looks = (shopper(10 * number + each) for each in range(4))
    return [
        *purchase(buys, f"{n}a"),
        *visit(waits),
        hold(waits, f"{n}b"),
        submitted(waits, f"{n}b"),
        released(waits, f"{n}b", "expired"),
        *visit(late),
        refused(late, f"{n}c"),
        *visit(looks),
        *advice(looks, f"adv_{n}", None),
    ]


async def counts(service: Service, *tables: str) -> dict[str, int]:
    async with service.database.read() as connection:
        return {
            table: int(await connection.scalar(text(f"SELECT COUNT(*) FROM {table}")) or 0)  # noqa: S608
            for table in tables
        }


async def broken(service: Service) -> list[str]:
    totals = await Readings(Store(service.database)).totals()
    return [str(each) for each in violations(totals)]


async def lived(world: World, days: Sequence[int]) -> Service:
    """Insight after shoppers on these days, all booked and their sessions closed."""
    service = await world.replica()
    for number in days:
        await world.state(day(number, shoppers_of(number)))
        world.clock.advance(hours=1)
        await run_job(service, "consume-", "close-sessions")
    await run_job(service, "ledger-snapshot")
    return service


def numbers(service: Service) -> dict[Sample, float]:
    return exported(service, lambda name: name.startswith("shop_"))


async def test_over_five_hundred_days_the_ledger_stops_growing_and_its_numbers_do_not(
    world: World,
) -> None:
    service = await world.replica()
    grown = []
    for number in range(0, 600, 40):
        await world.state(day(number, shoppers_of(number)))
        world.clock.advance(hours=1)
        await run_job(service, "consume-", "close-sessions")
        world.clock.advance(minutes=1)
        await run_job(service, "retention", "ledger-snapshot")
        grown.append(await counts(service, *DETAILS))

    first = {"sessions": 4, "checkouts": 3}
    assert grown[0] == first
    assert grown[9:] == [{name: 10 * each for name, each in first.items()}] * 6
    assert await broken(service) == []
    shown = numbers(service)
    for name, each_time in {
        "shop_sessions_total": 4,
        "shop_orders_total": 1,
        "shop_checkouts_started_total": 3,
        "shop_checkouts_ended_total": 3,
    }.items():
        of_it = sum(value for (sample, _), value in shown.items() if sample == name)
        assert (name, of_it) == (name, 15 * each_time)
    orders = await counts(service, "orders")
    assert orders == {"orders": 15 + 10}, "confirmed orders stay, the others leave"


async def test_what_leaves_moves_no_number_on_either_database(world_on_each: World) -> None:
    service = await lived(world_on_each, [0, 1, 399])
    before = numbers(service)
    assert await counts(service, *DETAILS) == {"sessions": 12, "checkouts": 9}

    world_on_each.clock.advance(days=2, hours=1)
    await run_job(service, "retention", "ledger-snapshot")

    assert await counts(service, *DETAILS) == {"sessions": 4, "checkouts": 3}
    assert await counts(service, "orders") == {"orders": 4}
    assert numbers(service) == before
    assert await broken(service) == []


@pytest.mark.parametrize("after", [False, True], ids=["before_it", "right_after_it"])
async def test_broken_off_at_any_statement_the_ledger_balances(
    world: World, *, after: bool
) -> None:
    fuse = Fuse()
    with counting_sqlite(fuse):
        service = await lived(world, [0])
        world.clock.advance(days=401)
        statement = 0
        while True:
            statement += 1
            fuse.arm(statement, after=after)
            try:
                await run_job(service, "retention")
            except DatabaseUnavailable:
                pass
            finally:
                fuse.disarm()
            assert await broken(service) == [], f"broken off at statement {statement}"
            if not fuse.blown:
                break
    assert statement > 10
    assert await counts(service, *DETAILS) == dict.fromkeys(DETAILS, 0)


async def test_a_history_that_is_told_again_after_it_has_left_counts_nothing_twice(
    world: World,
) -> None:
    """As a source would whose database was restored without anybody noticing."""
    service = await lived(world, [0])
    world.clock.advance(days=401)
    await run_job(service, "retention", "ledger-snapshot")
    before = numbers(service)
    told = Writer().events(shoppers_of(0))

    store = Store(service.database)
    async with store.writing() as transaction:
        await Projection(store, world.clock, lambda: 0.0).apply(transaction, told)
    await run_job(service, "close-sessions", "ledger-snapshot")

    assert numbers(service) == before
    assert await counts(service, *DETAILS) == dict.fromkeys(DETAILS, 0)
    assert await broken(service) == []


def test_a_fact_is_late_for_a_month_more_so_that_no_visit_is_cut_in_two() -> None:
    told = Writer().events(visit(HUMAN))
    counted = {}
    for name, kept_since in {
        "everything is kept": None,
        "it may have left": START + timedelta(seconds=1),
        "others of its visit may have left": START - LATE + timedelta(seconds=1),
        "nothing of it has left": START - LATE,
    }.items():
        ledger = Ledger(Books(kept_since=kept_since))
        ledger.tell(told)
        counted[name] = (len(ledger.books.sessions), ledger.total("shop_sessions_total"))
    assert counted == {
        "everything is kept": (1, 1),
        "it may have left": (0, 0),
        "others of its visit may have left": (0, 0),
        "nothing of it has left": (1, 1),
    }


def test_an_order_counts_however_late_it_is_told_and_once() -> None:
    ledger = Ledger(Books(kept_since=START + timedelta(days=1)))
    told = Writer().events(purchase(HUMAN, "1"))
    ledger.tell([*told, *told])
    assert {cell.metric: value for cell, value in ledger.cells.items() if not cell.part} == {
        "shop_orders_total": 1,
        "shop_order_value_total": 48_990_000,
    }


def test_what_became_of_an_order_is_counted_however_late_it_is_told() -> None:
    ledger = Ledger(Books(kept_since=START + timedelta(days=1)))
    cancelled = Stated("checkout", facts.OrderCancelled("ord_1", "car_1", "shopper"), HUMAN)
    ledger.tell(Writer().events([*purchase(HUMAN, "1"), cancelled, cancelled]))
    assert ledger.total("shop_orders_cancelled_total") == 1
    assert ledger.total("shop_order_value_lost_total") == 48_990_000


async def test_a_report_that_begins_before_what_is_kept_says_so(world: World) -> None:
    service = await lived(world, [0, 300])
    world.clock.advance(days=101)
    await run_job(service, "retention")
    transport = httpx.ASGITransport(service.api)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://shop", headers=KEY
    ) as client:

        async def report(since: int, until: int, **query: str) -> httpx.Response:
            period = {
                "from": rfc3339(START + timedelta(days=since)),
                "to": rfc3339(START + timedelta(days=until)),
            }
            return await client.get("/api/insight/v1/reports/funnel", params=period | query)

        cut, whole = await report(-1, 302), await report(299, 302)
        sheet = await report(-1, 302, format="csv")

    kept_since = rfc3339(world.clock.now() - timedelta(days=400))
    told = ("complete", "kept_since", "sessions", "orders")
    assert [cut.json()[name] for name in told] == [False, kept_since, 4, 2]
    assert [whole.json()[name] for name in told] == [True, None, 4, 1]
    assert f"complete,False\nkept_since,{kept_since}\n" in sheet.text


async def test_a_firing_alert_stays_however_old_it_is(world: World) -> None:
    service = await world.replica()
    at = START - timedelta(days=900)
    alert = {
        "name": "LedgerBehind",
        "severity": "page",
        "service": "insight",
        "summary": "",
        "runbook": "",
        "labels": {},
        "state": "firing",
        "starts_at": at,
        "ends_at": None,
    }
    await Store(service.database).save_alerts(
        [
            {**alert, "fingerprint": "fires on", "received_at": START - timedelta(hours=4)},
            {**alert, "fingerprint": "forgotten", "received_at": at},
        ]
    )

    await run_job(service, "retention")

    async with service.database.read() as connection:
        left = await connection.scalars(text("SELECT fingerprint FROM alerts"))
        assert left.all() == ["fires on"]
