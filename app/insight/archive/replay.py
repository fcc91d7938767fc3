"""Booking again what was booked, in the same order and with the same moments.

The rules are the ledger's own (`booking`, `changes`); only loading and storing are done for many
batches at once, so that a day of shopping takes seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import bindparam, insert, select, update

from app.frame.data.database import Database
from app.insight.archive.errors import CannotReplay
from app.insight.archive.scratch import ROWS
from app.insight.ledger.accounts import Cell
from app.insight.ledger.booking import Needed, book_all, needed
from app.insight.ledger.books import Books
from app.insight.ledger.changes import Changes, Restated, changes
from app.insight.ledger.store import Store, Transaction, entry_row
from app.insight.models import ENTRIES, EVENTS
from app.kernel.facts import ContractBroken, Event

WINDOW: Final = 5_000
"""Events whose pages are in memory at a time."""


class Told(NamedTuple):
    """One event as it was booked: its place, its moment, and the CloudEvent as JSON."""

    number: int
    booked_at: datetime
    wire: str


class Batch(NamedTuple):
    """Events that were booked in one transaction."""

    at: datetime
    events: list[Event]


async def told(connection: Transaction, *, after: int = 0) -> AsyncIterator[Told]:
    """The events of a ledger in the order of their booking, after the one of that number."""
    columns = (EVENTS.c.number, EVENTS.c.booked_at, EVENTS.c.wire)
    while rows := (
        await connection.execute(
            select(*columns).where(EVENTS.c.number > after).order_by(EVENTS.c.number).limit(ROWS)
        )
    ).all():
        for row in rows:
            yield Told(*row)
        after = rows[-1].number


async def replayed(events: AsyncIterator[Told], target: Database) -> int:
    """Book these events into a scratch ledger; returns the number of the last, 0 of none.

    Raises `CannotReplay` for one that this version cannot book.
    """
    replay, last = Replay(Store(target)), 0
    window: list[Batch] = []
    size = 0
    async for one in events:
        if not window or one.booked_at != window[-1].at:
            if size >= WINDOW:
                await replay.book(window)
                window, size = [], 0
            window.append(Batch(one.booked_at, []))
        window[-1].events.append(Event.from_wire(orjson.loads(one.wire)))
        last = one.number
        size += 1
    if window:
        await replay.book(window)
    return last


class Replay:
    """Books windows of batches, each window in one transaction of the scratch ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def book(self, window: Sequence[Batch]) -> None:
        wanted = needed(event for batch in window for event in batch.events)
        async with self._store.writing() as transaction:
            books = await self._store.load(transaction, wanted)
            history = _History()
            for batch in window:
                history.add(_booked(batch, books), batch.at)
            await history.store(transaction)
            numbers = Changes(counted=history.counted, restated=history.restated)
            await self._store.save(transaction, books, numbers, window[-1].at)


class _History:
    """What a window does to entries: rows as they end up, and ends of rows that are stored."""

    def __init__(self) -> None:
        self._opened: list[dict[str, Any]] = []
        self._standing: dict[tuple[str, str], dict[str, Any]] = {}
        self._ended: list[dict[str, Any]] = []
        self.counted: Counter[Cell] = Counter()
        self.restated: Counter[Restated] = Counter()

    def add(self, found: Changes, at: datetime) -> None:
        for ended in found.ended:
            row = self._standing.pop((ended.subject, ended.measure), None)
            if row is not None:
                row |= {"until": at, "ended_by": ended.reason}
            else:
                key = {"of": ended.subject, "its": ended.measure}
                self._ended.append({**key, "since": at, "why": ended.reason})
        for opened in found.opened:
            row = entry_row(opened.subject, opened.entry)
            row |= {"booked_at": at, "until": None, "reason": opened.reason, "ended_by": None}
            self._standing[opened.subject, opened.entry.measure] = row
            self._opened.append(row)
        self.counted.update(found.counted)
        self.restated.update(found.restated)

    async def store(self, transaction: Transaction) -> None:
        if self._ended:
            end = update(ENTRIES).where(
                ENTRIES.c.subject == bindparam("of"),
                ENTRIES.c.measure == bindparam("its"),
                ENTRIES.c.until.is_(None),
            )
            ends = end.values(until=bindparam("since"), ended_by=bindparam("why"))
            await transaction.execute(ends, self._ended)
        if self._opened:
            await transaction.execute(insert(ENTRIES), self._opened)


def _booked(batch: Batch, books: Books) -> Changes:
    """What a batch changes, seeing of the window's pages those that it would have loaded."""
    part = _part(books, needed(batch.events))
    try:
        results = book_all(batch.events, part)
    except ContractBroken as error:
        types = ", ".join(sorted({event.type for event in batch.events}))
        raise CannotReplay(
            f"what was booked at {batch.at.isoformat()} ({types}) has a fact that this version"
            f" cannot book ({error}): use the version that booked it, or a later one."
        ) from None
    for one in results:
        if one.result != "stored":
            raise CannotReplay(f"the event {one.event_id} ({one.type}) is {one.result} {one.why}.")
    books.sessions |= part.sessions
    books.checkouts |= part.checkouts
    books.orders |= part.orders
    books.cars |= part.cars
    return changes(part)


def _part(books: Books, wanted: Needed) -> Books:
    checkouts = {key: books.checkouts[key] for key in wanted.checkouts if key in books.checkouts}
    if wanted.suspects:
        checkouts |= {
            key: page for key, page in books.checkouts.items() if page.session_id in wanted.suspects
        }
    return Books(
        sessions={key: books.sessions[key] for key in wanted.sessions if key in books.sessions},
        checkouts=checkouts,
        orders={key: books.orders[key] for key in wanted.orders if key in books.orders},
        standing=books.standing,
        taken=books.taken,
        booked=books.booked,
        kept_since=books.kept_since,
    )
