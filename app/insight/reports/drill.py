"""Behind a cell: the entries that it is the sum of, and what was told of each subject."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, and_, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contracts.events import FeedbackGiven
from app.insight.ledger.accounts import MEASURES
from app.insight.ledger.periods import Period, counted, stands_as_of
from app.insight.ledger.store import Row, Store, kept_since
from app.insight.ledger.sums import DAY, key_column
from app.insight.models import CHECKOUTS, ENTRIES, EVENTS, ORDERS, SESSIONS
from app.insight.reports.people import PEOPLE
from app.insight.reports.questions import exactly, heading_of
from app.insight.reports.smallcells import few
from app.insight.reports.tables import flattened, written
from app.kernel.clock import rfc3339
from app.kernel.errors import InvalidInput, NotFound

OF_NOBODY: Final = frozenset({"deployment"})
"""Measures of which no person can be told by."""

KEPT_FROM_VIEW: Final = ("campaign", "utm_", "visitor_id", "customer")
"""Beginnings of members that are words of strangers, or lead to a person."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One number: a measure of a period, of one label and of one day if they are named."""

    measure: str
    label: str | None = None
    day: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the entries of a cell. `count` is how many the cell has; None where withheld."""

    heading: dict[str, Any]
    count: int | None
    amount: int | None
    items: Sequence[Mapping[str, Any]]
    next_cursor: str | None

    def as_json(self) -> dict[str, Any]:
        body = {**self.heading, "count": self.count, "amount": self.amount}
        hidden = {"withheld": True} if self.count is None else {}
        return {**body, **hidden, "items": list(self.items), "next_cursor": self.next_cursor}

    def as_csv(self) -> str:
        names = tuple(_item(None))
        return written([names, *(tuple(flattened(item).values()) for item in self.items)])


async def entries(
    store: Store, period: Period, cell: Cell, *, cursor: str | None, limit: int
) -> Page:
    """The entries behind a cell in the order of their booking, `limit` at a time.

    Pages of one cursor are of one moment of the ledger. Under five subjects are withheld.
    """
    if cell.measure not in MEASURES:
        raise InvalidInput(f"measure: {cell.measure[:40]!r} is none of {', '.join(MEASURES)}")
    if cell.label is not None and cell.measure in PEOPLE:
        raise InvalidInput(f"label: {cell.measure} is told apart by nothing but who it was")
    after, moment = _read(cursor) if cursor is not None else (0, period.as_of)
    async with store.database.read() as connection:
        period = replace(period, as_of=await stands_as_of(connection, moment))
        heading = heading_of(period, await kept_since(connection))
        heading |= {"measure": cell.measure, "label": cell.label, "day": cell.day}
        of_cell = _of(cell, period, store.database.dialect)
        whole = select(func.count(), func.sum(ENTRIES.c.amount)).where(of_cell)
        count, amount = (await connection.execute(whole)).one()
        if few(count) and cell.measure not in OF_NOBODY:
            return Page(heading, None, None, (), None)
        query = select(ENTRIES).where(of_cell, ENTRIES.c.number > after)
        rows = (
            (await connection.execute(query.order_by(ENTRIES.c.number).limit(limit + 1)))
            .mappings()
            .all()
        )
    following = _cursor(rows[limit - 1]["number"], period.as_of) if len(rows) > limit else None
    items = [_item(row) for row in rows[:limit]]
    return Page(heading, int(count), int(amount or 0), items, following)


def _of(cell: Cell, period: Period, dialect: str) -> ColumnElement[bool]:
    conditions = [counted(period), ENTRIES.c.measure == cell.measure]
    if cell.label is not None:
        conditions.append(ENTRIES.c.label == cell.label)
    if cell.day is not None:
        conditions.append(key_column(dialect, period, DAY) == cell.day)
    return and_(*conditions)


def _item(row: Row | None) -> dict[str, Any]:
    """A subject's entry; without a row, its members' names alone."""
    if row is None:
        names = ("subject", "at", "moment", "label", "amount", "why", "booked_at")
        return dict.fromkeys(names)
    return {
        "subject": row["subject"],
        "at": rfc3339(row["at"]),
        "moment": rfc3339(row["moment"]),
        "label": "" if row["measure"] in PEOPLE else row["label"],
        "amount": int(row["amount"]),
        "why": row["reason"],
        "booked_at": exactly(row["booked_at"]),
    }


def _cursor(number: int, as_of: datetime | None) -> str:
    text = f"{number}|{as_of.isoformat() if as_of else ''}"
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[int, datetime | None]:
    try:
        text = urlsafe_b64decode(f"{cursor}{'=' * (-len(cursor) % 4)}").decode()
        number, _, as_of = text.partition("|")
        moment = datetime.fromisoformat(as_of).astimezone(UTC) if as_of else None
        return max(0, min(int(number), 2**63 - 1)), moment
    except (ValueError, OverflowError):
        raise InvalidInput("cursor: is none of ours; ask for the first page again") from None


# --- one subject ----------------------------------------------------------------------------


async def subject(store: Store, subject_id: str, *, as_of: datetime | None) -> dict[str, Any]:
    """What was told of a visit, a checkout or an order, in the order of its moments.

    Nothing personal: no words that a stranger typed, no pseudonym of a person, no answer to a
    question about satisfaction. Raises `NotFound`.
    """
    async with store.database.read() as connection:
        moment = await stands_as_of(connection, as_of)
        where = await _told_of(connection, subject_id)
        query = select(EVENTS).where(where).order_by(EVENTS.c.at, EVENTS.c.number)
        if moment is not None:
            query = query.where(EVENTS.c.booked_at <= moment)
        rows = (await connection.execute(query)).mappings().all()
    events = list(_events(rows, subject_id))
    if not events:
        raise NotFound("The ledger knows no such subject, or its events have left.")
    return {"subject": subject_id, "as_of": moment and exactly(moment), "events": events}


async def _told_of(connection: AsyncConnection, subject_id: str) -> ColumnElement[bool]:
    """Where the events of a subject are found: by its visit, and by the moments of its own."""
    order = select(ORDERS).where(ORDERS.c.order_id == subject_id)
    checkout = select(CHECKOUTS).where(CHECKOUTS.c.checkout_id == subject_id)
    visit = select(SESSIONS.c.session_id).where(SESSIONS.c.session_id == subject_id)
    session_ids: list[str] = []
    moments: list[datetime] = []
    if (row := (await connection.execute(order)).mappings().first()) is not None:
        session_ids.append(row["session_id"])
        known = (row["submitted_at"], row["confirmed_at"], *row["happened"].values())
        moments += filter(None, known)
    elif (row := (await connection.execute(checkout)).mappings().first()) is not None:
        session_ids.append(row["session_id"])
        moments += filter(None, (row["started_at"], row["ended_at"]))
    elif await connection.scalar(visit) is not None:
        session_ids.append(subject_id)
    else:  # of a fact that no page stands for: an event, or an advice
        moments += await connection.scalars(
            select(ENTRIES.c.moment).where(ENTRIES.c.subject == subject_id).distinct()
        )
    by_visit = EVENTS.c.session_id.in_([each for each in session_ids if each])
    by_moment = EVENTS.c.at.in_(moments) if moments else false()
    return or_(by_visit, by_moment)


def _events(rows: Sequence[Row], subject_id: str) -> Iterator[dict[str, Any]]:
    for row in rows:
        told = orjson.loads(row["wire"])
        data = told.get("data") or {}
        its_own = subject_id in (row["event_id"], row["session_id"], *data.values())
        if not its_own or row["type"] == FeedbackGiven.TYPE:
            continue
        yield {
            "at": rfc3339(row["at"]),
            "source": row["source"],
            "type": row["type"],
            "booked_at": exactly(row["booked_at"]),
            "data": {
                name: value for name, value in data.items() if not name.startswith(KEPT_FROM_VIEW)
            },
        }
