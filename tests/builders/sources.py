"""A service reduced to its outbox: a real database, a real outbox, the real internal port."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starlette.types import ASGIApp

from app.frame.data.database import Database, new_metadata
from app.frame.data.outbox import Outbox, outbox_tables
from app.frame.inbound.internal import internal_app
from app.frame.platform import Platform
from app.kernel.clock import ManualClock
from app.kernel.facts import EventContext, Fact


class Source:
    """States facts at the time of its clock."""

    def __init__(self, name: str, folder: Path, clock: ManualClock) -> None:
        self._metadata = new_metadata()
        rows = outbox_tables(self._metadata)
        self.name = name
        self.database = Database(f"sqlite+aiosqlite:///{folder / name}-source.db")
        self.outbox = Outbox(name, self.database, rows, clock)

    async def create(self) -> None:
        async with self.database.transaction() as transaction:
            await transaction.run_sync(self._metadata.create_all)

    def internal(self, platform: Platform) -> ASGIApp:
        return internal_app(self.name, platform, outbox=self.outbox, router=None, ready=[])

    async def state(self, facts: Sequence[tuple[Fact, EventContext]]) -> None:
        async with self.database.transaction() as transaction:
            await self.outbox.add_each(transaction, facts)
