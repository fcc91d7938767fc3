"""What entries add up to, by segment: the one way in which a number of a period is made."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    String,
    Subquery,
    and_,
    case,
    cast,
    extract,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import INTERVAL
from sqlalchemy.ext.asyncio import AsyncConnection

from app.insight.ledger.periods import Period, counted
from app.insight.models import ENTRIES
from app.kernel.channels import CHANNEL_GROUPS, UNASSIGNED
from app.kernel.zones import TIME_ZONES

DAY: Final = "day"
"""A segment that is no column: the day of an entry in its market, as YYYY-MM-DD."""

Key = tuple[str, ...]
"""Values of the segments that numbers are told apart by; empty for the whole."""


class Source(NamedTuple):
    """One moment of the ledger's database; `dialect` is `sqlite` or `postgresql`."""

    connection: AsyncConnection
    dialect: str


@dataclass(slots=True)
class Sums:
    """What the entries of one segment add up to; `rows` is how many there are."""

    amounts: Counter[tuple[str, str]] = field(default_factory=Counter)
    rows: Counter[tuple[str, str]] = field(default_factory=Counter)

    def total(self, measure: str) -> int:
        return sum(self.of(measure).values())

    def of(self, measure: str) -> dict[str, int]:
        """A measure by its labels, sorted."""
        return _labels(self.amounts, measure)

    def rows_of(self, measure: str) -> dict[str, int]:
        return _labels(self.rows, measure)


def _labels(found: Counter[tuple[str, str]], measure: str) -> dict[str, int]:
    return {label: n for (name, label), n in sorted(found.items()) if name == measure}


async def sums(
    source: Source, period: Period, measures: Sequence[str], by: Sequence[str] = ()
) -> Mapping[Key, Sums]:
    """The sums of a period by segments; a segment without an entry is empty."""
    table = entries_by(source.dialect, period, measures, by)
    keys = [table.c[name] for name in (*key_names(by), "measure", "label")]
    query = select(*keys, func.sum(table.c.amount), func.count()).group_by(*keys)
    found: defaultdict[Key, Sums] = defaultdict(Sums)
    for *key, measure, label, amount, rows in (await source.connection.execute(query)).all():
        of = found[tuple(key)]
        of.amounts[measure, label] = int(amount)
        of.rows[measure, label] = int(rows)
    return found


def key_names(by: Sequence[str]) -> list[str]:
    """Names of the columns of `entries_by` that hold the segments: none is a table's own."""
    return [f"by_{name}" for name in by]


def entries_by(
    dialect: str,
    period: Period,
    measures: Sequence[str],
    by: Sequence[str],
    *,
    labels: bool = True,
) -> Subquery:
    """The entries of a period with the segments that they are told apart by.

    Without `labels` all entries of a measure are alike.
    """
    columns: list[ColumnElement[Any]] = [
        ENTRIES.c[name] for name in ("subject", "measure", "amount", "at", "moment")
    ]
    columns.append((ENTRIES.c.label if labels else literal("", String)).label("label"))
    keys = [key_column(dialect, period, name).label(f"by_{name}") for name in by]
    return (
        select(*columns, *keys)
        .where(counted(period), ENTRIES.c.measure.in_(sorted(set(measures))))
        .subquery()
    )


def key_column(dialect: str, period: Period, name: str) -> ColumnElement[Any]:
    """The value of a segment; a channel group of a later version is unassigned."""
    if name == DAY:
        return _local_day(dialect, period)
    if name == "channel_group":
        column = ENTRIES.c.channel_group
        return case((column.in_(CHANNEL_GROUPS), column), else_=UNASSIGNED)
    return ENTRIES.c[name]


def _local_day(dialect: str, period: Period) -> ColumnElement[str]:
    """The market's day of an entry of the period: in nights of daylight saving it has 23 or 25 h.

    Both databases add the offset that Python's zones have, so that they agree on every day.
    """
    pieces = [
        (and_(ENTRIES.c.market == market, ENTRIES.c.at < until), f"{offset} seconds")
        for market, zone in TIME_ZONES.items()
        for until, offset in _offsets(ZoneInfo(zone), period.since, period.until)
    ]
    offset = case(*((condition, literal(text)) for condition, text in pieces), else_="0 seconds")
    if dialect == "postgresql":
        local = func.timezone("UTC", ENTRIES.c.at) + cast(offset, INTERVAL)
        return func.to_char(local, "YYYY-MM-DD")
    return func.date(ENTRIES.c.at, offset)


def _offsets(zone: ZoneInfo, since: datetime, until: datetime) -> list[tuple[datetime, str]]:
    """(until when, signed seconds ahead of UTC) of each piece of a period, in order."""

    def offset(at: datetime) -> timedelta:
        return at.astimezone(zone).utcoffset() or timedelta()

    found: list[tuple[datetime, timedelta]] = []
    at = since
    while at < until:
        step = min(at + timedelta(days=1), until)
        if offset(at) != offset(step):  # to the second, between the two
            low, high = at, step
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
            found.append((high.replace(microsecond=0), offset(at)))
        at = step
    found.append((until, offset(at - timedelta(microseconds=1))))
    return [(end, f"{int(ahead.total_seconds()):+d}") for end, ahead in found]


def micros(dialect: str, column: ColumnElement[datetime]) -> ColumnElement[int]:
    """A moment in microseconds since 1970: exact, and the same number on both databases."""
    if dialect == "postgresql":
        return cast(extract("epoch", column) * 1_000_000, BigInteger)
    seconds = cast(func.strftime("%s", column), Integer)
    return seconds * 1_000_000 + cast(func.substr(column, 21, 6), Integer)


class Quantiles(NamedTuple):
    """Observed values at some percents of `n` observations."""

    n: int
    values: Mapping[int, int]


async def quantiles(
    source: Source,
    period: Period,
    measures: Sequence[str],
    percents: Sequence[int],
    by: Sequence[str] = (),
    *,
    labels: bool = True,
) -> Mapping[Key, Mapping[tuple[str, str], Quantiles]]:
    """Exact quantiles of the amounts of each measure and label, by segments.

    The nearest rank (Hyndman and Fan's type 1): the least value that at least so many percent of
    all do not exceed. It was really observed; a median is the lower of two in the middle.
    """
    table = entries_by(source.dialect, period, measures, by, labels=labels)
    names = [*key_names(by), "measure", "label"]
    keys = [table.c[name] for name in names]
    ranked = select(
        *keys,
        table.c.amount,
        func.row_number().over(partition_by=keys, order_by=table.c.amount).label("rank"),
        func.count().over(partition_by=keys).label("n"),
    ).subquery()
    reached = [
        func.min(case((ranked.c.rank * 100 >= ranked.c.n * percent, ranked.c.amount)))
        for percent in percents
    ]
    keys = [ranked.c[name] for name in names]
    query = select(*keys, func.max(ranked.c.n), *reached).group_by(*keys)
    found: defaultdict[Key, dict[tuple[str, str], Quantiles]] = defaultdict(dict)
    for row in (await source.connection.execute(query)).all():
        key, (measure, label, n, *values) = tuple(row[: len(by)]), row[len(by) :]
        of = dict(zip(percents, map(int, values), strict=True))
        found[key][measure, label] = Quantiles(int(n), of)
    return found
