"""The storefront's database: behaviour facts on their way to the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from app.frame.database import Database
from app.frame.outbox import Outbox
from app.kernel.facts import EventContext, Fact


class Store:
    """Writes facts into the outbox, a batch in one transaction."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def add(self, facts: Sequence[tuple[Fact, EventContext]]) -> None:
        async with self._database.transaction() as transaction:
            await self._outbox.add_each(transaction, facts)
