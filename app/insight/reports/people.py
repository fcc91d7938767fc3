"""People who are known again: distinct visitors, buyers and customers, and what they did later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import and_, func, select

from app.insight.ledger.periods import Period, standing
from app.insight.ledger.sums import Key, Source, entries_by, key_names, micros
from app.insight.models import ENTRIES

LOOKAHEAD: Final = timedelta(days=30)
"""A car is bought over days: so long after a first visit an order still counts for its visitor."""

MICROSECOND: Final = timedelta(microseconds=1)

PEOPLE: Final = ("visitor", "buyer", "customer")
"""Measures whose label is a pseudonym."""


async def distinct(
    source: Source, period: Period, by: Sequence[str], measures: Sequence[str] = PEOPLE
) -> Mapping[tuple[Key, str], int]:
    """How many different people each of these measures has, by segments: they do not add up."""
    table = entries_by(source.dialect, period, measures, by)
    keys = [table.c[name] for name in (*key_names(by), "measure")]
    query = select(*keys, func.count(table.c.label.distinct())).group_by(*keys)
    found: Counter[tuple[Key, str]] = Counter()
    for *key, measure, people in (await source.connection.execute(query)).all():
        found[tuple(key), measure] = int(people)
    return found


async def buying_visitors(source: Source, period: Period, by: Sequence[str]) -> Mapping[Key, int]:
    """Visitors of the period who ordered within 30 days after their first visit of it.

    Wherever and in whatever segment they ordered.
    """
    table = entries_by(source.dialect, period, ("visitor",), by)
    names = key_names(by)
    keys = [table.c[name] for name in names]
    visitors = (
        select(*keys, table.c.label, func.min(micros(source.dialect, table.c.at)).label("first"))
        .group_by(*keys, table.c.label)
        .subquery()
    )
    bought = (
        select(ENTRIES.c.label, micros(source.dialect, ENTRIES.c.at).label("at"))
        .where(
            standing(period.as_of),
            ENTRIES.c.measure == "buyer",
            ENTRIES.c.at >= period.since,
            ENTRIES.c.at < period.until + LOOKAHEAD,
        )
        .subquery()
    )
    joined = visitors.join(
        bought,
        and_(
            bought.c.label == visitors.c.label,
            bought.c.at >= visitors.c.first,
            bought.c.at < visitors.c.first + LOOKAHEAD // MICROSECOND,
        ),
    )
    keys = [visitors.c[name] for name in names]
    query = select(*keys, func.count(visitors.c.label.distinct())).select_from(joined)
    found: Counter[Key] = Counter()
    for *key, people in (await source.connection.execute(query.group_by(*keys))).all():
        found[tuple(key)] = int(people)
    return found
