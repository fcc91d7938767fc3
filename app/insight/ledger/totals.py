"""What is exported and what the entries add up to, of one moment: the invariants compare them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.insight.ledger.accounts import MEASURES, Cell, Entry, Segment, cells_of
from app.insight.ledger.periods import standing
from app.insight.ledger.store import SEPARATOR, Store, cells_of_rows
from app.insight.models import COUNTERS, ENTRIES, ORDERS, POSITIONS, RESTATED


@dataclass(frozen=True, slots=True)
class Totals:
    """What is exported and what the entries add up to, of one moment: the invariants compare them.

    Of a histogram, `count` stands for all of its buckets. Entries that have left count.
    """

    exported: Mapping[Cell, int]
    """Counters with what was restated of them."""
    entries: Mapping[Cell, int]
    confirmed_orders: int
    """Rows of orders, and their prices: what checkout's books are compared with."""
    order_value: Mapping[str, int]
    parted: Sequence[str] = ()
    """Sources that have another history than the one that was booked."""


async def totals(store: Store) -> Totals:
    """What the invariants compare, all of one moment."""
    async with store.consistent() as connection:
        exported = await exported_cells(connection)
        entries = await entry_cells(connection)
        confirmed = ORDERS.c.confirmed_at.is_not(None)
        values = (
            await connection.execute(
                select(ORDERS.c.currency, func.count(), func.sum(ORDERS.c.price))
                .where(confirmed)
                .group_by(ORDERS.c.currency)
            )
        ).all()
        parted = await connection.scalars(
            select(POSITIONS.c.source)
            .where(POSITIONS.c.parted_at.is_not(None))
            .order_by(POSITIONS.c.source)
        )
        parted_sources = parted.all()
    return Totals(
        exported=exported,
        entries=entries,
        confirmed_orders=sum(int(count) for _, count, _ in values),
        order_value={currency: int(value) for currency, _, value in values},
        parted=parted_sources,
    )


COUNT: Final = "count"
"""Part that stands for all buckets of a histogram."""


async def exported_cells(connection: AsyncConnection) -> dict[Cell, int]:
    """Counters with what was restated of them, and what has left."""
    found: Counter[Cell] = Counter()
    counters = select(COUNTERS.c.metric, COUNTERS.c.labels, COUNTERS.c.part, COUNTERS.c.value)
    moved = case((RESTATED.c.direction == "up", RESTATED.c.value), else_=-RESTATED.c.value)
    restated = select(
        RESTATED.c.metric, RESTATED.c.labels, RESTATED.c.part, func.sum(moved)
    ).group_by(RESTATED.c.metric, RESTATED.c.labels, RESTATED.c.part)
    for query in (counters, restated):
        for cell, value in cells_of_rows((await connection.execute(query)).all()).items():
            part = cell.part if cell.part in ("", "sum") else COUNT
            found[cell._replace(part=part)] += value
    return {cell: value for cell, value in found.items() if value}


async def entry_cells(connection: AsyncConnection) -> dict[Cell, int]:
    """What the entries that count add up to, as counters export it."""
    keys = (ENTRIES.c.measure, ENTRIES.c.label, *(ENTRIES.c[name] for name in Segment._fields))
    query = (
        select(*keys, func.count(), func.sum(ENTRIES.c.amount))
        .where(standing(None))
        .group_by(*keys)
    )
    found: Counter[Cell] = Counter()
    for measure, label, *segment, count, amount in (await connection.execute(query)).all():
        metric = MEASURES.get(measure)
        if metric is None:
            continue
        entry = Entry(
            measure,
            _NEVER,
            _NEVER,
            Segment(*segment),
            tuple(label.split(SEPARATOR)) if label else (),
            int(amount),
        )
        for cell, value in cells_of(entry):
            if cell.part in ("", "sum"):
                found[cell] += value
            else:
                found[cell._replace(part=COUNT)] += int(count)
    return {cell: value for cell, value in found.items() if value}


_NEVER: Final = datetime.min.replace(tzinfo=UTC)
