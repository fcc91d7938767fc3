"""How long the ledger's details stay, and what is remembered of them when they leave.

A batch leaves in one transaction with what its entries added up to, so counters equal entries and
what has left at every moment, and with the horizon, before which a fact is not booked into what
may be gone (`Books`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contracts import events as facts
from app.frame.data.retention import Keys, Rule
from app.insight.ledger.accounts import OF_ORDERS, cells_of
from app.insight.ledger.changes import Restated
from app.insight.ledger.store import Row, Store, entry_of_row
from app.insight.models import (
    ALERTS,
    CHECKOUTS,
    ENDED_LOGINS,
    ENTRIES,
    EVENTS,
    ORDERS,
    SESSIONS,
)
from app.insight.settings import InsightSettings

KEPT: Final[Mapping[str, str]] = {
    "counters": "the exported numbers themselves, one row for each",
    "restated": "how much of a number has moved or left, one row for each",
    "horizon": "one row",
    "head": "one row",
    "cars": "one line for each car that was ever on offer: an order's page names its car by it",
}
"""Tables of which nothing leaves, and why; of the others, what no rule names stays as well."""

GONE: Final = "gone"
LEFT: Final = "retention"


def rules(store: Store, settings: InsightSettings) -> tuple[Rule, ...]:
    """What leaves the ledger's database, and when."""
    details = timedelta(days=settings.ledger_days)
    variable = "INSIGHT_LEDGER_DAYS"

    async def remove(transaction: AsyncConnection, rule: Rule, keys: Keys, before: datetime) -> int:
        await store.lock(transaction)
        gone = delete(rule.table).where(rule.among(keys), rule.over(before)).returning(rule.table)
        rows = (await transaction.execute(gone)).mappings().all()
        if rows:
            left = sum_of(rows) if rule.table is ENTRIES else Counter[Restated]()
            await store.let_go(transaction, left, kept_since=before)
        return len(rows)

    return (
        Rule(
            EVENTS,
            "what was told of visits, measurements and deployments; not of orders",
            EVENTS.c.at,
            details,
            variable,
            which=EVENTS.c.type.not_in(TOLD_OF_ORDERS),
            remove=remove,
        ),
        Rule(
            ENTRIES,
            "what visits, checkouts, measurements and deployments add to a number; not orders",
            ENTRIES.c.at,
            details,
            variable,
            which=ENTRIES.c.measure.not_in(sorted(OF_ORDERS)),
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
            which=CHECKOUTS.c.result.is_not(None),
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


TOLD_OF_ORDERS: Final = tuple(
    sorted(
        name
        for name in facts.FACT_TYPES
        if name.startswith(
            (
                "checkout.order.",
                "checkout.payment.",
                "checkout.car.handed",
                "checkout.customer.",
            )
        )
    )
)


def sum_of(rows: Sequence[Row]) -> Counter[Restated]:
    """What the entries among these rows that still counted added up to."""
    found: Counter[Restated] = Counter()
    for row in rows:
        if row["until"] is None:
            for cell, amount in cells_of(entry_of_row(row)):
                found[Restated(cell, GONE, LEFT)] += amount
    return found
