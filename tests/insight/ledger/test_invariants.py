"""Each invariant holds after real facts, and says so when somebody breaks it by hand."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import text

from app.frame.start.service import Service
from app.insight.ledger.invariants import INVARIANTS, violations
from app.insight.ledger.readings import Readings
from app.insight.ledger.store import Store
from tests.builders.facts import HUMAN, cancelled, hold, purchase, released, shopper, submitted
from tests.builders.services import OPERATOR
from tests.insight.conftest import World, run_job

BREAKING = {
    "every_number_is_the_sum_of_its_entries": (
        "UPDATE counters SET value = value + 1 WHERE metric = 'shop_funnel_steps_total'"
    ),
    "orders_counted_are_the_orders_confirmed": (
        "UPDATE orders SET confirmed_at = NULL WHERE order_id = 'ord_1'"
    ),
    "order_value_is_the_sum_of_prices": "UPDATE orders SET price = price - 1",
    "no_segment_loses_more_than_it_sold": (
        "UPDATE entries SET amount = amount + 1 WHERE measure = 'order_value_lost'"
    ),
    "every_order_has_its_durations": "DELETE FROM entries WHERE measure = 'order_seconds'",
    "every_checkout_ends_at_most_once": (
        "UPDATE entries SET amount = 9 WHERE measure = 'checkout_end'"
    ),
    "sessions_have_what_sessions_do": "UPDATE entries SET amount = 2 WHERE measure = 'converted'",
    "every_step_is_within_the_step_before": "DELETE FROM entries WHERE measure = 'step.payment'",
    "no_consumer_is_ahead": "UPDATE consumer_positions SET parted_at = '2026-11-27 09:00:00'",
}


async def booked(world: World) -> Service:
    service = await world.replica()
    await world.state(
        [
            *purchase(HUMAN, "1"),
            cancelled(HUMAN, "1"),
            hold(shopper(2), "2"),
            submitted(shopper(2), "2"),
            released(shopper(2), "2", "expired"),
        ]
    )
    await run_job(service, "consume-")
    return service


async def test_the_ledger_balances_after_real_facts(world: World) -> None:
    service = await booked(world)
    assert violations(await Readings(Store(service.database)).totals()) == []


@pytest.mark.parametrize("name", [check.__name__ for check in INVARIANTS])
async def test_a_broken_ledger_is_told_by_the_invariant_that_watches_it(
    world: World, name: str
) -> None:
    service = await booked(world)
    async with service.database.transaction() as transaction:
        changed = await transaction.execute(text(BREAKING[name]))
    assert changed.rowcount > 0
    found = violations(await Readings(Store(service.database)).totals())
    assert name in {violation.invariant for violation in found}


async def test_the_internal_port_answers_200_while_balanced_and_500_when_not(world: World) -> None:
    service = await booked(world)
    transport = httpx.ASGITransport(service.internal)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://insight", headers=OPERATOR
    ) as client:
        balanced = await client.get("/internal/insight/invariants")
        async with service.database.transaction() as transaction:
            await transaction.execute(text("DELETE FROM orders"))
        broken = await client.get("/internal/insight/invariants")
    assert (balanced.status_code, balanced.json()["violations"]) == (200, [])
    assert broken.status_code == 500
    assert {
        "invariant": "orders_counted_are_the_orders_confirmed",
        "detail": "1 orders counted, 0 confirmed",
    } in broken.json()["violations"]
