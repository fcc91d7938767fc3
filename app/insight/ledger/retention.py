"""How long the ledger's details stay, and what is remembered of them when they leave.

A batch leaves in one transaction with its tally, so counters equal rows and tallies at every
moment, and with the horizon, before which a fact is not booked into what may be gone (`Books`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Table, and_, delete, not_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.data.retention import Keys, Rule
from app.insight.ledger.books import KEPT_STEPS, ONCE
from app.insight.ledger.store import Store
from app.insight.models import ALERTS, CHECKOUTS, ENDED_LOGINS, ORDERS, SESSIONS, STEPS
from app.insight.settings import InsightSettings

KEPT: Final[Mapping[str, str]] = {
    "counters": "the exported numbers themselves, one row for each",
    "tallies": "how many rows have left, one row for each number that is compared with rows",
    "horizon": "one row",
    "cars": "one line for each car that was ever on offer: an order's page names its car by it",
}
"""Tables of which nothing leaves, and why; of the others, what no rule names stays as well."""


def rules(store: Store, settings: InsightSettings) -> tuple[Rule, ...]:
    """What leaves the ledger's database, and when."""
    details = timedelta(days=settings.ledger_days)
    variable = "INSIGHT_LEDGER_DAYS"

    async def remove(transaction: AsyncConnection, rule: Rule, keys: Keys, before: datetime) -> int:
        await store.lock(transaction)
        gone = delete(rule.table).where(rule.among(keys), rule.over(before)).returning(rule.table)
        rows = (await transaction.execute(gone)).mappings().all()
        if rows:
            counts = Counter(each for row in rows for each in counted(rule.table, dict(row)))
            await store.tally(transaction, counts, kept_since=before)
        return len(rows)

    return (
        Rule(
            STEPS,
            "steps of visits, measurements and deployments; not what became of an order",
            STEPS.c.at,
            details,
            variable,
            which=not_(and_(STEPS.c.funnel == ONCE, STEPS.c.step.in_(KEPT_STEPS))),
            remove=remove,
        ),
        Rule(
            SESSIONS,
            "visits that are over, since their last act",
            SESSIONS.c.last_seen,
            details,
            variable,
            which=SESSIONS.c.closed_at.is_not(None),
            remove=remove,
        ),
        Rule(
            CHECKOUTS,
            "checkouts that have ended, since they started",
            CHECKOUTS.c.started_at,
            details,
            variable,
            which=CHECKOUTS.c.counted_as.is_not(None),
            remove=remove,
        ),
        Rule(
            ORDERS,
            "orders that were never confirmed, since they were submitted",
            ORDERS.c.submitted_at,
            details,
            variable,
            which=ORDERS.c.confirmed_at.is_(None),
        ),
        Rule(
            ALERTS,
            "alerts, since Alertmanager told of them last",
            ALERTS.c.received_at,
            timedelta(days=settings.alerts_days),
            "INSIGHT_ALERTS_DAYS",
        ),
        Rule(
            ENDED_LOGINS,
            "logins that were ended, since their cookie expired",
            ENDED_LOGINS.c.expires_at,
            timedelta(days=1),
        ),
    )


def counted(table: Table, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """By which tallies (kind, name) a row is remembered: those of which the invariants know."""
    if table is CHECKOUTS:
        return [("start", ""), ("end", row["counted_as"])]
    return [("step", row["step"])] if table is STEPS and row["funnel"] == "shop" else []
