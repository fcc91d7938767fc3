"""Each always-true rule: a shop that lived through everything keeps it, damage breaks it."""

from __future__ import annotations

import re

import pytest

from app.checkout.invariants import INVARIANTS, Invariant
from tests.builders.shop import DECLINED, PAYS, Shop

SECOND_HOLD = (
    "INSERT INTO holds SELECT 'hld_twin', car_id, state, session_id, address_hash, price,"
    " currency, deposit, context, created_at, expires_at, extended FROM holds"
    " WHERE state = 'active'"
)
BREAKS: dict[str, tuple[str, ...]] = {
    "one_live_hold_per_car": (
        "DROP INDEX uq_holds_one_active_per_car",
        SECOND_HOLD,
    ),
    "one_live_order_per_car": (
        "DROP INDEX uq_orders_one_live_per_car",
        "UPDATE orders SET state = 'confirmed', confirmed_at = created_at",
    ),
    "confirmed_order_has_captured_payment": (
        "UPDATE payments SET amount = amount - 1 WHERE state = 'captured'",
    ),
    "confirmed_order_has_one_event": (
        "UPDATE outbox SET type = 'checkout.order.lost' WHERE type = 'checkout.order.confirmed'",
        "UPDATE outbox SET time = '2026-11-27 08:00:00.000000'",
    ),
    "captured_payment_has_confirmed_order": (
        "UPDATE orders SET state = 'expired' WHERE state = 'confirmed'",
    ),
    "money_is_accounted_for": ("UPDATE payments SET accepted_at = NULL WHERE state = 'captured'",),
    "no_refund_waits_past_its_deadline": (
        "UPDATE payments SET state = 'refund_due' WHERE state <> 'pending'",
        "UPDATE orders SET ended_at = '2026-11-25 09:00:00.000000'",
    ),
    "waiting_order_has_its_hold": (
        "UPDATE orders SET state = 'payment_pending' WHERE state = 'confirmed'",
    ),
    "idempotency_record_has_its_order": ("UPDATE idempotency SET resource_id = 'ord_nobody'",),
    "idempotency_answer_has_its_payment": ("UPDATE payments SET payment_id = NULL",),
    "open_order_has_its_customer": (
        "UPDATE orders SET handed_over_at = NULL",
        "DELETE FROM customers",
    ),
    "erased_order_has_no_customer": ("UPDATE orders SET erased_at = created_at",),
    "confirmed_order_has_its_car": ("UPDATE cars SET state = 'available'",),
    "one_buyer_per_physical_car": (
        "DROP INDEX uq_cars_one_taken_per_identity",
        "UPDATE cars SET state = 'held', identity = 'the same'",
    ),
    "car_state_has_a_reason": ("UPDATE cars SET state = 'sold'",),
    "desk_sale_has_its_car": (
        "INSERT INTO desk_sales SELECT car_id, created_at, 'operator', false FROM orders LIMIT 1",
    ),
    "no_consumer_is_ahead": (
        "INSERT INTO outbox_consumers SELECT 'insight', 10000, created_at FROM orders LIMIT 1",
    ),
    "no_order_waits_past_its_deadline": (
        "UPDATE orders SET state = 'payment_pending' WHERE state = 'confirmed'",
        "UPDATE holds SET expires_at = '2026-11-27 08:58:59.000000'",
    ),
    "no_hold_past_its_deadline": (
        "UPDATE holds SET expires_at = '2026-11-27 08:58:59.000000' WHERE state = 'active'",
    ),
    "confirmed_is_forever": ("UPDATE orders SET confirmed_at = NULL",),
}


@pytest.fixture
async def lively_shop(shop: Shop) -> Shop:
    """A declined and then a confirmed order of one car, a hold of another, a cancelled sale."""
    declined = await shop.ordered("car_1")
    await shop.pay(declined, DECLINED)
    await shop.pay((await shop.order(declined["hold_id"])).json(), PAYS)
    await shop.held("car_2")
    cancelled = await shop.confirmed("car_3")
    await shop.act(cancelled, "cancellation")
    await shop.checkout.job("refunds")()
    return shop


async def test_a_shop_that_lived_keeps_every_rule(lively_shop: Shop) -> None:
    answer = await lively_shop.checkout.internal.get("/internal/checkout/invariants")

    assert {item["name"]: item["violations"] for item in answer.json()["invariants"]} == {
        invariant.name: 0 for invariant in INVARIANTS
    }


@pytest.mark.parametrize("name", [invariant.name for invariant in INVARIANTS])
async def test_damage_is_found(lively_shop: Shop, name: str) -> None:
    await lively_shop.damage(*BREAKS[name])

    assert (await lively_shop.broken_invariants())[name] > 0
    await lively_shop.checkout.job("invariants")()
    exported = lively_shop.metric(
        "checkout_invariant_violations", service="checkout", invariant=name
    )
    assert exported > 0


async def test_an_event_that_is_told_twice_is_found(lively_shop: Shop) -> None:
    await lively_shop.damage(
        "INSERT INTO outbox (event_id, type, time, data, context) SELECT 'evt_twin', type, time,"
        " data, context FROM outbox WHERE type = 'checkout.order.confirmed' LIMIT 1"
    )

    assert await lively_shop.broken_invariants() == {"confirmed_order_has_one_event": 1}


@pytest.mark.parametrize("invariant", INVARIANTS, ids=lambda each: str(each.name))
async def test_no_rule_reads_a_whole_table_for_each_row_of_another(
    lively_shop: Shop, invariant: Invariant
) -> None:
    if lively_shop.checkout.service.database.dialect != "sqlite":
        return  # PostgreSQL plans by statistics, which a young shop does not have
    query = re.sub(r":(overdue|kept_since|refunds_owed_since)", "'2026-11-27'", invariant.query)

    plan = await lively_shop.rows(f"EXPLAIN QUERY PLAN {query}")

    per_row = {step for step, _, _, detail in plan if detail.startswith("CORRELATED")}
    assert [
        detail for _, inside, _, detail in plan if inside in per_row and detail.startswith("SCAN")
    ] == []


@pytest.mark.parametrize(
    "statement",
    [
        SECOND_HOLD,
        "UPDATE orders SET state = 'payment_pending' WHERE state = 'declined'",
    ],
)
async def test_the_database_itself_refuses_a_second_shopper(
    lively_shop: Shop, statement: str
) -> None:
    with pytest.raises(Exception, match=r"(?i)unique"):
        await lively_shop.damage(statement)
