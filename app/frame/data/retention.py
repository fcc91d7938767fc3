"""How long rows stay: one list of rules per service, and the turn that removes what is over.

What is over is looked for outside of any transaction, by index and oldest first, and removed in
small transactions that ask again whether it still is. So writers wait for milliseconds, and a turn
that is killed anywhere leaves whole batches behind it. See docs/decisions/0072.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Table, and_, delete, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.data.database import Database
from app.kernel.clock import Clock
from telemetry.bootstrap import Telemetry
from telemetry.catalogue.frame import RETENTION_OVERDUE, RETENTION_ROWS_REMOVED

BATCH: Final = 500
"""Rows that one transaction removes."""

TURN_SECONDS: Final = 3.0
"""After so long a turn begins no further batch."""

Keys = Sequence[tuple[Any, ...]]
"""Primary keys of rows."""

FRAME_KEPT: Final[Mapping[str, str]] = {
    "outbox": "rows leave once every consumer has read them, but the newest thousand",
    "outbox_head": "one row",
    "outbox_epoch": "one row",
    "outbox_consumers": "one row for each consumer",
    "leases": "one row for each job",
    "consumer_positions": "one row for each source",
    "consumer_history": "leaves by itself: what a source could tell again",
    "undigested": "a fact leaves when it is booked: each one pages, none may be lost",
}
"""Tables of the frame that need no rule, and why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows of `table` leave when `at` lies `stay` back, those of `which` only.

    `rows` says in words which they are, `setting` which variable says how long (empty: none).
    `remove` is for rows with which something else has to happen, in the same transaction; it
    returns how many it removed. `outside` is for those that are not removed by one transaction.
    """

    table: Table
    rows: str
    at: Column[datetime]
    stay: timedelta
    setting: str = ""
    which: ColumnElement[bool] | None = None
    remove: Callable[[AsyncConnection, Rule, Keys, datetime], Awaitable[int]] | None = None
    outside: Callable[[Keys], Awaitable[int]] | None = None

    @property
    def key(self) -> tuple[Column[Any], ...]:
        return tuple(self.table.primary_key.columns)

    def over(self, before: datetime) -> ColumnElement[bool]:
        """Whether a row is over, if it must be so since `before`."""
        return and_(self.at < before, true() if self.which is None else self.which)

    def among(self, keys: Keys) -> ColumnElement[bool]:
        """Whether a row is one of these."""
        if len(self.key) == 1:
            return self.key[0].in_([key for (key,) in keys])
        return tuple_(*self.key).in_(keys)

    async def end(self, database: Database, keys: Keys, before: datetime) -> int:
        """Remove those of these rows that are still over; returns how many."""
        if self.outside is not None:
            return await self.outside(keys)
        async with database.transaction() as transaction:
            if self.remove is not None:
                return await self.remove(transaction, self, keys, before)
            gone = delete(self.table).where(self.among(keys), self.over(before))
            return (await transaction.execute(gone)).rowcount


class Retention:
    """Ends what is over in one service's database."""

    def __init__(
        self, rules: Sequence[Rule], database: Database, clock: Clock, telemetry: Telemetry
    ) -> None:
        self._rules = rules
        self._database = database
        self._clock = clock
        self._removed = telemetry.instruments.counter(RETENTION_ROWS_REMOVED)
        self._overdue = telemetry.instruments.gauge(RETENTION_OVERDUE)

    async def turn(self) -> int:
        """End what is over, rule by rule, until all is or time is up; returns how many rows."""
        give_up_at = time.monotonic() + TURN_SECONDS
        return sum([await self._apply(rule, give_up_at) for rule in self._rules])

    async def _apply(self, rule: Rule, give_up_at: float) -> int:
        """At least one batch of each rule, however late it is."""
        before = self._clock.now() - rule.stay
        removed, left, since = 0, 0.0, None
        while found := await self._look(rule, before, since):
            gone = await rule.end(self._database, [tuple(key) for *key, _ in found], before)
            self._removed.inc(gone, table=rule.table.name)
            removed += gone
            done = gone == len(found) < BATCH
            left = max(left, 0.0 if done else (before - found[0][-1]).total_seconds())
            if len(found) < BATCH or time.monotonic() >= give_up_at:
                break
            since = found[-1][-1]
        self._overdue.set(left, table=rule.table.name)
        return removed

    async def _look(
        self, rule: Rule, before: datetime, since: datetime | None
    ) -> Sequence[tuple[Any, ...]]:
        """Keys of rows that are over, the oldest first, each with its moment at the end."""
        query = select(*rule.key, rule.at.label("over_at")).where(rule.over(before))
        if since is not None:
            query = query.where(rule.at >= since)  # what could not be removed is not met again
        query = query.order_by(rule.at).limit(BATCH)
        async with self._database.read() as connection:
            return [tuple(row) for row in await connection.execute(query)]
