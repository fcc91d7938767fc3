"""Advice that was given, as facts in the outbox.

Behaviour facts are written in batches: one transaction each would cost more than the advice. A
`kill -9` may lose those of the last fraction of a second (DESIGN.md, "Facts, signals, ledger").
"""

from __future__ import annotations

from typing import Final

from app.contracts.events import AdviceGiven
from app.frame.database import Database
from app.frame.outbox import Outbox
from app.kernel.facts import EventContext, Fact

MOST_WAITING: Final = 10_000
"""With the database gone for long, the oldest are given up before memory is."""


class AdviceLog:
    """Facts waiting for the next batch."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox
        self._waiting: list[tuple[Fact, EventContext]] = []

    def add(self, fact: AdviceGiven, context: EventContext) -> None:
        self._waiting.append((fact, context))
        del self._waiting[:-MOST_WAITING]

    async def flush(self) -> int:
        """Write what waits in one transaction; on failure it waits for the next time."""
        batch, self._waiting = self._waiting, []
        if not batch:
            return 0
        try:
            async with self._database.transaction() as transaction:
                await self._outbox.add_each(transaction, batch)
        except BaseException:
            self._waiting = [*batch, *self._waiting]
            raise
        return len(batch)
