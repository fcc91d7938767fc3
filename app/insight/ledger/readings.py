"""Exact numbers of any period for people: reports, the console, the invariants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    Table,
    and_,
    case,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.insight.ledger.books import LOST, ONCE
from app.insight.ledger.store import Store, cells_of, kept_since
from app.insight.models import (
    ALERTS,
    CARS,
    CHECKOUTS,
    COUNTERS,
    ORDERS,
    POSITIONS,
    SESSIONS,
    STEPS,
    TALLIES,
)
from app.kernel.channels import CHANNEL_GROUPS, ChannelGroup, known_group
from telemetry.catalogue.insight import LOSSES

MAX_DURATIONS = 20_000
"""Orders whose durations are read for quantiles: more would be a slow page, not a better number."""


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` until before `until`; `traffic` and `market` are None for all."""

    since: datetime
    until: datetime
    traffic: str | None = None
    market: str | None = None


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop's numbers of one period, all of one committed moment.

    `order_value` is in minor units by currency; durations are seconds, ascending. `ends` counts
    the period's checkouts by how they ended in truth; those that go on are in none of them.
    """

    steps: Mapping[str, int]
    advice_steps: Mapping[str, int]
    sessions: int
    engaged: int
    converted: int
    checkouts: int
    ends: Mapping[str, int]
    orders: int
    order_value: Mapping[str, int]
    order_value_lost: Mapping[str, Mapping[str, int]]
    """Of `order_value`, what was given up, returned or paid back since: by loss and currency."""
    order_seconds: Sequence[float]
    confirmation_seconds: Sequence[float]
    kept_since: datetime | None = None
    """Sessions, steps and checkouts of before have left; None while none has. Orders never do."""

    @property
    def conversion(self) -> float | None:
        """Visits that bought, 0 to 1; None without visits."""
        return self.converted / self.sessions if self.sessions else None

    @property
    def net_order_value(self) -> Mapping[str, int]:
        """What is left of the period's order value, by currency."""
        lost: Counter[str] = Counter()
        for amounts in self.order_value_lost.values():
            lost.update(amounts)
        return {name: value - lost[name] for name, value in self.order_value.items()}


@dataclass(slots=True)
class Brought:
    """What a channel group brought in a period; `order_value` in minor units by currency.

    Sessions by the group that they began with, orders by that of their session's last click that
    was not direct: an order may stand in another group than its session.
    """

    group: ChannelGroup
    sessions: int = 0
    engaged: int = 0
    converted: int = 0
    orders: int = 0
    order_value: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Channels:
    """All channel groups in their order, those of which nothing came too, of one moment."""

    groups: Sequence[Brought]
    kept_since: datetime | None = None


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


@dataclass(frozen=True, slots=True)
class Totals:
    """Counters and what the rows say, of one moment: what the invariants compare.

    Rows that have left count by their tallies.
    """

    counters: Mapping[tuple[str, ...], int]
    """(metric, the metric's own label or '') -> sum over all segments."""
    segments: Mapping[tuple[str, tuple[str, ...]], int]
    """(metric, segment) -> sum, for what must hold in every segment."""
    confirmed_orders: int
    order_value: Mapping[str, int]
    started_checkouts: int
    counted_ends: Mapping[str, int]
    steps: Mapping[str, int]
    histogram_counts: Mapping[str, int]
    order_value_lost: Mapping[str, int]
    """Price of the orders that were counted as lost."""
    parted: Sequence[str] = ()
    """Sources that have another history than the one that was booked."""


def _happened(step: str) -> ColumnElement[bool]:
    """Whether an order has had this happen to it."""
    return exists().where(
        STEPS.c.subject == ORDERS.c.order_id, STEPS.c.funnel == ONCE, STEPS.c.step == step
    )


_loss = case(
    *((_happened(loss), literal_column(f"'{loss}'")) for loss in ("cancelled", "returned")),
    else_=literal_column("'refunded'"),
).label("loss")
"""What took a lost order away; its state goes on to `refunded` when its deposit has gone back."""


