"""Cohorts: visitors by when they came first, and orders by when they were placed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal, get_args

from sqlalchemy import and_, case, func, select

from app.insight.ledger.periods import Period, standing, within
from app.insight.ledger.sums import DAY, Key, Source, entries_by, key_column, key_names, micros
from app.insight.models import ENTRIES
from app.insight.reports.people import MICROSECOND
from app.insight.reports.questions import Make
from app.insight.reports.smallcells import few, without_few
from app.insight.reports.tables import Numbers, Table, amounts, ratio

Cohort = Literal["week", "month"]
COHORTS: Final = get_args(Cohort)
WINDOWS: Final = (7, 28, 90)
"""Days 1 to N after a first visit: back on any of them is retained."""
CHURN_DAYS: Final = 90
"""A visitor who was not back in so many days is lost."""
RETURN_RIGHT: Final = timedelta(days=14)
"""How long after its handover a car may be given back: until then a return rate may rise."""


def cohorts(every: Cohort) -> Make:
    """Cohorts of a week (Monday) or a month of their market's calendar."""

    async def make(source: Source, period: Period, by: Sequence[str]) -> Table:
        rest = tuple(name for name in by if name != DAY)
        visitors = await _visitors(source, period, rest, every)
        orders = await _orders(source, period, rest, every)
        whole_visitors, whole_orders = _Visitors(), _Orders()
        for one in visitors.values():
            whole_visitors.add(one)
        for other in orders.values():
            whole_orders.add(other)
        keys = sorted({*visitors, *orders})
        people = {key: visitors.get(key, _Visitors()).size for key in keys}
        shown = without_few(
            {key: _retention(visitors.get(key, _Visitors()), period) for key in keys}, people
        )
        rows = {
            key: {"visitors": shown[key], "orders": _returns(orders.get(key, _Orders()))}
            for key in keys
        }
        whole = without_few({(): _retention(whole_visitors, period)}, {(): whole_visitors.size})
        total = {"visitors": whole[()], "orders": _returns(whole_orders)}
        nothing = {
            "visitors": _retention(_Visitors(), period),
            "orders": _returns(_Orders()),
        }
        return Table(total, ("cohort", *rest), rows, nothing, comparable=False)

    return make


def _cohort(day: str, every: Cohort) -> str:
    at = date.fromisoformat(day)
    return (at - timedelta(days=at.weekday())).isoformat() if every == "week" else day[:7]


# --- visitors -------------------------------------------------------------------------------


@dataclass(slots=True)
class _Visitors:
    """First-time visitors, how many came back in each window, and when the last came first."""

    size: int = 0
    back: Counter[int] = field(default_factory=Counter)
    last: datetime | None = None

    def add(self, other: _Visitors) -> None:
        self.size += other.size
        self.back.update(other.back)
        self.last = max(filter(None, (self.last, other.last)), default=None)


def _retention(found: _Visitors, period: Period) -> dict[str, Any]:
    numbers: dict[str, Any] = {"size": found.size}
    for days in WINDOWS:
        back = found.back[days]
        hidden = few(back)
        numbers[f"d{days}"] = {
            "retained": None if hidden else back,
            "retention": None if hidden else ratio(back, found.size),
            "over": _over(found.last, days, period.as_of),
            **({"withheld": True} if hidden else {}),
        }
    kept = numbers[f"d{CHURN_DAYS}"]["retained"]
    judged = kept is not None and numbers[f"d{CHURN_DAYS}"]["over"]
    numbers["churn"] = ratio(found.size - kept, found.size) if judged else None
    return numbers


def _over(last: datetime | None, days: int, as_of: datetime | None) -> bool:
    """Whether the window has passed for every member, so that the number rises no more."""
    if last is None or as_of is None:
        return True
    return last + timedelta(days=days + 1) <= as_of


