"""Exact numbers of any period for people: reports, the console, the invariants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.insight.ledger.accounts import (
    ADVICE_STEP,
    MEASURES,
    MILLIONTHS,
    STEP,
    Cell,
    Entry,
    Segment,
    cells_of,
)
from app.insight.ledger.changes import FIRST
from app.insight.ledger.store import (
    SEPARATOR,
    Store,
    booked_until,
    cells_of_rows,
    kept_since,
)
from app.insight.models import (
    ALERTS,
    CARS,
    CHECKOUTS,
    COUNTERS,
    ENTRIES,
    ORDERS,
    POSITIONS,
    RESTATED,
)
from app.kernel.channels import CHANNEL_GROUPS, ChannelGroup, known_group
from telemetry.catalogue.insight import ADVICE_STEPS, FUNNEL_STEPS, LOSSES

MAX_DURATIONS = 20_000
"""Orders whose durations are read for quantiles: more would be a slow page, not a better number."""


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` until before `until`; `traffic` and `market` are None for all.

    `as_of`: as the ledger stood then; None: as it stands.
    """

    since: datetime
    until: datetime
    traffic: str | None = None
    market: str | None = None
    as_of: datetime | None = None


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
    booked_until: datetime | None = None
    """The moment of the ledger that these are of: asked as of it, they never change."""

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


@dataclass(slots=True)
class Moved:
    """A number that changed: what it was, and by how much for which reason."""

    measure: str
    label: str
    was: int = 0
    by: Counter[str] = field(default_factory=Counter)

    @property
    def now(self) -> int:
        return self.was + sum(self.by.values())


@dataclass(frozen=True, slots=True)
class Channels:
    """All channel groups in their order, those of which nothing came too, of one moment."""

    groups: Sequence[Brought]
    kept_since: datetime | None = None
    booked_until: datetime | None = None


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


