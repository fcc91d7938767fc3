"""SQL of the ledger: loading and storing pages. Reading for people is in `readings.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import Select, Table, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.data.database import Database
from app.insight.ledger.booking import Needed
from app.insight.ledger.books import (
    Books,
    Cell,
    CheckoutPage,
    OrderPage,
    Segment,
    SessionPage,
    Step,
    StepKey,
)
from app.insight.models import (
    ALERTS,
    CARS,
    CHECKOUTS,
    COUNTERS,
    HORIZON,
    ORDERS,
    SESSIONS,
    STEPS,
    TALLIES,
)
from telemetry.catalogue import all_metrics

Transaction = AsyncConnection

LEDGER_LOCK: Final = 0x6C656467
"""PostgreSQL advisory lock of whoever changes the books ("ledg"): sources share sessions."""

CHUNK: Final = 400
"""Values of one IN or VALUES list; keeps statements within SQLite's limits."""

LABELS_OF: Final = {metric.name: metric.label_names for metric in all_metrics()}

Page = TypeVar("Page", SessionPage, CheckoutPage, OrderPage)


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
        """The pages and steps that a batch touches, as they are stored."""
        books = Books(kept_since=await kept_since(transaction))
        async for row in _where(
            transaction, select(SESSIONS), SESSIONS.c.session_id, wanted.sessions
        ):
            books.sessions[row["session_id"]] = _page(SessionPage, row)
        async for row in _where(
            transaction, select(CHECKOUTS), CHECKOUTS.c.checkout_id, wanted.checkouts
        ):
            books.checkouts[row["checkout_id"]] = _page(CheckoutPage, row)
        async for row in _where(transaction, select(ORDERS), ORDERS.c.order_id, wanted.orders):
            books.orders[row["order_id"]] = _page(OrderPage, row)
        keys = select(STEPS.c.subject, STEPS.c.funnel, STEPS.c.step)
        async for row in _where(transaction, keys, STEPS.c.subject, wanted.subjects):
            books.taken.add(StepKey(row["subject"], row["funnel"], row["step"]))
        return books

    async def idle_sessions(
        self, transaction: Transaction, *, before: datetime, limit: int
    ) -> Books:
        """Open sessions that nobody has used since `before`, with the steps they have taken."""
        query = (
            select(SESSIONS)
            .where(SESSIONS.c.closed_at.is_(None), SESSIONS.c.last_seen < before)
            .order_by(SESSIONS.c.last_seen)
            .limit(limit)
        )
        rows = (await transaction.execute(query)).mappings().all()
        none: frozenset[str] = frozenset()
        found = frozenset(row["session_id"] for row in rows)
        return await self.load(
            transaction, Needed(sessions=found, checkouts=none, orders=none, subjects=found)
        )

    async def save(self, transaction: Transaction, books: Books) -> None:
        """Store the pages and add what was counted."""
        await self._put(transaction, SESSIONS, map(_row, books.sessions.values()))
        await self._put(transaction, CHECKOUTS, map(_row, books.checkouts.values()))
        await self._put(transaction, ORDERS, map(_row, books.orders.values()))
        await self._put(transaction, STEPS, map(_step_row, books.steps))
        cars = ({"car_id": car, "title": title} for car, title in books.cars.items())
        await self._put(transaction, CARS, cars)
        cells = [_cell_row(cell, value) for cell, value in books.cells.items() if value]
        # Sorted, so that two transactions never wait for each other's rows in a circle.
        cells.sort(key=lambda row: (row["metric"], row["labels"], row["part"]))
        for rows in _chunks(cells):
            statement = self._insert(COUNTERS)
            statement = statement.on_conflict_do_update(
                index_elements=["metric", "labels", "part"],
                set_={"value": COUNTERS.c.value + statement.excluded.value},
            )
            await transaction.execute(statement, list(rows))

    async def tally(
        self,
        transaction: Transaction,
        counts: Mapping[tuple[str, str], int],
        *,
        kept_since: datetime,
    ) -> None:
        """Note what leaves in this transaction, and since when all is there (never earlier)."""
        for (kind, name), gone in sorted(counts.items()):
            one = self._insert(TALLIES).values(kind=kind, name=name, gone=gone)
            one = one.on_conflict_do_update(
                index_elements=["kind", "name"], set_={"gone": TALLIES.c.gone + one.excluded.gone}
            )
            await transaction.execute(one)
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

    async def counters(self) -> dict[Cell, int]:
        """Every exported number, of one committed moment."""
        query = select(COUNTERS.c.metric, COUNTERS.c.labels, COUNTERS.c.part, COUNTERS.c.value)
        async with self.database.read() as connection:
            return cells_of((await connection.execute(query)).all())

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
    """Since when all sessions, steps and checkouts are there; None while none has left."""
    found: datetime | None = await connection.scalar(select(HORIZON.c.kept_since))
    return found


def cells_of(rows: Iterable[Any]) -> dict[Cell, int]:
    """Stored counters as cells; a metric that this version does not know is left out."""
    found: dict[Cell, int] = {}
    for metric, labels, part, value in rows:
        names = LABELS_OF.get(metric)
        known = orjson.loads(labels)
        if names is not None and set(names) == set(known):
            found[Cell(metric, tuple(known[name] for name in names), part)] = int(value)
    return found


def _cell_row(cell: Cell, value: int) -> dict[str, Any]:
    labels = dict(zip(LABELS_OF[cell.metric], cell.labels, strict=True))
    text_of = orjson.dumps(labels, option=orjson.OPT_SORT_KEYS).decode()
    return {"metric": cell.metric, "labels": text_of, "part": cell.part, "value": value}


def segment_of_row(row: Mapping[str, Any]) -> Segment | None:
    """The segment columns of a row; None while they are unknown."""
    if row["market"] is None:
        return None
    return Segment(*(str(row[name]) for name in Segment._fields))


def _page(kind: type[Page], row: Mapping[str, Any]) -> Page:
    names = {f.name for f in fields(kind)} - {"segment"}
    return kind(segment=segment_of_row(row), **{name: row[name] for name in names})  # type: ignore[arg-type]


def _row(page: SessionPage | CheckoutPage | OrderPage) -> dict[str, Any]:
    row = asdict(page)
    del row["segment"]
    segment = page.segment
    return {**row, **{name: getattr(segment, name, None) for name in Segment._fields}}


def _step_row(step: Step) -> dict[str, Any]:
    return {**step.key._asdict(), **step.segment._asdict(), "at": step.at}


async def _where(
    transaction: Transaction, query: Select[Any], column: Any, values: Collection[str]
) -> AsyncIterator[Mapping[str, Any]]:
    for part in _chunks(sorted(values)):
        for row in (await transaction.execute(query.where(column.in_(part)))).mappings():
            yield row


def _chunks(rows: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))