async def _visitors(
    source: Source, period: Period, by: Sequence[str], every: Cohort
) -> Mapping[Key, _Visitors]:
    """Visitors whose very first visit lies in the period and its segments.

    Whoever came before belongs to the cohort of then. Coming back counts in whatever segment.
    """
    days = (DAY, *by)
    names = key_names(days)
    keys = [
        key_column(source.dialect, period, name).label(n)
        for name, n in zip(days, names, strict=True)
    ]
    at = micros(source.dialect, ENTRIES.c.at)
    whose = ENTRIES.c.label
    first = func.min(at).over(partition_by=whose)
    visits = (
        select(
            whose.label("who"),
            (at - first).label("later"),
            at.label("at"),
            func.row_number()
            .over(partition_by=whose, order_by=(ENTRIES.c.at, ENTRIES.c.subject))
            .label("nth"),
            case((within(period), 1), else_=0).label("asked"),
            *keys,
        )
        .where(standing(period.as_of), ENTRIES.c.measure == "visitor")
        .where(ENTRIES.c.traffic == period.traffic if period.traffic else ENTRIES.c.traffic != "")
        .subquery()
    )
    the_first = visits.c.nth == 1
    day = timedelta(days=1) // MICROSECOND
    windows = [
        func.max(
            case((and_(visits.c.later >= day, visits.c.later < (days + 1) * day), 1), else_=0)
        ).label(f"d{days}")
        for days in WINDOWS
    ]
    members = (
        select(
            *(func.max(case((the_first, visits.c[name]))).label(name) for name in names),
            func.min(visits.c.at).label("at"),
            *windows,
        )
        .group_by(visits.c.who)
        .having(func.max(case((the_first, visits.c.asked), else_=0)) == 1)
        .subquery()
    )
    groups = [members.c[name] for name in names]
    counts = [func.sum(members.c[f"d{days}"]) for days in WINDOWS]
    query = select(*groups, func.count(), func.max(members.c.at), *counts).group_by(*groups)
    found: dict[Key, _Visitors] = {}
    for row in (await source.connection.execute(query)).all():
        key, (size, last, *back) = row[: len(names)], row[len(names) :]
        cohort = found.setdefault((_cohort(key[0], every), *key[1:]), _Visitors())
        one = Counter(dict(zip(WINDOWS, map(int, back), strict=True)))
        cohort.add(_Visitors(int(size), one, _EPOCH + int(last) * MICROSECOND))
    return found


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


# --- orders ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Orders:
    """Orders of a cohort, what became of them, and prices by currency."""

    count: Counter[str] = field(default_factory=Counter)
    delivered_value: Counter[str] = field(default_factory=Counter)
    returned_value: Counter[str] = field(default_factory=Counter)

    def add(self, other: _Orders) -> None:
        self.count.update(other.count)
        self.delivered_value.update(other.delivered_value)
        self.returned_value.update(other.returned_value)


def _returns(found: _Orders) -> Numbers:
    count = found.count
    shares = {
        currency: found.returned_value[currency] / value
        for currency, value in found.delivered_value.items()
        if value
    }
    return {
        "orders": count["orders"],
        "cancelled": count["cancelled"],
        "delivered": count["delivered"],
        "returned": count["returned"],
        "return_rate": ratio(count["returned"], count["delivered"]),
        "may_still_return": count["open"],
        "delivered_value": amounts(found.delivered_value),
        "returned_value": amounts(found.returned_value),
        "returned_value_share": {currency: shares[currency] for currency in sorted(shares)},
    }


OF_COHORTS: Final = ("order", "order_value", "cancelled", "delivered", "returned")


async def _orders(
    source: Source, period: Period, by: Sequence[str], every: Cohort
) -> Mapping[Key, _Orders]:
    """Orders confirmed in the period; one that came back had been delivered, told or not."""
    days = (DAY, *by)
    table = entries_by(source.dialect, period, OF_COHORTS, days)
    names = key_names(days)
    measure = table.c.measure

    def has(*measures: str) -> Any:
        return func.max(case((measure.in_(measures), 1), else_=0))

    priced = measure == "order_value"
    handed = func.max(case((measure == "delivered", micros(source.dialect, table.c.moment))))
    orders = (
        select(
            *(table.c[name] for name in names),
            func.max(case((priced, table.c.label))).label("currency"),
            func.coalesce(func.max(case((priced, table.c.amount))), 0).label("price"),
            has("cancelled").label("cancelled"),
            has("delivered", "returned").label("delivered"),
            has("returned").label("returned"),
            handed.label("handed"),
        )
        .group_by(*(table.c[name] for name in names), table.c.subject)
        .subquery()
    )
    as_of = max(period.as_of or _EPOCH, _EPOCH)
    still = (as_of - _EPOCH - RETURN_RIGHT) // MICROSECOND
    open_to_return = and_(orders.c.handed > still, orders.c.returned == 0)
    keys = [*(orders.c[name] for name in names), orders.c.currency]
    query = select(
        *keys,
        func.count(),
        func.sum(orders.c.cancelled),
        func.sum(orders.c.delivered),
        func.sum(orders.c.returned),
        func.sum(case((open_to_return, 1), else_=0)),
        func.sum(orders.c.price * orders.c.delivered),
        func.sum(orders.c.price * orders.c.returned),
    ).group_by(*keys)
    counted = ("orders", "cancelled", "delivered", "returned", "open")
    found: dict[Key, _Orders] = {}
    for row in (await source.connection.execute(query)).all():
        key, (currency, *counts) = row[: len(names)], row[len(names) :]
        one = _Orders(Counter(dict(zip(counted, map(int, counts[:5]), strict=True))))
        one.delivered_value[currency] = int(counts[5])
        one.returned_value[currency] = int(counts[6])
        found.setdefault((_cohort(key[0], every), *key[1:]), _Orders()).add(one)
    return found