class Readings:
    """Reads; changes nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def shop(self, period: Period) -> Shop:
        """Everything that the overview and the funnel report show."""
        async with self._store.consistent() as connection:
            rows = (
                await connection.execute(
                    select(ENTRIES.c.measure, ENTRIES.c.label, _AMOUNT)
                    .where(_counted(period), ENTRIES.c.measure.in_(_ADDED_UP))
                    .group_by(ENTRIES.c.measure, ENTRIES.c.label)
                    .order_by(ENTRIES.c.measure, ENTRIES.c.label)
                )
            ).all()
            seconds = {
                measure: await self._seconds(connection, measure, period)
                for measure in ("order_seconds", "confirmation_seconds")
            }
            since, until = await kept_since(connection), await _as_of(connection, period)
        found: dict[str, dict[str, int]] = {measure: {} for measure in _ADDED_UP}
        for measure, label, amount in rows:
            found[measure][label] = int(amount)
        plain = {measure: sum(by_label.values()) for measure, by_label in found.items()}
        lost: dict[str, dict[str, int]] = {loss: {} for loss in LOSSES}
        for label, amount in found["order_value_lost"].items():
            currency, loss = label.split(SEPARATOR)
            lost[loss][currency] = amount
        return Shop(
            steps={step: plain[f"{STEP}{step}"] for step in FUNNEL_STEPS},
            advice_steps={step: plain[f"{ADVICE_STEP}{step}"] for step in ADVICE_STEPS},
            sessions=plain["session"],
            engaged=plain["engaged"],
            converted=plain["converted"],
            checkouts=plain["checkout"],
            ends=found["checkout_end"],
            orders=plain["order"],
            order_value=found["order_value"],
            order_value_lost=lost,
            order_seconds=seconds["order_seconds"],
            confirmation_seconds=seconds["confirmation_seconds"],
            kept_since=since,
            booked_until=until,
        )

    async def _seconds(
        self, connection: AsyncConnection, measure: str, period: Period
    ) -> list[float]:
        """Observations in seconds, ascending: the latest, when they are too many."""
        newest = (
            select(ENTRIES.c.amount)
            .where(_counted(period), ENTRIES.c.measure == measure)
            .order_by(ENTRIES.c.at.desc())
            .limit(MAX_DURATIONS)
        )
        return sorted(amount / MILLIONTHS for amount in await connection.scalars(newest))

    async def channels(self, period: Period) -> Channels:
        """What each channel group brought: each session and order of `shop` in one of them."""
        found = {group: Brought(group) for group in CHANNEL_GROUPS}
        query = (
            select(ENTRIES.c.channel_group, ENTRIES.c.measure, ENTRIES.c.label, _AMOUNT)
            .where(_counted(period), ENTRIES.c.measure.in_(_BROUGHT))
            .group_by(ENTRIES.c.channel_group, ENTRIES.c.measure, ENTRIES.c.label)
            .order_by(ENTRIES.c.label)
        )
        async with self._store.consistent() as connection:
            for group, measure, label, amount in (await connection.execute(query)).all():
                brought = found[known_group(group)]
                match measure:
                    case "session":
                        brought.sessions += int(amount)
                    case "engaged":
                        brought.engaged += int(amount)
                    case "converted":
                        brought.converted += int(amount)
                    case "order":
                        brought.orders += int(amount)
                    case _:
                        brought.order_value[label] += int(amount)
            since, until = await kept_since(connection), await _as_of(connection, period)
        return Channels(tuple(found.values()), since, until)

    async def restatements(self, period: Period, *, since: datetime) -> list[Moved]:
        """Every number of a period that changed after the ledger's moment `since`, and why.

        What had not been told by then was late; the other reasons are the entries' own.
        """
        opened = and_(ENTRIES.c.booked_at > since, _by(ENTRIES.c.booked_at, period.as_of))
        ended = and_(ENTRIES.c.until > since, _by(ENTRIES.c.until, period.as_of))
        why = case((ENTRIES.c.reason == FIRST, LATE), else_=ENTRIES.c.reason)
        was = func.sum(case((standing(since), ENTRIES.c.amount), else_=0))
        found: dict[tuple[str, str], Moved] = {}
        async with self._store.consistent() as connection:
            keys = (ENTRIES.c.measure, ENTRIES.c.label)
            within = _within(period)
            for condition, reason, sign in ((opened, why, 1), (ended, ENTRIES.c.ended_by, -1)):
                query = (
                    select(*keys, reason.label("why"), _AMOUNT)
                    .where(within, condition)
                    .group_by(*keys, "why")
                )
                for measure, label, because, amount in (await connection.execute(query)).all():
                    moved = found.setdefault((measure, label), Moved(measure, label))
                    moved.by[because] += sign * int(amount)
            before = select(*keys, was).where(within).group_by(*keys)
            for measure, label, amount in (await connection.execute(before)).all():
                if (measure, label) in found:
                    found[measure, label].was = int(amount)
        return [each for _, each in sorted(found.items()) if any(each.by.values())]

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
        async with self._store.consistent() as connection:
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
        within = and_(_counted(period), ENTRIES.c.measure == measure)
        query = select(slot, func.count()).where(within).group_by("slot")
        found = [0] * slots
        for number, count in (await connection.execute(query)).all():
            found[min(slots - 1, max(0, int(number)))] += count
        return found


_AMOUNT: Final = func.sum(ENTRIES.c.amount)
_BROUGHT: Final = ("session", "engaged", "converted", "order", "order_value")
_ADDED_UP: Final = (
    *_BROUGHT,
    *(f"{STEP}{step}" for step in FUNNEL_STEPS),
    *(f"{ADVICE_STEP}{step}" for step in ADVICE_STEPS),
    "checkout",
    "checkout_end",
    "order_value_lost",
)


def standing(as_of: datetime | None) -> ColumnElement[bool]:
    """Whether an entry counts; or counted when the ledger stood as of that moment."""
    if as_of is None:
        return ENTRIES.c.until.is_(None)
    return and_(
        ENTRIES.c.booked_at <= as_of,
        or_(ENTRIES.c.until.is_(None), ENTRIES.c.until > as_of),
    )


def _by(moment: ColumnElement[datetime], as_of: datetime | None) -> ColumnElement[bool]:
    return true() if as_of is None else moment <= as_of


def _counted(period: Period) -> ColumnElement[bool]:
    """Entries of a period that count, or did as of its moment of the ledger."""
    return and_(_within(period), standing(period.as_of))


def _within(period: Period) -> ColumnElement[bool]:
    """Entries of a period and its segments, also those that no longer count."""
    conditions = [ENTRIES.c.at >= period.since, ENTRIES.c.at < period.until]
    if period.traffic:
        conditions.append(ENTRIES.c.traffic == period.traffic)
    if period.market:
        conditions.append(ENTRIES.c.market == period.market)
    return and_(*conditions)


async def _as_of(connection: AsyncConnection, period: Period) -> datetime | None:
    """Of which moment of the ledger an answer is: none lies after its last booking."""
    last = await booked_until(connection)
    return last if period.as_of is None or last is None else min(period.as_of, last)


LATE: Final = "late"
"""Why a number changed by something that had happened and not been told."""

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
    query = select(*keys, func.count(), _AMOUNT).where(standing(None)).group_by(*keys)
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
