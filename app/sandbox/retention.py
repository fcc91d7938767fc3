"""How long practice payments stay, each with its webhooks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, delete, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.data.retention import Keys, Rule
from app.sandbox.models import DELIVERIES, PAYMENTS
from app.sandbox.settings import SandboxSettings

KEPT: Final = {"deliveries": "leave with their payment"}
"""Tables that need no rule, and why."""

DELIVERED: Final = ~exists().where(
    DELIVERIES.c.payment_id == PAYMENTS.c.payment_id, DELIVERIES.c.due_at.is_not(None)
)


def rules(settings: SandboxSettings) -> tuple[Rule, ...]:
    """What leaves the practice provider's database, and when."""
    return (
        Rule(
            PAYMENTS,
            "payments that nobody made, with their webhooks",
            PAYMENTS.c.created_at,
            timedelta(days=settings.payments_days),
            "SANDBOX_PAYMENTS_DAYS",
            which=and_(PAYMENTS.c.accepted_at.is_(None), DELIVERED),
            remove=remove,
        ),
        Rule(
            PAYMENTS,
            "payments that were made, with their webhooks",
            PAYMENTS.c.created_at,
            timedelta(days=settings.paid_days),
            "SANDBOX_PAID_DAYS",
            which=and_(PAYMENTS.c.accepted_at.is_not(None), DELIVERED),
            remove=remove,
        ),
    )


async def remove(transaction: AsyncConnection, rule: Rule, keys: Keys, before: datetime) -> int:
    """Whoever pays at this moment has the row locked: it is for the next turn."""
    over = select(PAYMENTS.c.payment_id).where(rule.among(keys), rule.over(before))
    gone = (await transaction.scalars(over.with_for_update(skip_locked=True))).all()
    await transaction.execute(delete(DELIVERIES).where(DELIVERIES.c.payment_id.in_(gone)))
    await transaction.execute(delete(PAYMENTS).where(PAYMENTS.c.payment_id.in_(gone)))
    return len(gone)
