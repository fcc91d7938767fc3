"""The ledger worked out anew from its own events, and put in place while the service runs.

Everything is replayed into a scratch ledger first. Then, in one transaction that keeps bookings
waiting, what was booked meanwhile is replayed as well and the tables are filled anew. Whoever reads
sees the ledger before or after. Positions stay, so the outboxes are read on from where they were.
"""

from __future__ import annotations

from app.frame.data.database import Database
from app.insight.archive.coverage import coverage
from app.insight.archive.errors import CannotRebuild
from app.insight.archive.replay import replayed, told
from app.insight.archive.scratch import FOLLOW, copied, emptied, scratch, snapshot
from app.insight.ledger.store import Store, Transaction


async def rebuild(database: Database, *, these_rules: bool = False) -> int:
    """Work everything out of `events`; returns the number of the last event.

    `these_rules`: also where a version with other rules has booked. Raises `CannotRebuild` for a
    ledger that its events do not tell all of, and `CannotReplay`; then nothing has changed.
    """
    async with scratch() as made:
        async with snapshot(database) as connection:
            await _refuse(connection, these_rules=these_rules)
            last = await replayed(told(connection), made)
        async with Store(database).writing() as transaction:
            await _refuse(transaction, these_rules=these_rules)
            last = await replayed(told(transaction, after=last), made) or last
            async with made.read() as source:
                for table in FOLLOW:
                    await emptied(table, transaction)
                    await copied(table, source, transaction)
    return last


async def _refuse(connection: Transaction, *, these_rules: bool) -> None:
    found = await coverage(connection)
    for sentence in found.lacks(rules=not these_rules):
        raise CannotRebuild(f"this ledger cannot be rebuilt: {sentence}")
