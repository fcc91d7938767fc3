"""What the console reads beside reports: the overview, orders, alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.insight.ledger.accounts import MILLIONTHS
from app.insight.ledger.periods import Period, counted
from app.insight.ledger.shop import SHOP, Shop, shop_of
from app.insight.ledger.store import Store
from app.insight.ledger.sums import Source, sums
from app.insight.ledger.totals import Totals, totals
from app.insight.models import ALERTS, CARS, CHECKOUTS, ENTRIES, ORDERS

MAX_DURATIONS = 20_000
"""Orders whose durations are read for quantiles: more would be a slow page, not a better number."""


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One order as a list shows it; `price` in minor units of `currency`."""

    order_id: str
    car: str
    car_id: str
    model_id: str
    market: str
    channel: str
    device: str
    entry: str
    traffic: str
    state: str
    price: int
    currency: str
    submitted_at: datetime | None
    confirmed_at: datetime | None
    order_seconds: float | None
    confirmation_seconds: float | None
    provider: str
    campaign: str
    release: str
    hold_id: str
    hold_trace: str
    submitted_trace: str
    payment_trace: str
    confirmed_trace: str

    @property
    def at(self) -> datetime | None:
        return self.confirmed_at or self.submitted_at

    @property
    def traces(self) -> tuple[str, ...]:
        """Trace ids of the order's own requests, in the order in which they happen."""
        found = (self.hold_trace, self.submitted_trace, self.payment_trace, self.confirmed_trace)
        return tuple(dict.fromkeys(trace for trace in found if trace))


class Readings:
    """Reads; changes nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def shop(self, period: Period) -> Shop:
        """Everything that the overview shows."""
        async with self._store.consistent() as connection:
            source = Source(connection, self._store.database.dialect)
            found = await sums(source, period, SHOP)
            seconds = {
                measure: await self._seconds(connection, measure, period)
                for measure in ("order_seconds", "confirmation_seconds")
            }
        return shop_of(found[()], seconds)

    async def _seconds(
        self, connection: AsyncConnection, measure: str, period: Period
    ) -> list[float]:
        """Observations in seconds, ascending: the latest, when they are too many."""
        newest = (
            select(ENTRIES.c.amount)
            .where(counted(period), ENTRIES.c.measure == measure)
            .order_by(ENTRIES.c.at.desc())
            .limit(MAX_DURATIONS)
        )
        return sorted(amount / MILLIONTHS for amount in await connection.scalars(newest))

    async def pulse(self, period: Period, *, slots: int) -> tuple[list[int], list[int]]:
        """Sessions begun and orders confirmed in each of `slots` equal parts of the period."""
        async with self._store.database.read() as connection:
            sessions = await self._slots(connection, "session", period, slots)
            orders = await self._slots(connection, "order", period, slots)
        return sessions, orders

    async def last_orders(
        self, *, limit: int, traffic: str | None = None, order_id: str | None = None
    ) -> list[OrderLine]:
        """The latest orders, newest first; or the one of `order_id`."""
        query = (
            select(
                ORDERS,
                func.coalesce(CARS.c.title, "").label("car"),
                func.coalesce(CHECKOUTS.c.trace_id, "").label("hold_trace"),
            )
            .outerjoin(CARS, CARS.c.car_id == ORDERS.c.car_id)
            .outerjoin(CHECKOUTS, CHECKOUTS.c.checkout_id == ORDERS.c.hold_id)
            .order_by(func.coalesce(ORDERS.c.confirmed_at, ORDERS.c.submitted_at).desc())
            .limit(limit)
        )
        if traffic:
            query = query.where(ORDERS.c.traffic == traffic)
        if order_id is not None:
            query = query.where(ORDERS.c.order_id == order_id)
        names = OrderLine.__dataclass_fields__
        async with self._store.database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [OrderLine(**{name: row[name] for name in names}) for row in rows]

    async def alerts(self, *, limit: int) -> list[dict[str, Any]]:
        """The alerts' history, newest first."""
        query = select(ALERTS).order_by(ALERTS.c.starts_at.desc()).limit(limit)
        async with self._store.database.read() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    async def confirmed_orders(self, *, after: str, limit: int) -> list[Mapping[str, Any]]:
        """Orders that were ever confirmed, with an id over `after`, by id."""
        columns = (ORDERS.c[name] for name in ("order_id", "car_id", "price", "currency", "state"))
        query = (
            select(*columns, ORDERS.c.provider, ORDERS.c.confirmed_at)
            .where(ORDERS.c.confirmed_at.is_not(None), ORDERS.c.order_id > after)
            .order_by(ORDERS.c.order_id)
            .limit(limit)
        )
        async with self._store.database.read() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    async def totals(self) -> Totals:
        """What the invariants compare, all of one moment."""
        return await totals(self._store)

    async def _slots(
        self, connection: AsyncConnection, measure: str, period: Period, slots: int
    ) -> list[int]:
        seconds = (period.until - period.since).total_seconds()
        # Both databases count seconds since 1970 differently; SQLAlchemy has no common word.
        unix: ColumnElement[Any] = (
            func.extract("epoch", ENTRIES.c.at)
            if self._store.database.dialect == "postgresql"
            else literal_column("strftime('%s', entries.at)")
        )
        slot = func.floor((unix - period.since.timestamp()) * slots / seconds).label("slot")
        within = and_(counted(period), ENTRIES.c.measure == measure)
        query = select(slot, func.count()).where(within).group_by("slot")
        found = [0] * slots
        for number, count in (await connection.execute(query)).all():
            found[min(slots - 1, max(0, int(number)))] += count
        return found
