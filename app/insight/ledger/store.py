"""SQL of the ledger: loading and storing pages. Reading for people is in `readings.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import RowMapping, Select, Table, bindparam, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contracts.events import VisitorForgotten
from app.frame.data.database import Database
from app.insight.ledger.accounts import SINGLE, Cell, Entry, Segment
from app.insight.ledger.booking import Needed
from app.insight.ledger.books import Books, CheckoutPage, OrderPage, Page, SessionPage
from app.insight.ledger.changes import Changes, Restated
from app.insight.ledger.entries import entries_of
from app.insight.models import (
    ALERTS,
    CARS,
    CHECKOUTS,
    COUNTERS,
    ENTRIES,
    EVENTS,
    HEAD,
    HORIZON,
    ORDERS,
    RESTATED,
    SESSIONS,
)
from app.kernel.channels import known_group
from app.kernel.facts import Event
from telemetry.catalogue import all_metrics

Transaction = AsyncConnection
Row = Mapping[str, Any] | RowMapping

LEDGER_LOCK: Final = 0x6C656467
"""PostgreSQL advisory lock of whoever changes the books ("ledg"): sources share sessions."""

CHUNK: Final = 400
"""Values of one IN or VALUES list; keeps statements within SQLite's limits."""

LABELS_OF: Final = {metric.name: metric.label_names for metric in all_metrics()}

Kind = TypeVar("Kind", SessionPage, CheckoutPage, OrderPage)

RULES_VERSION: Final = 2
"""Goes up with each change of what a page's entries are: then all are made anew at the start."""

NEXT_MOMENT: Final = timedelta(microseconds=1)
"""Batches have moments of their own, so that a report as of one of them never changes."""


