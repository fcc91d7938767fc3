"""`python -m app.<service> restored`: its database is an older one; its readers may go on.

The outbox begins a new epoch and states everything anew that readers must know. They then read on
from where their history and this one agree. Run last, when what was lost has been seen to: until
then they stand still, and a car that was sold stays off the shop's pages. See decision 0066.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import typer
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.data.outbox import Outbox, outbox_tables
from app.frame.start.commands import at_hand
from app.frame.start.startup import run_until_stopped
from app.kernel.facts import EventContext, Fact

Stated = Sequence[tuple[Fact, EventContext]]
Restate = Callable[[AsyncConnection], Awaitable[Stated]]
"""All that readers must know, as of a transaction in which nobody else changes it."""

_OUTBOX: Final = outbox_tables(MetaData())


async def nothing(_: AsyncConnection) -> Stated:
    """Of a service whose facts are what people did: there is nothing that they add up to."""
    return ()


def add_restored(cli: typer.Typer, name: str, restate: Restate = nothing) -> None:
    """Give the commands of a service that states facts this one."""

    @cli.command()
    def restored() -> None:
        """Say that the database was restored: readers compare what they have read, and go on.

        Do first what the runbook HistoryParted says about what was lost.
        """
        told: list[str] = []

        async def work() -> None:
            async with (
                at_hand(name, table="outbox_epoch") as (platform, database),
                database.transaction() as transaction,
            ):
                facts = await restate(transaction)
                outbox = Outbox(name, database, _OUTBOX, platform.clock)
                epoch = await outbox.begin_epoch(transaction, facts)
            told.append(
                f"{name} begins epoch {epoch} with {len(facts)} facts about what it stands"
                " for; its readers go on within seconds."
            )

        run_until_stopped(work())
        typer.echo(told[0])
