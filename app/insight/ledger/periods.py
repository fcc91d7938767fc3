"""Which entries a number is of: a period, its segments, and the ledger's moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, or_, true
from sqlalchemy.ext.asyncio import AsyncConnection

from app.insight.ledger.store import booked_until
from app.insight.models import ENTRIES

SEGMENTS: Final = (
    "market",
    "channel",
    "device",
    "entry",
    "traffic",
    "channel_group",
    "campaign",
)
"""What every entry is told apart by; each is a column of `entries` and may narrow a period."""


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` until before `until`; a segment is None for all of its values.

    `as_of`: as the ledger stood then; None: as it stands. `campaign` is empty for what no
    campaign brought.
    """

    since: datetime
    until: datetime
    traffic: str | None = None
    market: str | None = None
    as_of: datetime | None = None
    channel: str | None = None
    device: str | None = None
    entry: str | None = None
    channel_group: str | None = None
    campaign: str | None = None

    @property
    def filters(self) -> dict[str, str]:
        """The segments that were asked for."""
        found = {name: getattr(self, name) for name in SEGMENTS}
        return {name: value for name, value in found.items() if value is not None}


def standing(as_of: datetime | None) -> ColumnElement[bool]:
    """Whether an entry counts; or counted when the ledger stood as of that moment."""
    if as_of is None:
        return ENTRIES.c.until.is_(None)
    return and_(
        ENTRIES.c.booked_at <= as_of,
        or_(ENTRIES.c.until.is_(None), ENTRIES.c.until > as_of),
    )


def counted(period: Period) -> ColumnElement[bool]:
    """Entries of a period that count, or did as of its moment of the ledger."""
    return and_(within(period), standing(period.as_of))


def within(period: Period) -> ColumnElement[bool]:
    """Entries of a period and its segments, also those that no longer count."""
    return and_(ENTRIES.c.at >= period.since, ENTRIES.c.at < period.until, narrowed(period))


def narrowed(period: Period) -> ColumnElement[bool]:
    """Entries of a period's segments, of whatever time."""
    return and_(true(), *(ENTRIES.c[name] == value for name, value in period.filters.items()))


def known_by(moment: ColumnElement[datetime], as_of: datetime | None) -> ColumnElement[bool]:
    return true() if as_of is None else moment <= as_of


async def stands_as_of(connection: AsyncConnection, as_of: datetime | None) -> datetime | None:
    """Of which moment of the ledger an answer is: none lies after its last booking."""
    last = await booked_until(connection)
    return last if as_of is None or last is None else min(as_of, last)