class Store:
    """The ledger's database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._insert = postgresql.insert if database.dialect == "postgresql" else sqlite.insert

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """A transaction that changes the books, one at a time."""
        async with self.database.transaction() as transaction:
            await self.lock(transaction)
            yield transaction

    @asynccontextmanager
    async def consistent(self) -> AsyncIterator[Transaction]:
        """Several reads of one moment: no booking happens in between."""
        if self.database.dialect == "postgresql":
            async with self.writing() as transaction:
                yield transaction
        else:
            async with self.database.read() as transaction:
                yield transaction

    async def lock(self, transaction: Transaction) -> None:
        """Wait for other bookings; SQLite's write lock is held by every transaction already."""
        if self.database.dialect == "postgresql":
            await transaction.execute(
                text("SELECT pg_advisory_xact_lock(:key)"), {"key": LEDGER_LOCK}
            )

    async def load(self, transaction: Transaction, wanted: Needed) -> Books:
        """The pages that a batch touches, with the entries that stand for them."""
        books = Books(kept_since=await kept_since(transaction))
        for table, key, ids in (
            (SESSIONS, SESSIONS.c.session_id, wanted.sessions),
            (CHECKOUTS, CHECKOUTS.c.checkout_id, wanted.checkouts),
            (CHECKOUTS, CHECKOUTS.c.session_id, wanted.suspects),
            (ORDERS, ORDERS.c.order_id, wanted.orders),
        ):
            async for row in _where(transaction, select(table), key, ids):
                open_page(books, table, row)
        standing = select(ENTRIES.c.subject, ENTRIES.c.measure).where(ENTRIES.c.until.is_(None))
        async for row in _where(transaction, standing, ENTRIES.c.subject, wanted.singles):
            books.taken.add((row["subject"], row["measure"]))
        known = select(EVENTS.c.event_id)
        async for row in _where(transaction, known, EVENTS.c.event_id, wanted.events):
            books.booked.add(row["event_id"])
        return books

    async def idle_sessions(
        self, transaction: Transaction, *, before: datetime, limit: int
    ) -> Sequence[tuple[str, datetime]]:
        """Open sessions that nobody has used since `before`, with their last act; oldest first."""
        query = (
            select(SESSIONS.c.session_id, SESSIONS.c.last_seen)
            .where(SESSIONS.c.closed_at.is_(None), SESSIONS.c.last_seen < before)
            .order_by(SESSIONS.c.last_seen)
            .limit(limit)
        )
        return [(key, seen) for key, seen in (await transaction.execute(query)).all()]

    async def rules(self, transaction: Transaction) -> int | None:
        """By which version of the rules all entries stand; None before anything was booked."""
        found: int | None = await transaction.scalar(select(HEAD.c.rules))
        return found

    async def pages(self, transaction: Transaction) -> AsyncIterator[Books]:
        """All pages, some at a time, with the entries that are stored for them."""
        for table in (SESSIONS, CHECKOUTS, ORDERS):
            (key,) = table.primary_key.columns
            after = ""
            while (
                rows := (
                    await transaction.execute(
                        select(table).where(key > after).order_by(key).limit(CHUNK)
                    )
                )
                .mappings()
                .all()
            ):
                books = Books()
                for row in rows:
                    open_page(books, table, row)
                books.standing = {row[key.name]: {} for row in rows}
                stored = select(ENTRIES).where(
                    ENTRIES.c.until.is_(None), ENTRIES.c.measure.not_in(sorted(SINGLE))
                )
                async for row in _where(
                    transaction, stored, ENTRIES.c.subject, list(books.standing)
                ):
                    books.standing[row["subject"]][row["measure"]] = entry_of_row(row)
                yield books
                after = rows[-1][key.name]

    async def moment(self, transaction: Transaction, now: datetime) -> datetime:
        """When this batch is booked: now, and after every batch before it, whatever clocks say."""
        last = await booked_until(transaction)
        return now if last is None or now > last else last + NEXT_MOMENT

    async def save(
        self, transaction: Transaction, books: Books, changes: Changes, at: datetime
    ) -> None:
        """Store the pages, what has changed of their entries, and add what was counted."""
        await self._put(transaction, SESSIONS, map(_row, books.sessions.values()))
        await self._put(transaction, CHECKOUTS, map(_row, books.checkouts.values()))
        await self._put(transaction, ORDERS, map(_row, books.orders.values()))
        cars = ({"car_id": car, "title": title} for car, title in books.cars.items())
        await self._put(transaction, CARS, cars)
        if changes.ended:
            await transaction.execute(
                update(ENTRIES)
                .where(
                    ENTRIES.c.subject == bindparam("of"),
                    ENTRIES.c.measure == bindparam("its"),
                    ENTRIES.c.until.is_(None),
                )
                .values(until=at, ended_by=bindparam("why")),
                [
                    {"of": ended.subject, "its": ended.measure, "why": ended.reason}
                    for ended in changes.ended
                ],
            )
        if changes.opened:
            await transaction.execute(
                insert(ENTRIES),
                [
                    {
                        **entry_row(opened.subject, opened.entry),
                        "booked_at": at,
                        "reason": opened.reason,
                    }
                    for opened in changes.opened
                ],
            )
        await self._add(transaction, COUNTERS, map(_cell_row, *_pairs(changes.counted)))
        await self._add(transaction, RESTATED, map(_restated_row, *_pairs(changes.restated)))
        await self._put(transaction, HEAD, [{"id": 1, "booked_at": at, "rules": RULES_VERSION}])

    async def keep(self, transaction: Transaction, events: Iterable[Event], at: datetime) -> None:
        """Store events as they were told, in the order of their booking."""
        rows = [
            {
                "event_id": event.id,
                "source": event.source,
                "type": event.type,
                "at": datetime.fromisoformat(event.time),
                "booked_at": at,
                "session_id": event.context.session_id or event.data.get("session_id") or "",
                "wire": _wire(event),
            }
            for event in events
        ]
        if rows:
            await transaction.execute(insert(EVENTS), rows)

    async def _add(
        self, transaction: Transaction, table: Table, rows: Iterable[Mapping[str, Any]]
    ) -> None:
        """Add to numbers, those that are new included."""
        keys = [column.name for column in table.primary_key]
        # Sorted, so that two transactions never wait for each other's rows in a circle.
        ordered = sorted(rows, key=lambda row: tuple(row[key] for key in keys))
        statement = self._insert(table)
        statement = statement.on_conflict_do_update(
            index_elements=keys, set_={"value": table.c.value + statement.excluded.value}
        )
        for part in _chunks(ordered):
            await transaction.execute(statement, list(part))

    async def let_go(
        self, transaction: Transaction, gone: Counter[Restated], *, kept_since: datetime
    ) -> None:
        """Note what leaves in this transaction, and since when all is there (never earlier)."""
        await self._add(transaction, RESTATED, map(_restated_row, *_pairs(gone)))
        since = self._insert(HORIZON).values(id=1, kept_since=kept_since)
        since = since.on_conflict_do_update(
            index_elements=["id"],
            set_={"kept_since": since.excluded.kept_since},
            where=HORIZON.c.kept_since < since.excluded.kept_since,
        )
        await transaction.execute(since)

    async def save_alerts(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Store what Alertmanager told; an alert is one row from its start to its end."""
        async with self.database.transaction() as transaction:
            await self._put(transaction, ALERTS, alerts)

    async def exported(self) -> tuple[dict[Cell, int], dict[tuple[str, ...], int]]:
        """Every counter, and (metric, direction, reason) of what was restated, of one moment.

        A histogram's observations are restated, not their sum.
        """
        counters = select(COUNTERS.c.metric, COUNTERS.c.labels, COUNTERS.c.part, COUNTERS.c.value)
        keys = (RESTATED.c.metric, RESTATED.c.direction, RESTATED.c.reason)
        restated = (
            select(*keys, func.sum(RESTATED.c.value))
            .where(RESTATED.c.part != "sum", RESTATED.c.direction.in_(("up", "down")))
            .group_by(*keys)
        )
        async with self.database.read() as connection:
            cells = cells_of_rows((await connection.execute(counters)).all())
            moved = (await connection.execute(restated)).all()
        return cells, {tuple(labels): int(value) for *labels, value in moved}

    async def _put(
        self, transaction: Transaction, table: Table, rows: Iterable[Mapping[str, Any]]
    ) -> None:
        keys = [column.name for column in table.primary_key]
        for part in _chunks(list(rows)):
            statement = self._insert(table)
            rest = {c.name: statement.excluded[c.name] for c in table.c if c.name not in keys}
            statement = statement.on_conflict_do_update(index_elements=keys, set_=rest)
            await transaction.execute(statement, list(part))


async def kept_since(connection: AsyncConnection) -> datetime | None:
    """Since when all sessions and checkouts are there; None while none has left."""
    found: datetime | None = await connection.scalar(select(HORIZON.c.kept_since))
    return found


async def booked_until(connection: AsyncConnection) -> datetime | None:
    """When the last batch was booked; None before the first."""
    found: datetime | None = await connection.scalar(select(HEAD.c.booked_at))
    return found


def open_page(books: Books, table: Table, row: Row) -> None:
    """Lay a stored page into the books, with the entries that stand for it."""
    page: Page
    if table is SESSIONS:
        page = books.sessions[row["session_id"]] = _page(SessionPage, row)
        books.standing[row["session_id"]] = entries_of(page)
    elif table is CHECKOUTS:
        page = books.checkouts[row["checkout_id"]] = _page(CheckoutPage, row)
        books.standing[row["checkout_id"]] = entries_of(page)
    else:
        page = books.orders[row["order_id"]] = _page(OrderPage, row)
        books.standing[row["order_id"]] = entries_of(page)


def cells_of_rows(rows: Iterable[Any]) -> dict[Cell, int]:
    """Stored counters as cells; a metric that this version does not know is left out."""
    found: dict[Cell, int] = {}
    for metric, labels, part, value in rows:
        names = LABELS_OF.get(metric)
        known = orjson.loads(labels)
        if names is not None and set(names) == set(known):
            found[Cell(metric, tuple(known[name] for name in names), part)] = int(value)
    return found


def _wire(event: Event) -> str:
    """The event as it was told; without the name that it says is to be forgotten."""
    text = orjson.dumps(event.to_wire()).decode()
    if event.type == VisitorForgotten.TYPE:
        text = text.replace(f'"{event.data["visitor_id"]}"', '""')
    return text


def _pairs(counted: Counter[Any]) -> tuple[Iterable[Any], Iterable[int]]:
    kept = {key: value for key, value in counted.items() if value}
    return kept.keys(), kept.values()


def _cell_row(cell: Cell, value: int) -> dict[str, Any]:
    labels = dict(zip(LABELS_OF[cell.metric], cell.labels, strict=True))
    text_of = orjson.dumps(labels, option=orjson.OPT_SORT_KEYS).decode()
    return {"metric": cell.metric, "labels": text_of, "part": cell.part, "value": value}


def _restated_row(moved: Restated, value: int) -> dict[str, Any]:
    row = _cell_row(moved.cell, value)
    return {**row, "direction": moved.direction, "reason": moved.reason}


def segment_of_row(row: Row) -> Segment | None:
    """The segment columns of a row; None while they are unknown."""
    if row["market"] is None:
        return None
    return Segment(*(str(row[name]) for name in Segment._fields))


SEPARATOR: Final = "|"
"""Between the labels of an entry: none of their values has one."""


def entry_of_row(row: Row) -> Entry:
    """A stored entry."""
    return Entry(
        measure=row["measure"],
        at=row["at"],
        moment=row["moment"],
        segment=Segment(*(row[name] for name in Segment._fields)),
        label=tuple(row["label"].split(SEPARATOR)) if row["label"] else (),
        amount=int(row["amount"]),
        channel_group=known_group(row["channel_group"]),
        campaign=row["campaign"],
    )


def entry_row(subject: str, entry: Entry) -> dict[str, Any]:
    """An entry as it is stored, without its versions' columns."""
    return {
        "subject": subject,
        "measure": entry.measure,
        "label": SEPARATOR.join(entry.label),
        **entry.segment._asdict(),
        "channel_group": entry.channel_group,
        "campaign": entry.campaign,
        "at": entry.at,
        "moment": entry.moment,
        "amount": entry.amount,
    }


def _page(kind: type[Kind], row: Row) -> Kind:
    names = {f.name for f in fields(kind)} - {"segment"}
    return kind(segment=segment_of_row(row), **{name: row[name] for name in names})


def _row(page: Page) -> dict[str, Any]:
    row = {f.name: getattr(page, f.name) for f in fields(page)}
    segment = row.pop("segment")
    return {**row, **{name: getattr(segment, name, None) for name in Segment._fields}}


async def _where(
    transaction: Transaction, query: Select[Any], column: Any, values: Collection[str]
) -> AsyncIterator[RowMapping]:
    for part in _chunks(sorted(values)):
        for row in (await transaction.execute(query.where(column.in_(part)))).mappings():
            yield row


def _chunks(rows: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))
