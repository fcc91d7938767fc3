"""`python -m app.checkout`: serve, or look after the books of a checkout that runs elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.checkout.errors import OrderUnknown
from app.checkout.invariants import Invariant, check
from app.checkout.main import NAME, Parts, build, parts_of
from app.checkout.privacy import Erased, Rotated
from app.checkout.reconciliation import ENDED, WAITING, Difference
from app.checkout.restating import states_as_facts
from app.checkout.rows import Purchase
from app.checkout.settings import CheckoutSettings
from app.frame.platform import AddressMissing
from app.frame.settings import ServiceSettings
from app.frame.start.commands import serve_by_default
from app.frame.start.restored import add_restored
from app.frame.start.retaking import add_retake
from app.frame.start.startup import new_platform, read_settings, run_until_stopped
from app.kernel.clock import rfc3339
from app.kernel.errors import CannotStart, VitrineError

cli = typer.Typer(help="Checkout: holds, orders, payments.", no_args_is_help=False)
serve_by_default(cli, NAME, build)
add_retake(cli, NAME)
add_restored(cli, NAME, states_as_facts)


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
    """Ask the payment providers about unsettled orders and kept money, and apply what they say."""
    found: list[Difference] = []

    async def work(parts: Parts) -> None:
        if "SANDBOX_URL" in parts.use.platform.unaddressed:
            raise AddressMissing(
                "set SANDBOX_URL to where the payment provider is"
                " (beside the embedded shop: http://127.0.0.1:8000)."
            )
        found.extend(
            await parts.use.reconciliation.unsettled(
                quiet_seconds=quiet, since_seconds=hours * 3600, states=(*WAITING, *ENDED)
            )
        )
        found.extend(await parts.use.reconciliation.all_kept())

    _with_parts(work)
    Console().print(differences_table(found))


@cli.command()
def refunds(
    retry: Annotated[str, typer.Option(help="Ask the provider again for this order.")] = "",
    end: Annotated[
        str, typer.Option(help="This order's money went back by other means: close it.")
    ] = "",
) -> None:
    """List the refunds that are owed or were refused, or decide about one of them."""
    if retry and end:
        raise typer.BadParameter("give either --retry or --end")
    found: list[Purchase] = []

    async def work(parts: Parts) -> None:
        try:
            if retry:
                await parts.use.refunds.decide(retry, "retry")
            if end:
                await parts.use.refunds.decide(end, "end")
        except VitrineError as error:
            raise CannotStart(error.detail) from error
        found.extend(await parts.use.store.refunds_owed())

    _with_parts(work)
    Console().print(refunds_table(found))


@cli.command()
def erase(
    email: Annotated[
        str, typer.Option(help="Whose orders; - reads it from standard input, off the screen.")
    ] = "",
    order: Annotated[str, typer.Option(help="One order by its id.")] = "",
) -> None:
    """Forget a customer's name, e-mail and phone; exit code 1 when something is left to do."""
    if bool(email) == bool(order):
        raise typer.BadParameter("give either --email or --order")
    wanted = sys.stdin.readline().strip() if email == "-" else email
    found: list[Erased] = []

    async def work(parts: Parts) -> None:
        privacy = parts.use.privacy
        try:
            found.append(
                await (privacy.erase_order(order) if order else privacy.erase_customer(wanted))
            )
        except OrderUnknown as error:
            raise CannotStart(error.detail) from error

    _with_parts(work)
    (result,) = found
    Console().print(erased_table(result))
    raise typer.Exit(int(bool(result.still_open or result.unreadable)))


@cli.command()
def rotate_keys() -> None:
    """Seal customer data with the newest key; interrupted, it is simply run again.

    Exit code 1 when a row was sealed with a key that is not in VITRINE_CUSTOMER_KEY.
    """
    found: list[Rotated] = []

    async def work(parts: Parts) -> None:
        found.append(await parts.use.privacy.rotate())

    _with_parts(work)
    (result,) = found
    Console().print(
        f"{result.resealed} rows sealed or indexed anew, {result.fresh} were as they should be,"
        f" {len(result.unreadable)} could not be opened: {_listed(result.unreadable)}"
    )
    raise typer.Exit(int(bool(result.unreadable)))


def erased_table(result: Erased) -> Table:
    """What became of a customer's orders, without saying whose they were."""
    table = Table("Order", "What became of it")
    for orders, fate in (
        (result.erased, "erased"),
        (result.still_open, "[bold]still open: cancel it, or ask again when it is over[/]"),
        (result.unreadable, "[bold red]sealed with a key that we were not given[/]"),
    ):
        for order_id in orders:
            table.add_row(order_id, fate)
    return table


def _listed(order_ids: list[str]) -> str:
    return ", ".join(order_ids) or "none"


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


def refunds_table(owed: list[Purchase]) -> Table:
    """Each refund that is owed, the longest waiting first."""
    table = Table("Order", "Provider", "Payment", "Minor units", "Owed since", "State")
    for each in owed:
        order, payment = each.order, each.payment
        since = "" if order.ended_at is None else rfc3339(order.ended_at)
        amount = f"{order.deposit} {order.currency}"
        table.add_row(
            order.order_id, order.provider, payment.payment_id, amount, since, payment.state
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
        platform = new_platform(read_settings(NAME), local_traces=False)
        parts = parts_of(platform, ServiceSettings.of(NAME), CheckoutSettings())
        try:
            if "orders" not in await parts.database.tables():
                raise CannotStart("checkout's database has no tables yet: start checkout once.")
            await work(parts)
        finally:
            await parts.shut()

    run_until_stopped(main())
