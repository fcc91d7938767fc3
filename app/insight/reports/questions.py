"""What is asked of a report, and the moment of the ledger that answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.insight.ledger.periods import SEGMENTS, Period, stands_as_of
from app.insight.ledger.store import Store, kept_since
from app.insight.ledger.sums import DAY, Key, Source
from app.insight.reports.comparing import Compare, earlier, same_day
from app.insight.reports.tables import Report, Table
from app.kernel.clock import rfc3339
from app.kernel.errors import InvalidInput

LONGEST: Final = timedelta(days=400)
FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Between them every period has one before it, and a calendar."""
SEGMENTATIONS: Final = (*SEGMENTS, DAY)


@dataclass(frozen=True, slots=True)
class Question:
    """A period, by what its numbers are told apart, and with what they are compared."""

    period: Period
    by: Sequence[str] = ()
    compare: Compare | None = None


Make = Callable[[Source, Period, Sequence[str]], Awaitable[Table]]
"""Makes the table of a report."""


def checked(period: Period) -> Period:
    """Raises `InvalidInput` for an impossible period."""
    if period.since >= period.until:
        raise InvalidInput("from: must lie before to")
    if period.since < FIRST or period.until > LAST:
        raise InvalidInput("from, to: must lie in the years 2000 to 2199")
    if period.until - period.since > LONGEST:
        raise InvalidInput(f"from: at most {LONGEST.days} days before to")
    return period


def segments_of(by: str) -> tuple[str, ...]:
    """The segments that a comma-separated text names, each once; raises `InvalidInput`."""
    names = tuple(name.strip() for name in by.split(",")) if by.strip() else ()
    for name in names:
        if name not in SEGMENTATIONS:
            raise InvalidInput(f"by: {name[:40]!r} is none of {', '.join(SEGMENTATIONS)}")
    if len(set(names)) < len(names):
        raise InvalidInput("by: names a segment twice")
    return names


async def answer(
    store: Store, question: Question, make: Make, *, flat: Sequence[str] = (), rows: str = "rows"
) -> Report:
    """The report that `make` makes of a question.

    All of it is of one moment of the ledger, which its heading names: asked as of it, the bytes
    are the same for ever. No booking waits for it.
    """
    async with store.database.read() as connection:
        source = Source(connection, store.database.dialect)
        as_of = await stands_as_of(connection, question.period.as_of)
        kept = await kept_since(connection)
        period = replace(question.period, as_of=as_of)
        table = await make(source, period, question.by)
        before, compared = None, None
        if question.compare is not None:
            compared = earlier(period, question.compare)
            before = await make(source, compared, question.by)
            before = replace(before, rows=_by_this_day(before, period, question.compare))
    heading = heading_of(period, kept) | {"by": list(question.by)}
    if compared is not None:
        heading["compared_with"] = {
            "from": rfc3339(compared.since),
            "to": rfc3339(compared.until),
            "complete": kept is None or compared.since >= kept,
        }
    return Report(heading, table, before, flat, rows)


def _by_this_day(table: Table, period: Period, compare: Compare) -> dict[Key, Any]:
    """Rows of the earlier period under the days that they are compared with."""
    return {
        tuple(
            same_day(value, period, compare) if name == DAY else value
            for name, value in zip(table.keys, key, strict=True)
        ): numbers
        for key, numbers in table.rows.items()
    }


def heading_of(period: Period, kept: datetime | None) -> dict[str, Any]:
    """Of what a report is; `complete` unless visits of its period have left the ledger."""
    since = kept if kept is not None and period.since < kept else None
    return {
        "from": rfc3339(period.since),
        "to": rfc3339(period.until),
        "traffic": period.traffic or "all",
        "market": period.market or "all",
        "filters": period.filters,
        "complete": since is None,
        "kept_since": since and rfc3339(since),
        "as_of": period.as_of and exactly(period.as_of),
    }


def exactly(moment: datetime) -> str:
    """RFC 3339 with microseconds: a moment of the ledger, as `as_of` takes it."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")
