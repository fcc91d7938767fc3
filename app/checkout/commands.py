"""`python -m app.checkout`: serve, or look after the books of a checkout that runs elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.checkout.invariants import Invariant, check
from app.checkout.main import NAME, Parts, build, put_together
from app.checkout.payments import ENDED, WAITING, Difference
from app.frame.alone import run
from app.frame.platform import AddressMissing
from app.frame.settings import ServiceSettings
from app.frame.startup import new_platform, read_settings, run_until_stopped
from app.kernel.errors import CannotStart

cli = typer.Typer(help="Checkout: holds, orders, payments.", no_args_is_help=False)


@cli.callback(invoke_without_command=True)
def serve(context: typer.Context) -> None:
    """Serve, unless a command is named."""
    if context.invoked_subcommand is None:
        run(NAME, build)


@cli.command()
def audit() -> None:
    """Check everything that must always be true; exit code 1 when something is not."""
    results: list[tuple[Invariant, int]] = []

    async def work(parts: Parts) -> None:
        results.extend(await check(parts.use.store, parts.use.platform.clock))

    _with_parts(work)
    Console().print(audit_table(results))
    raise typer.Exit(int(any(violations for _, violations in results)))


@cli.command()
def reconcile(
    hours: Annotated[float, typer.Option(min=0, help="How far back orders are asked about.")] = 14
    * 24,
    quiet: Annotated[
        float, typer.Option(min=0, help="Seconds that a webhook may be on its way.")
    ] = 60,
) -> None:
    """Ask the payment providers about unsettled orders and apply what they say."""
    found: list[Difference] = []

    async def work(parts: Parts) -> None:
        if parts.use.platform.unaddressed - {"CATALOG_URL"}:
            raise AddressMissing("set SANDBOX_URL to where the payment provider is.")
        found.extend(
            await parts.use.payments.reconcile(
                quiet_seconds=quiet, since_seconds=hours * 3600, states=(*WAITING, *ENDED)
            )
        )

    _with_parts(work)
    Console().print(differences_table(found))


def audit_table(results: list[tuple[Invariant, int]]) -> Table:
    """Each invariant with the rows that break it, and what that would mean."""
    table = Table("Must always be true", "Rows that break it", "What that means")
    for invariant, violations in results:
        table.add_row(
            invariant.name,
            f"[bold red]{violations}[/]" if violations else "0",
            invariant.why if violations else "",
        )
    return table


def differences_table(found: list[Difference]) -> Table:
    """Each difference with the provider, which has been repaired."""
    title = f"{len(found)} difference{'' if len(found) == 1 else 's'} found and repaired"
    table = Table("Order", "We believed", "The provider says", title=title)
    for difference in found:
        table.add_row(difference.order_id, difference.was, difference.found)
    return table


def _with_parts(work: Callable[[Parts], Awaitable[None]]) -> None:
    async def main() -> None:
        platform = new_platform(read_settings(), local_traces=False)
        parts = put_together(platform, ServiceSettings.of(NAME))
        try:
            if "orders" not in await parts.database.tables():
                raise CannotStart("checkout's database has no tables yet: start checkout once.")
            await work(parts)
        finally:
            await parts.shut()

    run_until_stopped(main())
