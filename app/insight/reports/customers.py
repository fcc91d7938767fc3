"""Customers: who came back to buy, and what a customer has brought."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import case, func, select

from app.insight.ledger.periods import Period
from app.insight.ledger.sums import DAY, Key, Source, entries_by, key_names
from app.insight.reports.questions import FIRST, Make
from app.insight.reports.smallcells import without_few
from app.insight.reports.tables import Table, amounts, ratio
from app.kernel.errors import InvalidInput

YEAR: Final = timedelta(days=365)
"""Twelve months: of that many days a rate of returning customers is."""
NOT_KNOWN: Final = "not known"


def customers(margin_rate: float | None) -> Make:
    """The report; `margin_rate` is the share of an order's net value that is margin, if known."""

    async def make(source: Source, period: Period, by: Sequence[str]) -> Table:
        if DAY in by:
            raise InvalidInput("by: customers are of twelve months and of all time, not of a day")
        total, people = await _numbers(source, period, (), margin_rate)
        whole = without_few(total, people)
        rows, of = await _numbers(source, period, by, margin_rate) if by else ({}, {})
        nothing = _of(_Customers(), _Customers(), _Customers(), margin_rate)
        return Table(
            whole.get((), nothing), by, without_few(dict(sorted(rows.items())), of), nothing
        )

    return make


@dataclass(slots=True)
class _Customers:
    """Customers of some time: how many, with more than one order, and what they brought."""

    people: int = 0
    repeated: int = 0
    orders: int = 0
    net: Counter[str] = field(default_factory=Counter)


async def _numbers(
    source: Source, period: Period, by: Sequence[str], margin_rate: float | None
) -> tuple[dict[Key, dict[str, Any]], dict[Key, int]]:
    year = replace(period, since=period.until - YEAR)
    ever = replace(period, since=FIRST)
    asked = await _customers(source, period, by)
    of_year = await _customers(source, year, by)
    of_ever = await _customers(source, ever, by)
    none = _Customers()
    keys = {*asked, *of_year, *of_ever} | (set() if by else {()})
    rows = {
        key: _of(asked.get(key, none), of_year.get(key, none), of_ever.get(key, none), margin_rate)
        for key in keys
    }
    # The fewest people of whom any of a row's numbers is.
    groups = (asked, of_year, of_ever)
    people = {
        key: min((of[key].people for of in groups if key in of and of[key].people), default=0)
        for key in keys
    }
    return rows, people


def _of(
    asked: _Customers, of_year: _Customers, of_ever: _Customers, margin_rate: float | None
) -> dict[str, Any]:
    return {
        "customers": asked.people,
        "orders": asked.orders,
        "repeat_buyers": of_ever.repeated,
        "customers_ever": of_ever.people,
        "repeat_buyer_rate": ratio(of_ever.repeated, of_ever.people),
        "customers_12_months": of_year.people,
        "returning_customers_12_months": of_year.repeated,
        "returning_customer_rate_12_months": ratio(of_year.repeated, of_year.people),
        "clv_historic": _value(of_ever, margin_rate),
        "clv_12_months": _value(of_year, margin_rate),
    }


def _value(of: _Customers, margin_rate: float | None) -> dict[str, Any]:
    """What a customer brought on average: revenue net of what was lost, and margin if known."""
    revenue = {name: net / of.people for name, net in of.net.items()} if of.people else {}
    margin = (
        NOT_KNOWN
        if margin_rate is None
        else amounts({name: value * margin_rate for name, value in revenue.items()})
    )
    return {"revenue": amounts(revenue), "margin": margin}


OF_CUSTOMERS: Final = ("customer", "order_value", "order_value_lost")


async def _customers(source: Source, period: Period, by: Sequence[str]) -> Mapping[Key, _Customers]:
    """Customers with an order in the period, and those orders, by segments."""
    table = entries_by(source.dialect, period, OF_CUSTOMERS, by)
    names = key_names(by)
    measure, label, amount = table.c.measure, table.c.label, table.c.amount
    currency = case((measure == "order_value", label))
    orders = (
        select(
            *(table.c[name] for name in names),
            func.max(case((measure == "customer", label))).label("who"),
            func.max(currency).label("currency"),
            func.sum(
                case(
                    (measure == "order_value", amount),
                    (measure == "order_value_lost", -amount),
                    else_=0,
                )
            ).label("net"),
        )
        .group_by(*(table.c[name] for name in names), table.c.subject)
        .subquery()
    )
    keys = [orders.c[name] for name in names]
    known = orders.c.who.is_not(None)
    each = (
        select(*keys, func.count().label("n")).where(known).group_by(*keys, orders.c.who).subquery()
    )
    found: dict[Key, _Customers] = {}
    groups = [each.c[name] for name in names]
    query = select(
        *groups,
        func.count(),
        func.sum(case((each.c.n > 1, 1), else_=0)),
        func.sum(each.c.n),
    ).group_by(*groups)
    for row in (await source.connection.execute(query)).all():
        people, repeated, count = (int(each or 0) for each in row[len(by) :])
        if people:
            found[tuple(row[: len(by)])] = _Customers(people, repeated, count)
    money = select(*keys, orders.c.currency, func.sum(orders.c.net)).where(known)
    for *key, name, net in (
        await source.connection.execute(money.group_by(*keys, orders.c.currency))
    ).all():
        found[tuple(key)].net[name] = int(net)
    return found
