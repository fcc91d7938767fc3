"""Which numbers of a period changed after somebody knew them: what they were, are, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, case, func, select

from app.insight.ledger.changes import FIRST
from app.insight.ledger.periods import Period, known_by, standing, stands_as_of, within
from app.insight.ledger.store import Store, kept_since
from app.insight.models import ENTRIES
from app.insight.reports.people import PEOPLE
from app.insight.reports.questions import exactly, heading_of
from app.insight.reports.tables import written

LATE: Final = "late"
"""Why a number changed by something that had happened and not been told."""


@dataclass(slots=True)
class Moved:
    """A number that changed: what it was, and by how much for which reason."""

    measure: str
    label: str
    was: int = 0
    by: Counter[str] = field(default_factory=Counter)

    @property
    def now(self) -> int:
        return self.was + sum(self.by.values())


@dataclass(frozen=True, slots=True)
class Restatements:
    """The numbers of one period that changed after somebody knew them."""

    heading: dict[str, Any]
    moved: Sequence[Moved]

    def as_json(self) -> dict[str, Any]:
        rows = [
            {
                "measure": each.measure,
                "label": each.label,
                "was": each.was,
                "is": each.now,
                "because": {why: by for why, by in sorted(each.by.items()) if by},
            }
            for each in self.moved
        ]
        return {**self.heading, "restated": rows}

    def as_csv(self) -> str:
        """A line per number and reason; `by` adds up to `is` less `was`."""
        lines = [
            (each.measure, each.label, each.was, each.now, why, by)
            for each in self.moved
            for why, by in sorted(each.by.items())
            if by
        ]
        return written([("measure", "label", "was", "is", "because", "by"), *lines])


async def restatements(store: Store, period: Period, *, known_at: datetime) -> Restatements:
    """Every number of a period that changed after the ledger's moment `known_at`, and why.

    What had not been told by then was late; the other reasons are the entries' own. A label that
    is a person's pseudonym is left out.
    """
    label = case((ENTRIES.c.measure.in_(PEOPLE), ""), else_=ENTRIES.c.label).label("told")
    why = case((ENTRIES.c.reason == FIRST, LATE), else_=ENTRIES.c.reason)
    found: dict[tuple[str, str], Moved] = {}
    async with store.database.read() as connection:
        period = replace(period, as_of=await stands_as_of(connection, period.as_of))
        heading = heading_of(period, await kept_since(connection))
        opened = and_(ENTRIES.c.booked_at > known_at, known_by(ENTRIES.c.booked_at, period.as_of))
        ended = and_(ENTRIES.c.until > known_at, known_by(ENTRIES.c.until, period.as_of))
        for condition, reason, sign in ((opened, why, 1), (ended, ENTRIES.c.ended_by, -1)):
            rows = (
                select(ENTRIES.c.measure, label, reason.label("why"), ENTRIES.c.amount)
                .where(within(period), condition)
                .subquery()
            )
            keys = (rows.c.measure, rows.c.told, rows.c.why)
            query = select(*keys, func.sum(rows.c.amount)).group_by(*keys)
            for measure, told, because, amount in (await connection.execute(query)).all():
                moved = found.setdefault((measure, told), Moved(measure, told))
                moved.by[because] += sign * int(amount)
        before = (
            select(ENTRIES.c.measure, label, ENTRIES.c.amount)
            .where(within(period), standing(known_at))
            .subquery()
        )
        sums = select(before.c.measure, before.c.told, func.sum(before.c.amount))
        for measure, told, amount in (
            await connection.execute(sums.group_by(before.c.measure, before.c.told))
        ).all():
            if (measure, told) in found:
                found[measure, told].was = int(amount)
    moved_rows = [each for _, each in sorted(found.items()) if any(each.by.values())]
    return Restatements({**heading, "known_at": exactly(known_at)}, moved_rows)
