"""Background work claimed through the database, so that replicas never do the same work at once."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import BindParameter, Column, MetaData, String, Table, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.database import Database, UtcTime
from app.kernel.clock import Clock
from app.kernel.ids import new_id


def lease_table(metadata: MetaData) -> Table:
    return Table(
        "leases",
        metadata,
        Column("name", String(80), primary_key=True),
        Column("holder", String(40), nullable=False),
        Column("held_until", UtcTime, nullable=False),
    )


class Leases:
    """Named leases of one process (`holder`) on one service's database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._holder = new_id("wrk")

    async def claim(self, name: str, *, ttl_seconds: float) -> bool:
        """Take or renew the lease; False while another process has it.

        A holder that dies loses it after `ttl_seconds`.
        """
        async with self._database.transaction() as transaction:
            return await self._claim(transaction, name, ttl_seconds)

    async def _claim(self, transaction: AsyncConnection, name: str, ttl_seconds: float) -> bool:
        now = self._clock.now()
        claimed = await transaction.execute(
            text(
                "INSERT INTO leases (name, holder, held_until) VALUES (:name, :holder, :until)"
                " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder,"
                " held_until = excluded.held_until"
                " WHERE leases.holder = excluded.holder OR leases.held_until < :now"
            ).bindparams(_time("until"), _time("now")),
            {
                "name": name,
                "holder": self._holder,
                "until": now + timedelta(seconds=ttl_seconds),
                "now": now,
            },
        )
        return claimed.rowcount == 1

    async def release(self, name: str) -> None:
        """Give the lease back at once (a clean stop), so that the next holder need not wait."""
        async with self._database.transaction() as transaction:
            await transaction.execute(
                text("DELETE FROM leases WHERE name = :name AND holder = :holder"),
                {"name": name, "holder": self._holder},
            )


def _time(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=UtcTime())
