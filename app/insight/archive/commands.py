"""`python -m app.insight export`, `import`, `rebuild` and `audit`."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from app.frame.data.migrations import migrate
from app.frame.start.commands import at_hand
from app.frame.start.startup import run_until_stopped
from app.insight.archive.auditing import audit, checkout_orders
from app.insight.archive.exporting import export
from app.insight.archive.findings import MOST, Findings
from app.insight.archive.importing import import_from
from app.insight.archive.rebuilding import rebuild
from app.insight.models import EVENTS, METADATA
from app.kernel.clock import rfc3339

NAME: Final = "insight"

TheseRules = Annotated[
    bool,
    typer.Option(
        "--these-rules",
        help="Also where a version with other rules has booked: reports as of then may change.",
    ),
]


def add_archive(cli: typer.Typer) -> None:
    """Give insight's commands these four."""
    cli.command("export")(_export)
    cli.command("import")(_import)
    cli.command("rebuild")(_rebuild)
    cli.command("audit")(_audit)


def _export(
    to: Annotated[Path, typer.Option("--to", help="The archive's folder; made when missing.")],
) -> None:
    """Write the ledger into Parquet files, one per day and kind; only what is missing or grows.

    Runs beside the service. Run again, it goes on where the last run ended.
    """
    said: list[str] = []

    async def work() -> None:
        def tell(day: date) -> None:
            typer.echo(f"{day.isoformat()} is written.")

        async with at_hand(NAME, table=EVENTS.name) as (_, database):
            found = await export(database, to, tell=tell)
        if found is None:
            said.append("The ledger has booked nothing yet.")
            return
        rows = ", ".join(f"{count} {kind}" for kind, count in found.rows.items())
        said.append(f"{to} has the ledger as of {rfc3339(found.as_of)}; this run wrote {rows}.")
        if found.lacks:
            said.append(f"It cannot be imported: {found.lacks}")

    run_until_stopped(work())
    typer.echo("\n".join(said))


def _import(
    source: Annotated[Path, typer.Option("--from", help="A folder that `export` has written.")],
    these_rules: TheseRules = False,
) -> None:
    """Make an empty database the ledger that was archived; stop insight before."""
    said: list[str] = []

    async def work() -> None:
        async with at_hand(NAME) as (_, database):
            await migrate(database, NAME, METADATA)
            index = await import_from(source, database, these_rules=these_rules)
        said.append(f"The ledger stands as of {rfc3339(index.booked_until)}.")

    run_until_stopped(work())
    typer.echo(said[0])


def _rebuild(these_rules: TheseRules = False) -> None:
    """Work the ledger out anew from its own events, and put it in place in one transaction.

    Runs beside the service, whose bookings wait while the tables are filled.
    """

    async def work() -> None:
        async with at_hand(NAME, table=EVENTS.name) as (_, database):
            await rebuild(database, these_rules=these_rules)

    run_until_stopped(work())
    typer.echo("The ledger is what its events make of it.")


def _audit() -> None:
    """Work everything out from the events, ask checkout for its orders, and tell what differs.

    Changes nothing. Exit code 0: all is as it should be; 1: something differs; 2: nothing that
    could be compared differs, but not all could be.
    """
    told: list[Findings] = []

    async def work() -> None:
        async with at_hand(NAME, table=EVENTS.name) as (platform, database):
            telemetry = platform.telemetry(NAME)
            async with platform.internal_client("checkout", telemetry) as client:
                told.append(await audit(database, lambda: checkout_orders(client)))

    run_until_stopped(work())
    (found,) = told
    _print(found)
    raise typer.Exit(found.exit_code)


def _print(found: Findings) -> None:
    console = Console()
    if found.differences:
        table = Table("Where", "What", "Ledger", "Should be")
        for each in found.differences:
            table.add_row(each.where, each.what, each.ledger, each.should_be)
        console.print(table)
    for sentence in filter(None, (found.scope, *found.unknown)):
        typer.echo(sentence)
    rows = ", ".join(f"{count} {where}" for where, count in found.compared.items())
    many = f" (of each table the first {MOST})" if len(found.differences) >= MOST else ""
    typer.echo(f"Compared: {rows or 'nothing'}. {len(found.differences)} differences{many}.")
