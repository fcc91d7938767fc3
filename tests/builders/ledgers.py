"""Stored ledgers, on any database, told batches as the projection is, and looked at whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from app.frame.data.database import Database
from app.frame.data.migrations import migrate
from app.frame.data.retention import Retention
from app.insight.archive.scratch import FOLLOW
from app.insight.ledger.projections import Projection
from app.insight.ledger.retention import rules
from app.insight.ledger.store import Store
from app.insight.models import ENTRIES, EVENTS, HEAD, HORIZON, METADATA
from app.insight.settings import InsightSettings
from app.kernel.clock import ManualClock
from app.kernel.facts import Event
from tests.builders.facts import START
from tests.builders.platform import make_platform

Tables = dict[str, list[Any]]


@dataclass
class Stored:
    """A ledger with its clock."""

    database: Database
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))

    @property
    def store(self) -> Store:
        return Store(self.database)

    @property
    def projection(self) -> Projection:
        return Projection(self.store, self.clock, lambda: 0.0)

    async def tell(self, told: Iterable[tuple[datetime, Sequence[Event]]]) -> None:
        """Book batches when they come, and close what is idle now and then."""
        for number, (moment, batch) in enumerate(told):
            self.clock.advance(seconds=max(0, (moment - self.clock.now()).total_seconds()))
            async with self.database.transaction() as transaction:
                await self.projection.apply(transaction, batch)
            if number % 5 == 4:
                await self.projection.close_idle_sessions()

    async def settle(self) -> None:
        """Have every visit closed."""
        self.clock.advance(days=2)
        while await self.projection.close_idle_sessions():
            pass

    async def let_go(self) -> None:
        """Have everything leave that has stayed long enough."""
        telemetry = make_platform(Path(self.database.path).parent).telemetry("insight")
        ends = rules(self.store, InsightSettings())
        turn = Retention(ends, self.database, self.clock, telemetry).turn
        while await turn():
            pass
        telemetry.shutdown()

    async def tables(self) -> Tables:
        """Every row that follows from events, and the events, without the entries' numbers."""
        async with self.database.read() as connection:
            return {
                table.name: sorted(
                    tuple(
                        (name, str(value))
                        for name, value in row.items()
                        if not (table is ENTRIES and name == "number")
                    )
                    for row in (await connection.execute(select(table))).mappings()
                )
                for table in (*FOLLOW, EVENTS, HEAD, HORIZON)
            }


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Stored]:
    """An empty ledger at this address, of this version's schema."""
    database = Database(url)
    try:
        await migrate(database, "insight", METADATA)
        yield Stored(database)
    finally:
        await database.close()
