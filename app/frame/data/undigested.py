"""Events that a consumer could not digest: set aside, so that the others go on, and taken again.

See docs/decisions/0059-set-aside-what-cannot-be-digested.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.data.database import UtcTime
from app.kernel.errors import Unavailable
from app.kernel.facts import ContractBroken

FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(hours=1)
APART: Final = 1 << 40


Wire = Mapping[str, Any]
"""An event as its source sent it; only its position is known to be right."""


@dataclass(frozen=True, slots=True)
class Diet:
    """What a consumer takes of a source's events, and in which order they matter.

    `types`: all others are passed over unread, those of a later version too; None takes all.
    `subjects`: members of the data that name what a fact is about. While one of its facts is set
    aside, later ones of the subject wait behind it; with `latest_wins` a later one says all that
    the earlier one said, so that it is digested at once and the earlier one is dropped.
    """

    subjects: tuple[str, ...] = ()
    types: frozenset[str] | None = None
    latest_wins: bool = False

    def takes(self, wire: Wire) -> bool:
        return self.types is None or wire.get("type") in self.types

    def subjects_of(self, data: object) -> frozenset[str]:
        if not isinstance(data, Mapping):
            return frozenset()
        named = (data.get(name) for name in self.subjects)
        return frozenset(value for value in named if isinstance(value, str) and value)


def undigested_table(metadata: MetaData) -> Table:
    return Table(
        "undigested",
        metadata,
        Column("source", String(40), primary_key=True),
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("event_id", String(80), nullable=False),
        Column("type", String(80), nullable=False),
        Column("subjects", Text, nullable=False),  # JSON list
        Column("payload", Text, nullable=False),  # the event as ASCII JSON: any text can be kept
        Column("error", String(300), nullable=False),
        Column("first_seen", UtcTime, nullable=False),
        Column("attempts", Integer, nullable=False),  # 0: waits behind another one
        Column("due_at", UtcTime, nullable=False),
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """One event that was set aside."""

    position: int
    subjects: frozenset[str]
    wire: Wire
    attempts: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Left:
    """How many events of a source are set aside, since when, and when one is tried next."""

    count: int = 0
    since: datetime | None = None
    due_at: datetime | None = None


class Undigested:
    """The events of one source that are set aside."""

    def __init__(self, source: str, table: Table) -> None:
        self._table = table
        self._mine = table.c.source == source
        self._source = source
        tried = select(func.min(table.c.due_at)).where(self._mine, table.c.attempts > 0)
        self.left = select(
            func.count(), func.min(table.c.first_seen), tried.scalar_subquery()
        ).where(self._mine)
        """The query whose one row is the values of `Left`."""

    async def waiting(self, connection: AsyncConnection) -> list[Waiting]:
        """In the order in which they were stated."""
        query = select(self._table).where(self._mine).order_by(self._table.c.position)
        return [
            Waiting(
                row.position,
                frozenset(json.loads(row.subjects)),
                json.loads(row.payload),
                row.attempts,
                row.due_at,
            )
            for row in await connection.execute(query)
        ]

    async def add(
        self,
        transaction: AsyncConnection,
        wire: Wire,
        subjects: frozenset[str],
        *,
        error: str,
        attempts: int,
        now: datetime,
    ) -> None:
        await transaction.execute(
            insert(self._table).values(
                source=self._source,
                position=wire["sequence"],
                event_id=_plain(wire.get("id")),
                type=_plain(wire.get("type")),
                subjects=json.dumps(sorted(subjects)),
                payload=json.dumps(wire),
                error=error[:300],
                first_seen=now,
                attempts=attempts,
                due_at=now + FIRST_PAUSE,
            )
        )

    async def take(self, transaction: AsyncConnection, positions: Sequence[int]) -> int:
        """Remove some; returns how many were still there."""
        where = (self._mine, self._table.c.position.in_(positions))
        return (await transaction.execute(delete(self._table).where(*where))).rowcount

    async def set_apart(self, transaction: AsyncConnection, *, after: int) -> None:
        """Of a history that is over: before all others, so that new ones can have the positions."""
        await transaction.execute(
            update(self._table)
            .where(self._mine, self._table.c.position > after)
            .values(position=self._table.c.position - APART)
        )

    async def failed_again(
        self, transaction: AsyncConnection, one: Waiting, *, error: str, now: datetime
    ) -> None:
        pause = min(FIRST_PAUSE * 2 ** min(one.attempts, 10), LONGEST_PAUSE)
        await transaction.execute(
            update(self._table)
            .where(self._mine, self._table.c.position == one.position)
            .values(attempts=one.attempts + 1, due_at=now + pause, error=error[:300])
        )


def is_to_blame(error: Exception) -> bool:
    """Whether an event would fail with this again when everything around it is well.

    What is away comes back, and what is missing (a table of a later version) is no event's fault.
    """
    if isinstance(error, SQLAlchemyError):
        ours = isinstance(error, StatementError) and not isinstance(error, DBAPIError)
        return ours or isinstance(error, IntegrityError)
    return not isinstance(error, Unavailable | OSError | MemoryError | httpx.HTTPError)


def words_of(error: Exception) -> str:
    """What is kept of an error: never a value, which may be anything."""
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, ContractBroken) else name


def _plain(value: object) -> str:
    """Whatever an envelope says, as a text that every database stores."""
    return str(value).encode("ascii", "replace").decode().replace("\x00", "?")[:80]
