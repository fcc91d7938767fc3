"""How long checkout's rows stay. Whatever was confirmed, and whatever money moved for, stays.

An order that came to nothing loses its customer first, as by an erasure, then it leaves with its
payment, at last its hold. Its car's version goes up with it, as with everything that happens to a
car: whoever decides about it at that moment looks again (`change.Changes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, delete, exists, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.checkout.models import (
    CARS,
    HOLDS,
    IDEMPOTENCY,
    ORDERS,
    PAYMENT_EVENTS,
    PAYMENTS,
    WORK,
)
from app.checkout.privacy import Privacy
from app.checkout.reconciliation import ENDED
from app.checkout.settings import CheckoutSettings
from app.checkout.work import WORK_KINDS
from app.frame.data.retention import Keys, Rule

KEPT: Final[Mapping[str, str]] = {
    "cars": "one row for each car that was ever on offer; of sold ones, orders speak",
    "customers": "leave with the erasure of their order, never alone",
    "payments": "leave with their order",
    "desk_sales": "one row for each car that its dealer sold in the showroom, until it is listed"
    " again",
}
"""Tables that need no rule, and why; of the others, what no rule names stays as well."""

UNPAID: Final = exists().where(
    PAYMENTS.c.order_id == ORDERS.c.order_id,
    PAYMENTS.c.state.in_(("pending", "cancelled", "declined")),
    PAYMENTS.c.accepted_at.is_(None),
    PAYMENTS.c.refunded_amount.is_(None),  # set with the first refund, inquiry or dispute
    PAYMENTS.c.dispute.is_(None),
)
IN_WORK: Final = exists().where(
    WORK.c.kind.in_(WORK_KINDS), WORK.c.item_id.in_((ORDERS.c.order_id, ORDERS.c.hold_id))
)
CAME_TO_NOTHING: Final = and_(
    ORDERS.c.confirmed_at.is_(None), ORDERS.c.state.in_(ENDED), UNPAID, ~IN_WORK
)
"""Orders that were never confirmed, for which no money moved and none is looked for."""

ANSWERED: Final = exists().where(IDEMPOTENCY.c.created_at <= ORDERS.c.created_at)
"""Whether a retry may still be answered with this order: keys are taken before their orders."""

OVER: Final = text("holds.state IN ('released', 'expired', 'sold_at_desk')")
"""In the words of the index, which no parameter would be recognised by."""


def rules(settings: CheckoutSettings, privacy: Privacy) -> tuple[Rule, ...]:
    """What leaves checkout's database, and when; in this order, since rows refer to each other."""
    return (
        Rule(
            IDEMPOTENCY,
            "answers to requests with an Idempotency-Key",
            IDEMPOTENCY.c.created_at,
            timedelta(seconds=settings.idempotency_seconds),
            "CHECKOUT_IDEMPOTENCY_SECONDS",
        ),
        Rule(
            WORK,
            "work that nobody has come back to",
            WORK.c.due_at,
            timedelta(days=7),
        ),
        Rule(
            PAYMENT_EVENTS,
            "which messages of providers were applied; what they told stays with the payment",
            PAYMENT_EVENTS.c.received_at,
            timedelta(days=settings.payment_events_days),
            "CHECKOUT_PAYMENT_EVENTS_DAYS",
        ),
        Rule(
            ORDERS,
            "whose order it was, of one that came to nothing",
            ORDERS.c.ended_at,
            timedelta(days=settings.customers_days),
            "CHECKOUT_CUSTOMERS_DAYS",
            which=and_(ORDERS.c.erased_at.is_(None), CAME_TO_NOTHING),
            outside=lambda keys: privacy.erase_due([order_id for (order_id,) in keys]),
        ),
        Rule(
            ORDERS,
            "orders that came to nothing, with their payment",
            ORDERS.c.ended_at,
            timedelta(days=settings.orders_days),
            "CHECKOUT_ORDERS_DAYS",
            which=and_(ORDERS.c.erased_at.is_not(None), CAME_TO_NOTHING, ~ANSWERED),
            remove=remove_orders,
        ),
        Rule(
            HOLDS,
            "holds that are over and have no order",
            HOLDS.c.expires_at,
            timedelta(days=settings.holds_days),
            "CHECKOUT_HOLDS_DAYS",
            which=and_(OVER, ~exists().where(ORDERS.c.hold_id == HOLDS.c.hold_id)),
        ),
    )


async def remove_orders(
    transaction: AsyncConnection, rule: Rule, keys: Keys, before: datetime
) -> int:
    """Remove orders of cars that nobody is deciding about; the others are for the next turn."""
    mine = select(ORDERS.c.car_id).where(rule.among(keys))
    free = select(CARS.c.car_id).where(CARS.c.car_id.in_(mine)).order_by(CARS.c.car_id)
    # One writer is all that SQLite has; of PostgreSQL's, none is waited for.
    cars = (await transaction.scalars(free.with_for_update(skip_locked=True))).all()
    over = select(ORDERS.c.order_id).where(
        rule.among(keys), ORDERS.c.car_id.in_(cars), rule.over(before)
    )
    gone = (await transaction.scalars(over)).all()
    moved = select(ORDERS.c.car_id).where(ORDERS.c.order_id.in_(gone))
    await transaction.execute(
        update(CARS).where(CARS.c.car_id.in_(moved)).values(version=CARS.c.version + 1)
    )
    await transaction.execute(delete(PAYMENTS).where(PAYMENTS.c.order_id.in_(gone)))
    await transaction.execute(delete(ORDERS).where(ORDERS.c.order_id.in_(gone)))
    return len(gone)
