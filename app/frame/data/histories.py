"""What a consumer remembers of a source's history: enough to find where two histories part.

After a restore the source's outbox goes on from an earlier moment. What stands at the positions
that we had read since is something else then, or nothing. See decision 0066.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.data.database import Database
from app.kernel.errors import Unavailable

REMEMBERED: Final = 1_000_000
"""Events of a source, at 8 bytes each: how far back two histories can be compared."""

DIGEST_BYTES: Final = 8

Read = tuple[int, str | None]
"""Position and id of one event."""

Ask = Callable[[int, int], Awaitable[Sequence[Read]]]
"""What stands at the source after a position, so many at most."""


class Parted(Unavailable):
    """The source's history is not the one that was read: one of the two databases was restored.

    `epoch` is the source's, `restated` whether it has said since what it stands for, `knows` the
    position up to which it knows that we have read.
    """

    def __init__(self, detail: str, *, epoch: str = "", restated: bool = False, knows: int = 0):
        super().__init__(detail)
        self.epoch = epoch
        self.restated = restated
        self.knows = knows


def history_table(metadata: MetaData) -> Table:
    """Add the table of what was read: a row per batch, with the digests of its events' ids."""
    table = Table(
        "consumer_history",
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("source", String(40), nullable=False),
        Column("position", BigInteger, nullable=False),  # of the batch's last event
        Column("digests", LargeBinary, nullable=False),
        Column("astray", Boolean, nullable=False),  # read, and not in the source's history
        sqlite_autoincrement=True,
    )
    Index("ix_consumer_history_read", table.c.source, table.c.astray, table.c.position)
    return table


def digest(event_id: str | None) -> bytes:
    return hashlib.blake2b(str(event_id).encode(), digest_size=DIGEST_BYTES).digest()


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that were stored together; positions are gapless."""

    last: int
    digests: Sequence[bytes]

    @property
    def first(self) -> int:
        return self.last - len(self.digests) + 1


class History:
    """What was read of one source."""

    def __init__(self, source: str, table: Table) -> None:
        self._source = source
        self._table = table
        self._mine = table.c.source == source

    async def add(self, transaction: AsyncConnection, last: int, ids: Sequence[str | None]) -> None:
        """Remember a batch, and forget what is too long ago."""
        table = self._table
        await self._put(transaction, last, [digest(each) for each in ids], astray=False)
        await transaction.execute(
            delete(table).where(self._mine, ~table.c.astray, table.c.position <= last - REMEMBERED)
        )

    async def astray(self, connection: AsyncConnection) -> frozenset[bytes]:
        """Digests of the events that were read and that the source has no longer where it had."""
        rows = await connection.scalars(
            select(self._table.c.digests).where(self._mine, self._table.c.astray)
        )
        return frozenset(each for found in rows for each in _split(found))

    async def batches(self, database: Database) -> list[Batch]:
        """In the order in which they were read."""
        columns = self._table.c
        query = select(columns.position, columns.digests).where(self._mine, ~columns.astray)
        async with database.read() as connection:
            rows = (await connection.execute(query.order_by(columns.position))).all()
        return [Batch(position, _split(digests)) for position, digests in rows]

    async def part(
        self, transaction: AsyncConnection, batches: Sequence[Batch], agreed: int
    ) -> int:
        """What was read beyond `agreed` is astray; returns how many events that are."""
        beyond = [batch for batch in batches if batch.last > agreed]
        columns = self._table.c
        await transaction.execute(
            delete(self._table).where(self._mine, ~columns.astray, columns.position > agreed)
        )
        lost = 0
        for batch in beyond:
            shared = max(0, agreed - batch.first + 1)
            if shared:
                await self._put(transaction, agreed, batch.digests[:shared], astray=False)
            await self._put(transaction, batch.last, batch.digests[shared:], astray=True)
            lost += len(batch.digests) - shared
        return lost

    async def _put(
        self, transaction: AsyncConnection, last: int, digests: Sequence[bytes], *, astray: bool
    ) -> None:
        row: dict[str, Any] = {"source": self._source, "position": last, "astray": astray}
        await transaction.execute(insert(self._table).values(**row, digests=b"".join(digests)))


async def last_agreed(batches: Sequence[Batch], ask: Ask, *, otherwise: int) -> int:
    """The position up to which what was read is what the source has.

    What the source has pruned was the same: it prunes what was read. `otherwise` is the answer
    where our memory does not reach.
    """
    low, high = 0, len(batches)
    while low < high:
        middle = (low + high) // 2
        last = batches[middle].last
        if _agree(await ask(last - 1, 1), last, batches[middle].digests[-1]):
            low = middle + 1
        else:
            high = middle
    if low == len(batches):
        return batches[-1].last if batches else otherwise
    parting = batches[low]
    found = await ask(parting.first - 1, len(parting.digests))
    for offset, known in enumerate(parting.digests):
        if not _agree(found, parting.first + offset, known):
            agreed = parting.first + offset - 1
            return agreed if low or offset else min(agreed, otherwise)
    return parting.last


def _agree(found: Sequence[Read], position: int, known: bytes) -> bool:
    if not found:
        return False  # beyond the head
    at = dict(found)
    return digest(at[position]) == known if position in at else position < found[0][0]


def _split(digests: bytes) -> list[bytes]:
    return [digests[start : start + DIGEST_BYTES] for start in range(0, len(digests), DIGEST_BYTES)]
