"""Writing the ledger into an archive, day by day, as of one moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, and_, func, select

from app.frame.data.database import Database
from app.insight.archive.coverage import Coverage, coverage
from app.insight.archive.errors import CannotExport
from app.insight.archive.files import Desk, Index, desk, read_index, write_index
from app.insight.archive.scratch import ROWS, snapshot
from app.insight.ledger.accounts import Segment
from app.insight.ledger.store import Transaction, booked_until
from app.insight.models import ENTRIES, EVENTS

DAY: Final = timedelta(days=1)
INSTANT: Final = timedelta(microseconds=1)

COLUMNS: Final = {
    EVENTS: [
        EVENTS.c[name]
        for name in (
            "number",
            "event_id",
            "source",
            "type",
            "at",
            "booked_at",
            "session_id",
            "wire",
        )
    ],
    ENTRIES: [
        ENTRIES.c[name]
        for name in (
            *("subject", "measure", "label", *Segment._fields, "channel_group", "campaign"),
            *("at", "moment", "amount", "booked_at", "reason"),
        )
    ],
}
"""What of a table is in its files, in the order of `files.KINDS`."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What a run wrote: rows by kind, days, and the ledger's moment that they are as of."""

    as_of: datetime
    days: tuple[date, ...]
    rows: dict[str, int]
    lacks: str


async def export(
    database: Database, folder: Path, *, tell: Callable[[date], object] = lambda _: None
) -> Exported | None:
    """Write what is missing or has grown; None for a ledger that has booked nothing.

    The index is written after each day, so a run that is broken off is gone on with. `tell` hears
    of each day that is written. Raises `CannotExport` for the archive of another ledger.
    """
    async with snapshot(database) as connection:
        until = await booked_until(connection)
        index = read_index(folder)
        if until is None or await connection.scalar(select(func.max(ENTRIES.c.number))) is None:
            return None
        found = await coverage(connection)
        if index is not None:
            await _must_be_of_this_ledger(connection, folder, index, found)
        with desk(folder) as at_desk:
            run = _Run(connection, folder, at_desk, index, found, until)
            await run.write(tell)
    return run.exported


class _Run:
    """One export: `since` is the start of the first day that is written."""

    def __init__(
        self,
        connection: Transaction,
        folder: Path,
        at_desk: Desk,
        index: Index | None,
        found: Coverage,
        until: datetime,
    ) -> None:
        self._connection = connection
        self._folder = folder
        self._desk = at_desk
        self._until = until
        self._since = None if index is None else start_of(index.booked_until.date())
        self._days = set() if index is None else set(index.days)
        self._lacks = lacks(index, found)
        self._other_rules = found.restated_by_rules
        nothing = ("", datetime.min.replace(tzinfo=UTC))
        self._last = nothing if index is None else (index.last_event, index.last_at)
        self._after: dict[Table, int] = {}
        self.exported = Exported(until, (), {"events": 0, "entries": 0, "ended": 0}, self._lacks)

    async def write(self, tell: Callable[[date], object]) -> None:
        for table in COLUMNS:
            self._after[table] = await _number_before(self._connection, table, self._since)
        await self._lay_ended()
        while (day := await self._next_day()) is not None:
            await self._write(day)
            tell(day)

    async def _lay_ended(self) -> None:
        """What was ended since is anywhere among the entries: one pass, waiting on the desk."""
        since: ColumnElement[bool] = ENTRIES.c.until.is_not(None)
        if self._since is not None:
            since = and_(since, ENTRIES.c.until >= self._since)
        names = ("subject", "measure", "booked_at", "until", "ended_by")
        columns = [ENTRIES.c[name] for name in names]
        async for rows in _pages(self._connection, ENTRIES, columns, since):
            self._desk.lay("ended", [row[1:] for row in rows])

    async def _next_day(self) -> date | None:
        found = [self._desk.first_end()]
        for table, after in self._after.items():
            query = select(table.c.booked_at).where(table.c.number > after)
            found.append(await self._connection.scalar(query.order_by(table.c.number).limit(1)))
        moments = [each.astimezone(UTC) for each in found if each is not None]
        return min(moments).date() if moments else None

    async def _write(self, day: date) -> None:
        end = start_of(day) + DAY
        for table in COLUMNS:
            await self._lay(table, end)
        wrote = self.exported.rows
        wrote["ended"] += self._desk.file("ended", day, f"until < TIMESTAMPTZ '{end.isoformat()}'")
        for kind in ("entries", "events"):
            wrote[kind] += self._desk.file(kind, day)
        self._days.add(day)
        self.exported = Exported(self._until, (*self.exported.days, day), wrote, self._lacks)
        write_index(
            self._folder,
            Index(
                booked_until=min(self._until, end - INSTANT),
                last_event=self._last[0],
                last_at=self._last[1],
                days=tuple(sorted(self._days)),
                lacks=self._lacks,
                other_rules=self._other_rules,
            ),
        )

    async def _lay(self, table: Table, end: datetime) -> None:
        """Lay the table's rows that were booked before `end` on the desk."""
        booked = 1 + [column.name for column in COLUMNS[table]].index("booked_at")
        pages = _pages(self._connection, table, COLUMNS[table], None, after=self._after[table])
        async for rows in pages:
            taken = [row for row in rows if row[booked] < end]
            self._desk.lay(table.name, [row[1:] for row in taken])
            if taken:
                self._after[table] = taken[-1][0]
                if table is EVENTS:
                    self._last = (taken[-1].event_id, taken[-1].at)
            if len(taken) < len(rows):
                return


def start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def lacks(index: Index | None, found: Coverage) -> str:
    """What had left before it was archived; what an archive has, it keeps."""
    if index is None:
        return next(found.lacks(rules=False), "")
    late = found.kept_since is not None and found.kept_since > index.booked_until
    return next(found.lacks(rules=False), "") if late else index.lacks


async def _must_be_of_this_ledger(
    connection: Transaction, folder: Path, index: Index, found: Coverage
) -> None:
    there = await connection.execute(
        select(EVENTS.c.type).where(EVENTS.c.event_id == index.last_event)
    )
    if there.first() is not None or not index.last_event:
        return
    if found.kept_since is None or index.last_at >= found.kept_since:
        raise CannotExport(
            f"{folder} has the archive of another ledger, or of a later state of this one (it ends"
            f" with {index.last_event}, which is not in the ledger): name another folder."
        )


async def _number_before(connection: Transaction, table: Table, moment: datetime | None) -> int:
    """The number before the first row that was booked at `moment` or later: they rise together."""
    low, high = 0, int(await connection.scalar(select(func.max(table.c.number))) or 0)
    if moment is None:
        return low
    while low < high:
        middle = (low + high + 1) // 2
        query = select(table.c.booked_at).where(table.c.number >= middle)
        booked = await connection.scalar(query.order_by(table.c.number).limit(1))
        if booked is None or booked >= moment:
            high = middle - 1
        else:
            low = middle
    return low


async def _pages(
    connection: Transaction,
    table: Table,
    columns: Sequence[ColumnElement[Any]],
    condition: ColumnElement[bool] | None,
    *,
    after: int = 0,
) -> AsyncIterator[Sequence[Any]]:
    """Rows by number, some at a time; the number stands before the columns."""
    query = select(table.c.number.label("_number"), *columns).order_by(table.c.number).limit(ROWS)
    if condition is not None:
        query = query.where(condition)
    while rows := (await connection.execute(query.where(table.c.number > after))).all():
        yield rows
        after = rows[-1][0]
