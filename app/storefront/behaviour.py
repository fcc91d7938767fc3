"""Behaviour facts (visits, page views, advice steps, feedback): collected, written in batches.

A page does not wait for the database. A clean stop writes what is left; a `kill -9` costs what
was collected since the last batch, about a second. Money facts never pass here: checkout states
them in the transaction of their effect.
"""

from __future__ import annotations

from app.kernel.facts import EventContext, Fact
from app.storefront.signals import Signals
from app.storefront.store import Store

BATCH = 500
"""Facts in one transaction: short enough not to keep the database from anybody."""


class Behaviour:
    """A bounded buffer in front of the outbox; when it is full, the newest facts are lost."""

    def __init__(self, store: Store, signals: Signals, *, limit: int) -> None:
        self._store = store
        self._signals = signals
        self._limit = limit
        self._waiting: list[tuple[Fact, EventContext]] = []
        self._lost = 0

    def record(self, fact: Fact, context: EventContext) -> None:
        """State a fact; it is durable within a second or so."""
        if len(self._waiting) >= self._limit:
            self._lost += 1
            return
        self._waiting.append((fact, context))

    async def flush(self) -> int:
        """Write everything collected so far; returns how many facts.

        A batch leaves the buffer when it is stored, so a failure loses nothing.
        """
        written = 0
        due = len(self._waiting)
        while written < due:
            batch = self._waiting[: min(BATCH, due - written)]
            with self._signals.writing(context.traceparent for _, context in batch):
                await self._store.add(batch)
            del self._waiting[: len(batch)]
            written += len(batch)
        if self._lost:
            self._signals.facts_lost(self._lost)
            self._lost = 0
        return written
