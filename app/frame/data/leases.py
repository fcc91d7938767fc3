"""Background work claimed through the database, so that replicas never do the same work at once."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import BindParameter, Column, MetaData, String, Table, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.data.database import Database, DatabaseUnavailable, UtcTime
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
    """Named leases of one process (`holder`) on one service's database.

    Asking is cheap: a holder writes only when half of the time has passed, and somebody who has to
    wait only reads. All leases are given back when the database is closed.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._holder = new_id("wrk", clock.now())
        self._held: dict[str, datetime] = {}
        """Until when each lease is ours: nobody else can take it before."""
        database.before_close.append(self.release_all)

    async def claim(self, name: str, *, ttl_seconds: float) -> bool:
        """Take or renew the lease; False while another process has it.

        A holder that dies loses it after `ttl_seconds`; so does one whose lease ends later than
        any can that is taken now: the clock went back.
        """
        now, ttl = self._clock.now(), timedelta(seconds=ttl_seconds)
        held_until = self._held.get(name)
        if held_until is not None and now + ttl / 2 < held_until <= now + ttl:
            return True
        times = {"now": now, "until": now + ttl, "latest": now + 2 * ttl}
        if held_until is None and await self._taken_by_another(name, times):
            return False
        async with self._database.transaction() as transaction:
            claimed = await self._claim(transaction, name, times)
        if claimed:
            self._held[name] = times["until"]
        else:
            self._held.pop(name, None)
        return claimed

    async def _taken_by_another(self, name: str, times: dict[str, datetime]) -> bool:
        async with self._database.read() as connection:
            found = await connection.scalar(
                text(
                    "SELECT 1 FROM leases"
                    " WHERE name = :name AND holder <> :holder"
                    " AND held_until BETWEEN :now AND :latest"
                ).bindparams(_time("now"), _time("latest")),
                {
                    "name": name,
                    "holder": self._holder,
                    "now": times["now"],
                    "latest": times["latest"],
                },
            )
        return found is not None

    async def _claim(
        self, transaction: AsyncConnection, name: str, times: dict[str, datetime]
    ) -> bool:
        claimed = await transaction.execute(
            text(
                "INSERT INTO leases (name, holder, held_until) VALUES (:name, :holder, :until)"
                " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder,"
                " held_until = excluded.held_until"
                " WHERE leases.holder = excluded.holder"
                " OR leases.held_until NOT BETWEEN :now AND :latest"
            ).bindparams(_time("until"), _time("now"), _time("latest")),
            {"name": name, "holder": self._holder, **times},
        )
        return claimed.rowcount == 1

    async def release(self, name: str) -> None:
        """Give the lease back at once, so that the next holder need not wait."""
        self._held.pop(name, None)
        async with self._database.transaction() as transaction:
            await transaction.execute(
                text("DELETE FROM leases WHERE name = :name AND holder = :holder"),
                {"name": name, "holder": self._holder},
            )

    async def release_all(self) -> None:
        """Give everything back (a clean stop); a database that is gone keeps it until it ends."""
        if not self._held:
            return
        self._held.clear()
        with suppress(DatabaseUnavailable):
            async with self._database.transaction() as transaction:
                await transaction.execute(
                    text("DELETE FROM leases WHERE holder = :holder"), {"holder": self._holder}
                )


def _time(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=UtcTime())