class Readings:
    """Reads; changes nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def shop(self, period: Period) -> Shop:
        """Everything that the overview and the funnel report show."""
        async with self._store.consistent() as connection:
            steps = await _counts(connection, _steps(period, "shop"))
            advice = await _counts(connection, _steps(period, "advice"))
            started = _within(SESSIONS, SESSIONS.c.started_at, period)
            sessions, engaged, converted = (
                await connection.execute(
                    select(
                        func.count(),
                        func.coalesce(func.sum(_one_if(SESSIONS.c.engaged)), 0),
                        func.coalesce(func.sum(_one_if(SESSIONS.c.converted)), 0),
                    ).where(started)
                )
            ).one()
            ends = await _counts(
                connection,
                select(func.coalesce(CHECKOUTS.c.result, ""), func.count())
                .where(_within(CHECKOUTS, CHECKOUTS.c.started_at, period))
                .group_by(CHECKOUTS.c.result),
            )
            confirmed = _within(ORDERS, ORDERS.c.confirmed_at, period)
            values = (
                await connection.execute(
                    select(ORDERS.c.currency, func.count(), func.sum(ORDERS.c.price))
                    .where(confirmed)
                    .group_by(ORDERS.c.currency)
                    .order_by(ORDERS.c.currency)
                )
            ).all()
            lost = (
                await connection.execute(
                    select(_loss, ORDERS.c.currency, func.sum(ORDERS.c.price))
                    .where(confirmed, ORDERS.c.state.in_(LOSSES))
                    .group_by(_loss, ORDERS.c.currency)
                    .order_by(ORDERS.c.currency)
                )
            ).all()
            durations = (
                await connection.execute(
                    select(ORDERS.c.order_seconds, ORDERS.c.confirmation_seconds)
                    .where(confirmed)
                    .order_by(ORDERS.c.confirmed_at.desc())
                    .limit(MAX_DURATIONS)
                )
            ).all()
            since = await kept_since(connection)
        return Shop(
            steps=steps,
            advice_steps=advice,
            sessions=int(sessions),
            engaged=int(engaged),
            converted=int(converted),
            checkouts=sum(ends.values()),
            ends={result: count for result, count in ends.items() if result},
            orders=sum(int(count) for _, count, _ in values),
            order_value={currency: int(value) for currency, _, value in values},
            order_value_lost={
                loss: {currency: int(value) for of, currency, value in lost if of == loss}
                for loss in LOSSES
            },
            order_seconds=sorted(row[0] for row in durations if row[0] is not None),
            confirmation_seconds=sorted(row[1] for row in durations if row[1] is not None),
            kept_since=since,
        )

    async def channels(self, period: Period) -> Channels:
        """What each channel group brought: each session and order of `shop` in one of them."""
        found = {group: Brought(group) for group in CHANNEL_GROUPS}
        began, led = SESSIONS.c.channel_group, ORDERS.c.channel_group
        sessions = (
            select(
                began,
                func.count(),
                func.sum(_one_if(SESSIONS.c.engaged)),
                func.sum(_one_if(SESSIONS.c.converted)),
            )
            .where(_within(SESSIONS, SESSIONS.c.started_at, period))
            .group_by(began)
        )
        orders = (
            select(led, ORDERS.c.currency, func.count(), func.sum(ORDERS.c.price))
            .where(_within(ORDERS, ORDERS.c.confirmed_at, period))
            .group_by(led, ORDERS.c.currency)
        )
        async with self._store.consistent() as connection:
            for group, count, engaged, converted in (await connection.execute(sessions)).all():
                brought = found[known_group(group or "")]
                brought.sessions += int(count)
                brought.engaged += int(engaged)
                brought.converted += int(converted)
            for group, currency, count, value in (await connection.execute(orders)).all():
                brought = found[known_group(group or "")]
                brought.orders += int(count)
                brought.order_value[currency] += int(value)
            since = await kept_since(connection)
        return Channels(tuple(found.values()), since)

    async def pulse(self, period: Period, *, slots: int) -> tuple[list[int], list[int]]:
        """Sessions begun and orders confirmed in each of `slots` equal parts of the period."""
        async with self._store.database.read() as connection:
            sessions = await self._slots(connection, SESSIONS, "started_at", period, slots)
            orders = await self._slots(connection, ORDERS, "confirmed_at", period, slots)
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
        async with self._store.consistent() as connection:
            query = select(COUNTERS.c.metric, COUNTERS.c.labels, COUNTERS.c.part, COUNTERS.c.value)
            cells = cells_of((await connection.execute(query)).all())
            confirmed = ORDERS.c.confirmed_at.is_not(None)
            values = await _counts(
                connection,
                select(ORDERS.c.currency, func.sum(ORDERS.c.price))
                .where(confirmed)
                .group_by(ORDERS.c.currency),
            )
            lost = await _counts(
                connection,
                select(ORDERS.c.currency, func.sum(ORDERS.c.price))
                .where(_happened(LOST))
                .group_by(ORDERS.c.currency),
            )
            orders = await connection.scalar(
                select(func.count()).select_from(ORDERS).where(confirmed)
            )
            checkouts = await connection.scalar(select(func.count()).select_from(CHECKOUTS))
            ends = await _counts(
                connection,
                select(CHECKOUTS.c.counted_as, func.count())
                .where(CHECKOUTS.c.counted_as.is_not(None))
                .group_by(CHECKOUTS.c.counted_as),
            )
            steps = await _counts(
                connection,
                select(STEPS.c.step, func.count())
                .where(STEPS.c.funnel == "shop")
                .group_by(STEPS.c.step),
            )
            tallies = (await connection.execute(select(TALLIES))).all()
            parted = await connection.scalars(
                select(POSITIONS.c.source)
                .where(POSITIONS.c.parted_at.is_not(None))
                .order_by(POSITIONS.c.source)
            )
            parted_sources = parted.all()
        gone = {(kind, name): int(count) for kind, name, count in tallies}
        counters: dict[tuple[str, ...], int] = {}
        segments: dict[tuple[str, tuple[str, ...]], int] = {}
        observed: dict[str, int] = {}
        for cell, value in cells.items():
            if cell.part:
                if cell.part != "sum":
                    observed[cell.metric] = observed.get(cell.metric, 0) + value
                continue
            own = (cell.metric, *cell.labels[5:])
            counters[own] = counters.get(own, 0) + value
            segment = (cell.metric, cell.labels[:5])
            segments[segment] = segments.get(segment, 0) + value
        return Totals(
            counters=counters,
            segments=segments,
            confirmed_orders=int(orders or 0),
            order_value=values,
            started_checkouts=int(checkouts or 0) + gone.get(("start", ""), 0),
            counted_ends=_with_gone(ends, gone, "end"),
            steps=_with_gone(steps, gone, "step"),
            histogram_counts=observed,
            order_value_lost=lost,
            parted=parted_sources,
        )

    async def _slots(
        self, connection: AsyncConnection, table: Table, column: str, period: Period, slots: int
    ) -> list[int]:
        at = table.c[column]
        seconds = (period.until - period.since).total_seconds()
        # Both databases count seconds since 1970 differently; SQLAlchemy has no common word.
        unix: ColumnElement[Any] = (
            func.extract("epoch", at)
            if self._store.database.dialect == "postgresql"
            else literal_column(f"strftime('%s', {table.name}.{column})")
        )
        slot = func.floor((unix - period.since.timestamp()) * slots / seconds).label("slot")
        query = select(slot, func.count()).where(_within(table, at, period)).group_by("slot")
        found = [0] * slots
        for number, count in (await connection.execute(query)).all():
            found[min(slots - 1, max(0, int(number)))] += count
        return found


def _within(table: Table, column: ColumnElement[Any], period: Period) -> ColumnElement[bool]:
    conditions = [column >= period.since, column < period.until]
    if period.traffic:
        conditions.append(table.c.traffic == period.traffic)
    if period.market:
        conditions.append(table.c.market == period.market)
    return and_(*conditions)


def _steps(period: Period, funnel: str) -> Select[Any]:
    return (
        select(STEPS.c.step, func.count())
        .where(STEPS.c.funnel == funnel, _within(STEPS, STEPS.c.at, period))
        .group_by(STEPS.c.step)
    )


def _with_gone(
    counts: Mapping[str, int], gone: Mapping[tuple[str, str], int], kind: str
) -> dict[str, int]:
    found = dict(counts)
    for (of, name), count in gone.items():
        if of == kind:
            found[name] = found.get(name, 0) + count
    return found


def _one_if(column: ColumnElement[Any]) -> ColumnElement[int]:
    return case((column.is_(True), 1), else_=0)


async def _counts(connection: AsyncConnection, query: Executable) -> dict[str, int]:
    return {name: int(count) for name, count in (await connection.execute(query)).all()}
