"""How far a ledger's events reach: what can be worked out of them, and what cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select

from app.insight.ledger.store import Transaction, kept_since
from app.insight.models import ENTRIES, EVENTS, RESTATED
from app.kernel.clock import rfc3339

RULES: Final = "rules"
"""Reason of what a new version restated when it started."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of a ledger its own events do not tell."""

    kept_since: datetime | None
    """Events of before have left (INSIGHT_LEDGER_DAYS); None while none has."""
    older_entries: int
    """Entries of a version that kept no events."""
    restated_by_rules: bool
    """Whether a version with other rules has booked here: what reports showed then was by those."""

    def lacks(self, *, rules: bool) -> Iterator[str]:
        """Why it cannot be rebuilt, a sentence each; other rules count only with `rules`."""
        if self.kept_since is not None:
            yield (
                f"events of before {rfc3339(self.kept_since)} have left (INSIGHT_LEDGER_DAYS), and"
                " their numbers would leave with them. Import an archive that has them into an"
                " empty database instead (docs/ledger.md, Your data)."
            )
        elif self.older_entries:
            yield (
                f"{self.older_entries} entries were booked by a version that kept no events: what"
                " made them cannot be told again. The ledger's numbers stand as they are; to go"
                " back to an older state of it, restore a backup (docs/restoring.md)."
            )
        if rules and self.restated_by_rules:
            yield (
                "a version with other rules has booked here, and reports as of then would change"
                " to what these rules make of it. Say --these-rules if that is wanted."
            )


async def coverage(connection: Transaction) -> Coverage:
    first = await connection.scalar(select(EVENTS.c.booked_at).order_by(EVENTS.c.number).limit(1))
    older = select(func.count()).select_from(ENTRIES)
    if first is not None:
        older = older.where(ENTRIES.c.booked_at < first)
    by_rules = await connection.scalar(
        select(func.count()).select_from(RESTATED).where(RESTATED.c.reason == RULES)
    )
    again = await connection.scalar(
        select(func.count())
        .select_from(ENTRIES)
        .where((ENTRIES.c.reason == RULES) | (ENTRIES.c.ended_by == RULES))
    )
    return Coverage(
        kept_since=await kept_since(connection),
        older_entries=int(await connection.scalar(older) or 0),
        restated_by_rules=bool(by_rules or again),
    )
