"""Booking facts into the ledger: one batch is one transaction, together with its position."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from app.frame.sessions import IDLE_SECONDS
from app.insight.ledger.booking import Booked, book_all, needed
from app.insight.ledger.rules import close
from app.insight.ledger.store import Store, Transaction
from app.kernel.clock import Clock
from app.kernel.facts import Event

CLOSED_AT_ONCE: Final = 200
"""Sessions that one turn of the closing job takes."""


class Projection:
    """Changes the books. Every method is safe to run on several replicas at once."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def apply(self, transaction: Transaction, events: Sequence[Event]) -> list[Booked]:
        """Book events in the caller's transaction, which also moves the consumer's position."""
        await self._store.lock(transaction)
        books = await self._store.load(transaction, needed(events))
        booked = book_all(events, books)
        await self._store.save(transaction, books)
        return booked

    async def close_idle_sessions(self) -> int:
        """Close sessions without an act for 30 minutes; returns how many."""
        now = self._clock.now()
        before = now - timedelta(seconds=IDLE_SECONDS)
        async with self._store.writing() as transaction:
            books = await self._store.idle_sessions(
                transaction, before=before, limit=CLOSED_AT_ONCE
            )
            for session in books.sessions.values():
                close(session, now, books)
            await self._store.save(transaction, books)
        return len(books.sessions)
