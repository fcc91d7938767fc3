"""What must always be true in checkout's database; one query each that counts the exceptions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from app.checkout.store import Store
from app.kernel.clock import Clock


@dataclass(frozen=True, slots=True)
class Invariant:
    """`query` counts rows that break it; `why` says what it would mean.

    A query may use `:overdue` (what should have ended before it has not), `:refunds_owed_since`
    (what was owed before it is late) and `:kept_since` (facts of what happened after it have not
    been pruned).
    """

    name: str
    why: str
    query: str


INVARIANTS: Final = (
    Invariant(
        "one_live_hold_per_car",
        "Two shoppers would believe that the car is theirs.",
        "SELECT COUNT(*) FROM (SELECT car_id FROM holds WHERE state = 'active'"
        " GROUP BY car_id HAVING COUNT(*) > 1) AS doubled",
    ),
    Invariant(
        "one_live_order_per_car",
        "One car would be sold twice.",
        "SELECT COUNT(*) FROM (SELECT car_id FROM orders"
        " WHERE state IN ('payment_pending', 'confirmed') GROUP BY car_id"
        " HAVING COUNT(*) > 1) AS doubled",
    ),
    Invariant(
        "confirmed_order_has_captured_payment",
        "An order would be confirmed without money.",
        "SELECT COUNT(*) FROM orders WHERE state = 'confirmed' AND NOT EXISTS (SELECT 1"
        " FROM payments WHERE payments.order_id = orders.order_id AND payments.state = 'captured'"
        " AND payments.amount = orders.deposit AND payments.currency = orders.currency)",
    ),
    Invariant(
        "confirmed_order_has_one_event",
        "The ledger and the catalogue would never hear of an order, or hear of it twice.",
        "SELECT COUNT(*) FROM orders LEFT JOIN (SELECT data ->> 'order_id' AS order_id, COUNT(*) AS"
        " times FROM outbox WHERE type = 'checkout.order.confirmed' GROUP BY data ->> 'order_id')"
        " AS told ON told.order_id = orders.order_id WHERE told.times > 1 OR (told.times IS NULL"
        " AND orders.confirmed_at > :kept_since)",
    ),
    Invariant(
        "captured_payment_has_confirmed_order",
        "A shopper would have paid for nothing.",
        "SELECT COUNT(*) FROM payments JOIN orders ON payments.order_id = orders.order_id"
        " WHERE payments.state = 'captured' AND orders.state NOT IN ('confirmed', 'disputed',"
        " 'return_requested')",
    ),
    Invariant(
        "money_is_accounted_for",
        "Money came in and is neither kept for an order nor on its way back, or the reverse.",
        "SELECT COUNT(*) FROM payments WHERE (accepted_at IS NOT NULL)"
        " <> (state IN ('captured', 'refund_due', 'refund_refused', 'refunded'))",
    ),
    Invariant(
        "no_refund_waits_past_its_deadline",
        "A shopper waits for money that we owe them.",
        "SELECT COUNT(*) FROM payments JOIN orders ON orders.order_id = payments.order_id"
        " WHERE payments.state = 'refund_due' AND orders.ended_at < :refunds_owed_since",
    ),
    Invariant(
        "waiting_order_has_its_hold",
        "A shopper would be paying for a car that is not held for them.",
        "SELECT COUNT(*) FROM orders WHERE state = 'payment_pending' AND NOT EXISTS (SELECT 1"
        " FROM holds WHERE holds.hold_id = orders.hold_id AND holds.state = 'active')",
    ),
    Invariant(
        "idempotency_record_has_its_order",
        "A retry would be answered with an order that does not exist.",
        "SELECT COUNT(*) FROM idempotency WHERE resource_id IS NOT NULL AND NOT EXISTS (SELECT 1"
        " FROM orders WHERE orders.order_id = idempotency.resource_id)",
    ),
    Invariant(
        "idempotency_answer_has_its_payment",
        "A retry would be sent to a payment that was never opened.",
        "SELECT COUNT(*) FROM idempotency JOIN payments"
        " ON payments.order_id = idempotency.resource_id"
        " WHERE idempotency.status = 201 AND payments.payment_id IS NULL",
    ),
    Invariant(
        "open_order_has_its_customer",
        "A car would wait for nobody knows whom.",
        "SELECT COUNT(*) FROM orders WHERE (state = 'payment_pending'"
        " OR (state IN ('confirmed', 'disputed') AND handed_over_at IS NULL))"
        " AND NOT EXISTS (SELECT 1 FROM customers WHERE customers.order_id = orders.order_id)",
    ),
    Invariant(
        "erased_order_has_no_customer",
        "We would still know somebody whom we promised to forget.",
        "SELECT COUNT(*) FROM orders JOIN customers ON customers.order_id = orders.order_id"
        " WHERE orders.erased_at IS NOT NULL",
    ),
    Invariant(
        "confirmed_order_has_its_car",
        "A sold car would be offered again.",
        "SELECT COUNT(*) FROM orders JOIN cars ON cars.car_id = orders.car_id"
        " WHERE orders.state IN ('confirmed', 'disputed')"
        " AND cars.state NOT IN ('reserved', 'sold')",
    ),
    Invariant(
        "one_buyer_per_physical_car",
        "One car would be sold twice, by two ids of one or two dealers.",
        "SELECT COUNT(*) FROM (SELECT identity FROM cars WHERE state <> 'available'"
        " AND identity IS NOT NULL GROUP BY identity HAVING COUNT(*) > 1) AS doubled",
    ),
    Invariant(
        "car_state_has_a_reason",
        "A car would be kept from everybody for nobody.",
        "SELECT COUNT(*) FROM cars WHERE (state = 'held' AND NOT EXISTS (SELECT 1 FROM holds"
        " WHERE holds.car_id = cars.car_id AND holds.state = 'active'))"
        " OR (state IN ('reserved', 'sold') AND NOT EXISTS (SELECT 1 FROM orders"
        # The indexes' own words: without them SQLite reads all orders for each car.
        " WHERE orders.car_id = cars.car_id AND orders.state IN ('payment_pending', 'confirmed')"
        " AND orders.state = 'confirmed') AND NOT EXISTS (SELECT 1 FROM orders"
        " WHERE orders.car_id = cars.car_id AND orders.state = 'disputed')"
        " AND NOT (cars.state = 'sold' AND EXISTS (SELECT 1 FROM orders"
        " WHERE orders.car_id = cars.car_id AND orders.handed_over_at IS NOT NULL))"
        " AND NOT (cars.state = 'sold' AND EXISTS (SELECT 1 FROM desk_sales"
        " WHERE desk_sales.car_id = cars.car_id)))",
    ),
    Invariant(
        "desk_sale_has_its_car",
        "A car that was sold in the showroom would be sold once more.",
        "SELECT COUNT(*) FROM desk_sales JOIN cars ON cars.car_id = desk_sales.car_id"
        " WHERE cars.state <> 'sold' OR EXISTS (SELECT 1 FROM orders"
        " WHERE orders.car_id = cars.car_id AND orders.state IN ('payment_pending', 'confirmed'))"
        " OR EXISTS (SELECT 1 FROM orders"
        " WHERE orders.car_id = cars.car_id AND orders.state = 'disputed')",
    ),
    Invariant(
        "no_consumer_is_ahead",
        "A restored database: facts would be taken for known that nobody has read.",
        "SELECT (SELECT COUNT(*) FROM outbox_consumers"
        " WHERE position > COALESCE((SELECT position FROM outbox_head), 0))"
        " + (SELECT COUNT(*) FROM consumer_positions WHERE parted_at IS NOT NULL)",
    ),
    Invariant(
        "no_order_waits_past_its_deadline",
        "A shopper would still be asked for money for a car whose time has run out.",
        "SELECT COUNT(*) FROM orders JOIN holds ON holds.hold_id = orders.hold_id"
        " WHERE orders.state = 'payment_pending' AND holds.expires_at < :overdue",
    ),
    Invariant(
        "no_hold_past_its_deadline",
        "The sweeper does not run.",
        "SELECT COUNT(*) FROM holds WHERE state = 'active' AND expires_at < :overdue",
    ),
    Invariant(
        "confirmed_is_forever",
        "An order that was confirmed would have lost the moment of it.",
        "SELECT COUNT(*) FROM orders WHERE state IN ('confirmed', 'disputed',"
        " 'return_requested', 'returned')"
        " AND confirmed_at IS NULL",
    ),
)

DEADLINE: Final = timedelta(hours=24)
"""A refund that waits longer has broken a promise; the alert comes after an hour."""

GRACE: Final = timedelta(seconds=60)
"""How late the sweeper may be before it counts as broken, and how much later than others a fact
may have been committed that was stated with them."""


async def check(store: Store, clock: Clock) -> list[tuple[Invariant, int]]:
    """Every invariant with the number of rows that break it."""
    now = clock.now()
    moments = {
        "overdue": now - GRACE,
        "refunds_owed_since": now - DEADLINE,
        "kept_since": (await store.oldest_fact() or now) + GRACE,
    }
    return [
        (invariant, await store.count_breaking(invariant.query, moments))
        for invariant in INVARIANTS
    ]
