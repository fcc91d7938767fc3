"""Booking facts into the ledger: one batch is one transaction, together with its position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from app.frame.sessions import IDLE_SECONDS
from app.insight.ledger.booking import SESSION_CLOSED, Booked, book_all, needed
from app.insight.ledger.books import Books
from app.insight.ledger.changes import Changes, changes, moved_by
from app.insight.ledger.forgetting import NOBODY, forget_customer, forget_visitor
from app.insight.ledger.store import RULES_VERSION, Store, Transaction
from app.insight.ledger.totals import entry_cells, exported_cells
from app.kernel.clock import Clock, rfc3339
from app.kernel.facts import Event
from app.kernel.ids import new_id

CLOSED_AT_ONCE: Final = 200
"""Sessions that one turn of the closing job takes."""

IDLE: Final = timedelta(seconds=IDLE_SECONDS)

NAME: Final = "ledger"
"""Source of the events that the ledger tells itself."""


class Projection:
    """Changes the books. Every method is safe to run on several replicas at once.

    `lag_seconds` is how far the ledger is behind its slowest source.
    """

    def __init__(self, store: Store, clock: Clock, lag_seconds: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._lag_seconds = lag_seconds

    async def apply(self, transaction: Transaction, events: Sequence[Event]) -> list[Booked]:
        """Book events in the caller's transaction, which also moves the consumer's position."""
        await self._store.lock(transaction)
        at = await self._store.moment(transaction, self._clock.now())
        books = await self._store.load(transaction, needed(events))
        booked = book_all(events, books)
        stored = [e for e, one in zip(events, booked, strict=True) if one.result == "stored"]
        await self._store.keep(transaction, stored, at)
        await self._store.save(transaction, books, changes(books), at)
        for visitor_id in sorted(books.forgotten):
            await forget_visitor(transaction, visitor_id, new_id(NOBODY, at))
        for order_id in sorted(books.erased):
            await forget_customer(transaction, order_id, new_id(NOBODY, at))
        return booked

    async def restate(self) -> int:
        """Make all entries anew by these rules, when others made them; returns how many changed.

        What an older version exported and cannot be made of pages is restated, not forgotten.
        """
        async with self._store.writing() as transaction:
            if await self._store.rules(transaction) == RULES_VERSION:
                return 0
            at = await self._store.moment(transaction, self._clock.now())
            changed = 0
            async for books in self._store.pages(transaction):
                found = changes(books)
                found.restated.clear()
                found.counted.clear()
                changed += len(found.opened)
                await self._store.save(transaction, books, found, at)
            difference = Counter(await entry_cells(transaction))
            difference.subtract(await exported_cells(transaction))
            await self._store.save(
                transaction, Books(), Changes(restated=moved_by(difference, "rules")), at
            )
        return changed

    async def close_idle_sessions(self) -> int:
        """Close sessions without an act for 30 minutes; returns how many.

        What a source has not told yet may be an act: nothing is over before that was read.
        """
        now = self._clock.now()
        async with self._store.writing() as transaction:
            idle = await self._store.idle_sessions(
                transaction,
                before=now - IDLE - timedelta(seconds=self._lag_seconds()),
                limit=CLOSED_AT_ONCE,
            )
            if idle:
                await self.apply(transaction, [_closed(*each, now) for each in idle])
        return len(idle)


def _closed(session_id: str, last_seen: datetime, now: datetime) -> Event:
    """That a visit is over, since it had been idle for long enough: whenever that is noticed."""
    return Event(
        id=new_id("evt", now),
        source=NAME,
        type=SESSION_CLOSED,
        time=rfc3339(last_seen + IDLE),
        position=0,
        data={"session_id": session_id},
    )
