"""The outbox: facts stored in the transaction of their effect, read by others in commit order.

A sequence number taken while writing is not commit order: a later number may commit first, and a
consumer that has passed it would never see the earlier one. So rows are written without a
position; whoever reads next numbers all committed rows under a lock, gapless from 1.

A consumer says with its position which event it read there. When another one stands there, or
none, the database was restored from a backup, and nobody may go on by number alone: decision 0066.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Column, Integer, MetaData, String, Table, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.data.database import Database, UtcTime
from app.kernel.clock import Clock, rfc3339
from app.kernel.errors import VitrineError
from app.kernel.facts import Event, EventContext, Fact, checked, values_of
from app.kernel.ids import new_id
from telemetry.catalogue.outcomes import Outcome

NUMBERING_LOCK: Final = 0x76697472
"""Key of the PostgreSQL advisory lock under which positions are given ("vitr")."""

KEPT: Final = 1000
"""Rows that stay though everybody has read them."""

STATED_AT_ONCE: Final = 1000

FactRow = dict[str, Any]
"""A fact as a row of the outbox, without its position."""

_UNNUMBERED: Final = text("SELECT 1 FROM outbox WHERE position IS NULL LIMIT 1")
_STANDING: Final = text(
    "SELECT (SELECT epoch FROM outbox_epoch), (SELECT COUNT(restated_at) FROM outbox_epoch),"
    " COALESCE((SELECT position FROM outbox_head), 0),"
    " (SELECT event_id FROM outbox WHERE position = :position)"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a reader stands: everything up to `position` is stored, where it read `event_id`.

    `epoch` is the outbox's as the reader knows it. None: it does not know (a version before).
    """

    position: int
    event_id: str | None = None
    epoch: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, and in which epoch of the outbox; whether all was stated anew as it began."""

    events: Sequence[Event]
    epoch: str
    restated: bool


class HistoryDiffers(VitrineError):
    """A reader stands where this outbox never was: one of the two databases was restored.

    The problem tells the outbox's `epoch`, whether all was `restated` in it, the `head`, and up to
    where it `knows` of the reader.
    """

    code, title = "history-differs", "This is not the history that you have read"
    outcome, status = Outcome.CONFLICT, 409


def outbox_tables(metadata: MetaData) -> Table:
    """Add the outbox's tables to a service's metadata; returns the table of rows."""
    rows = Table(
        "outbox",
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("position", BigInteger, unique=True),
        Column("event_id", String(40), nullable=False),
        Column("type", String(80), nullable=False),
        Column("time", UtcTime, nullable=False),
        Column("data", JSON, nullable=False),
        Column("context", JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    Table(
        "outbox_head",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("position", BigInteger, nullable=False),
    )
    Table(
        "outbox_epoch",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("epoch", String(40), nullable=False),
        Column("restated_at", UtcTime),  # NULL: made with the database
    )
    Table(
        "outbox_consumers",
        metadata,
        Column("consumer", String(40), primary_key=True),
        Column("position", BigInteger, nullable=False),
        Column("seen_at", UtcTime, nullable=False),
    )
    return rows


class Outbox:
    """One service's outbox. `source` is the service's name."""

    def __init__(self, source: str, database: Database, rows: Table, clock: Clock) -> None:
        self.source = source
        self._database = database
        self._rows = rows
        self._clock = clock
        self._tables = rows.metadata.tables

    async def add(
        self, transaction: AsyncConnection, facts: Sequence[Fact], context: EventContext
    ) -> None:
        """Store facts in the caller's transaction: they exist exactly if the effect does."""
        await self.add_each(transaction, [(fact, context) for fact in facts])

    async def add_each(
        self, transaction: AsyncConnection, facts: Sequence[tuple[Fact, EventContext]]
    ) -> None:
        """As `add`, with a context of its own for each fact."""
        if facts:
            await transaction.execute(self._rows.insert(), self.rows(facts))

    def rows(self, facts: Sequence[tuple[Fact, EventContext]]) -> list[FactRow]:
        """Facts as rows of the outbox, for who writes them in a statement of its own.

        Raises `ContractBroken`: what a consumer could not store fails here, at its origin.
        """
        now = self._clock.now()
        contexts = {id(context): context for _, context in facts}  # most share one
        stored = {
            key: checked(EventContext, values_of(context)) for key, context in contexts.items()
        }
        return [
            {
                "event_id": new_id("evt", now),
                "type": fact.TYPE,
                "time": now,
                "data": checked(type(fact), values_of(fact)),
                "context": stored[id(context)],
            }
            for fact, context in facts
        ]

    async def read(self, *, after: int, limit: int) -> list[Event]:
        """Events with a position over `after`, in order; numbers new rows first."""
        await self._number()
        async with self._database.read() as connection:
            return await self._numbered(connection, after, limit)

    async def serve(self, mark: Mark, *, limit: int, consumer: str = "") -> Page:
        """Events after a reader's mark; numbers new rows first.

        Raises `HistoryDiffers`. Nothing is written while there is nothing new: six services that
        poll each other must not keep a disk busy.
        """
        async with self._database.read() as connection:
            unnumbered = await connection.scalar(_UNNUMBERED) is not None
            if not unnumbered:
                return await self._page(connection, mark, limit, consumer)
        await self._number()
        async with self._database.read() as connection:
            return await self._page(connection, mark, limit, consumer)

    async def _page(
        self, connection: AsyncConnection, mark: Mark, limit: int, consumer: str
    ) -> Page:
        epoch, restated = await self._agree(connection, mark, consumer)
        found = await self._numbered(connection, mark.position, limit)
        return Page(found, epoch or await self._first_epoch(), restated)

    async def _first_epoch(self) -> str:
        """What this outbox is called until its database is restored."""
        async with self._database.transaction() as transaction:
            await transaction.execute(
                text(
                    "INSERT INTO outbox_epoch (id, epoch) VALUES (1, :epoch) ON CONFLICT DO NOTHING"
                ),
                {"epoch": new_id("epo", self._clock.now())},
            )
            return str(await transaction.scalar(text("SELECT epoch FROM outbox_epoch")))

    async def begin_epoch(
        self, transaction: AsyncConnection, facts: Sequence[tuple[Fact, EventContext]]
    ) -> str:
        """Go on under another name, stating `facts`: all that readers must hear to know how it is.

        Readers of the epoch before compare what they have read, and go on from where both agree.
        """
        now = self._clock.now()
        epoch = new_id("epo", now)
        table = self._tables["outbox_epoch"]
        await transaction.execute(table.delete())
        await transaction.execute(table.insert().values(id=1, epoch=epoch, restated_at=now))
        for start in range(0, len(facts), STATED_AT_ONCE):
            await self.add_each(transaction, facts[start : start + STATED_AT_ONCE])
        return epoch

    async def _agree(
        self, connection: AsyncConnection, mark: Mark, consumer: str
    ) -> tuple[str | None, bool]:
        """The epoch and whether all was restated in it. Raises `HistoryDiffers`."""
        row = (await connection.execute(_STANDING, {"position": mark.position})).one()
        epoch, restated, head, event_id = row
        if mark.position > head:
            why = f"has {head} facts, and you say that you have read {mark.position} of them"
        elif mark.epoch not in (None, epoch):
            why = "was restored: it has begun a new epoch"
        elif mark.position and mark.event_id and event_id is None:
            why = f"does not keep the fact at {mark.position} any more: what follows it may be gone"
        elif mark.position and mark.event_id not in (None, event_id):
            why = f"has another fact at {mark.position} than the one that you have read"
        else:
            return epoch, bool(restated)
        knows = await connection.scalar(
            text("SELECT position FROM outbox_consumers WHERE consumer = :consumer"),
            {"consumer": consumer},
        )
        raise HistoryDiffers(
            f"{self.source}'s outbox {why}.",
            epoch=epoch or "",
            restated=bool(restated),
            head=head,
            knows=knows or 0,
        )

    async def _numbered(self, connection: AsyncConnection, after: int, limit: int) -> list[Event]:
        rows = self._rows
        query = select(rows).where(rows.c.position > after).order_by(rows.c.position).limit(limit)
        return [self._event(row) for row in (await connection.execute(query)).mappings().all()]

    async def acknowledge(self, consumer: str, mark: Mark) -> None:
        """Remember that `consumer` has stored everything up to its mark (registers it).

        Raises `HistoryDiffers`: nobody has read what is not there.
        """
        table = self._tables["outbox_consumers"]
        dialect = postgresql if self._database.dialect == "postgresql" else sqlite
        statement = dialect.insert(table).values(
            consumer=consumer, position=mark.position, seen_at=self._clock.now()
        )
        statement = statement.on_conflict_do_update(
            index_elements=["consumer"],
            set_={"position": mark.position, "seen_at": self._clock.now()},
        )
        async with self._database.transaction() as transaction:
            await self._agree(transaction, mark, consumer)
            await transaction.execute(statement)

    async def prune(self, *, keep: int = KEPT) -> int:
        """Delete rows that every registered consumer has passed, but the newest `keep`.

        The one at which a consumer stands stays: by it they know each other.
        """
        async with self._database.transaction() as transaction:
            result = await transaction.execute(
                text(
                    "DELETE FROM outbox WHERE position < (SELECT MIN(position) FROM"
                    " outbox_consumers) AND position <= (SELECT MAX(position) FROM outbox) - :keep"
                ),
                {"keep": keep},
            )
        return result.rowcount

    async def lag_seconds(self) -> float:
        """Age of the oldest fact that some consumer has not stored yet; 0 when all have all.

        Before the first consumer has ever asked, every fact waits.
        """
        async with self._database.read() as connection:
            oldest = await connection.scalar(
                text(
                    "SELECT MIN(time) FROM outbox WHERE position IS NULL OR position >"
                    " (SELECT COALESCE(MIN(position), 0) FROM outbox_consumers)"
                )
            )
        return 0.0 if oldest is None else (self._clock.now() - _utc(oldest)).total_seconds()

    async def count(self) -> int:
        """Rows that have not been pruned."""
        async with self._database.read() as connection:
            return int(await connection.scalar(text("SELECT COUNT(*) FROM outbox")) or 0)

    async def _number(self) -> None:
        async with self._database.read() as connection:
            waiting = await connection.scalar(_UNNUMBERED)
        if waiting is None:
            return
        async with self._database.transaction() as transaction:
            if self._database.dialect == "postgresql":
                await transaction.execute(
                    text("SELECT pg_advisory_xact_lock(:key)"), {"key": NUMBERING_LOCK}
                )
            await transaction.execute(
                text("INSERT INTO outbox_head VALUES (1, 0) ON CONFLICT DO NOTHING")
            )
            numbered = await transaction.execute(
                text(
                    "UPDATE outbox SET position = fresh.position FROM (SELECT id, (SELECT position"
                    " FROM outbox_head) + row_number() OVER (ORDER BY id) AS position FROM outbox"
                    " WHERE position IS NULL) AS fresh WHERE outbox.id = fresh.id"
                )
            )
            await transaction.execute(
                text("UPDATE outbox_head SET position = position + :fresh"),
                {"fresh": numbered.rowcount},
            )

    def _event(self, row: Any) -> Event:
        return Event(
            id=row["event_id"],
            source=self.source,
            type=row["type"],
            time=rfc3339(row["time"]),
            position=row["position"],
            data=row["data"],
            context=EventContext(**row["context"]),
        )


def _utc(value: datetime | str) -> datetime:
    """SQLite hands an aggregate over a time back as text, PostgreSQL as a moment."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
