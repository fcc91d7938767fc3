"""`python -m app.<service> retake`: the facts that a consumer set aside, tried again at once.

Only the moment at which each one is due is moved; the service that runs takes them at its next
poll, within seconds, in order and once. See decision 0059.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import MetaData, select, update

from app.frame.data.database import Database
from app.frame.data.undigested import undigested_table
from app.frame.start.commands import at_hand
from app.frame.start.startup import run_until_stopped
from app.kernel.clock import rfc3339

_UNDIGESTED: Final = undigested_table(MetaData())


def add_retake(cli: typer.Typer, name: str) -> None:
    """Give the commands of a service that consumes facts this one."""

    @cli.command()
    def retake(
        show: Annotated[bool, typer.Option("--show", help="List them only.")] = False,
    ) -> None:
        """List the facts that were set aside, and have them tried again at once.

        Exit code 1 when there are any. What is left some seconds later could not be digested
        again: its attempts have gone up.
        """
        found: list[Any] = []

        async def work() -> None:
            async with at_hand(name, table=_UNDIGESTED.name) as (_, database):
                found.extend(await set_aside(database))
                if found and not show:
                    await make_due(database)

        run_until_stopped(work())
        Console().print(_table(found))
        raise typer.Exit(int(bool(found)))


async def set_aside(database: Database) -> Sequence[Any]:
    """The rows of all sources, in order."""
    columns = _UNDIGESTED.c
    query = select(_UNDIGESTED).order_by(columns.source, columns.position)
    async with database.read() as connection:
        return (await connection.execute(query)).all()


async def make_due(database: Database) -> None:
    """Have everything that is set aside tried at the next poll."""
    async with database.transaction() as transaction:
        await transaction.execute(update(_UNDIGESTED).values(due_at=_UNDIGESTED.c.first_seen))


def _table(rows: Sequence[Any]) -> Table:
    table = Table("From", "Position", "Fact", "Attempts", "Set aside at", "Why")
    for row in rows:
        since = rfc3339(row.first_seen)
        table.add_row(row.source, str(row.position), row.type, str(row.attempts), since, row.error)
    return table
