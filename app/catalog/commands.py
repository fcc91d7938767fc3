"""The catalogue's commands, against the configured database: import a feed, retake facts."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from app.catalog.guards import Confirmed
from app.catalog.imports import DEFAULT_ADAPTER, Importer
from app.catalog.models import METADATA, OUTBOX
from app.catalog.range.loading import load_range
from app.catalog.restating import offers_as_facts
from app.catalog.settings import CatalogSettings
from app.catalog.signals import Signals
from app.catalog.staging import Feed
from app.catalog.store import Store
from app.contracts.catalog import FeedReport
from app.frame.data.migrations import migrate
from app.frame.data.outbox import Outbox
from app.frame.platform import Platform
from app.frame.settings import ServiceSettings
from app.frame.start.restored import add_restored
from app.frame.start.retaking import add_retake
from app.frame.start.startup import cannot_start, new_platform, one_sentence, read_settings
from app.kernel.errors import VitrineError
from app.kernel.facts import EventContext
from telemetry.catalogue.labels import CURRENCY_OF_MARKET

NAME = "catalog"
SHOWN_REJECTIONS = 20

commands = typer.Typer(add_completion=False, no_args_is_help=True)

add_retake(commands, NAME)
add_restored(commands, NAME, offers_as_facts)


@commands.callback()
def _about() -> None:
    """The catalogue's commands; without one, `python -m app.catalog` serves."""


@commands.command("import")
def import_feed(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    source: Annotated[str, typer.Option(help="whose stock this is")],
    market: Annotated[str, typer.Option(help="ISO 3166-1 alpha-2, like SE")],
    adapter: Annotated[str, typer.Option(help="the source kind")] = DEFAULT_ADAPTER,
    confirm_removal: Annotated[
        bool, typer.Option("--confirm-removal", help="lift the guard against lost stock")
    ] = False,
    confirm_prices: Annotated[
        bool, typer.Option("--confirm-prices", help="lift the guard against damaged prices")
    ] = False,
) -> None:
    """Import FILE as the whole stock of SOURCE in MARKET, as `POST /feeds/{source}` does."""
    if market not in CURRENCY_OF_MARKET:
        cannot_start(f"--market {market}: must be one of {', '.join(CURRENCY_OF_MARKET)}.")
    platform = new_platform(read_settings(NAME), local_traces=False)
    with one_sentence(), file.open("rb") as content:
        feed = Feed(source, market, adapter, content)
        try:
            report = asyncio.run(
                run_import(platform, feed, Confirmed(confirm_removal, confirm_prices))
            )
        except VitrineError as error:
            typer.echo(f"nothing was changed: {error.detail}", err=True)
            raise typer.Exit(1) from error
        finally:
            platform.flags.close()
    _tell(report)


async def run_import(platform: Platform, feed: Feed, confirmed: Confirmed) -> FeedReport:
    """Import on the configured database; running services take it over within a second."""
    telemetry, own = platform.telemetry(NAME), CatalogSettings()
    database = platform.database(NAME, ServiceSettings.of(NAME), telemetry)
    try:
        await migrate(database, NAME, METADATA)
        importer = Importer(
            Store(database, Outbox(NAME, database, OUTBOX, platform.clock), platform.clock),
            load_range(),
            Signals(telemetry),
            platform.clock,
            guard_share=own.guard_share,
            most_cars=own.most_cars,
        )
        context = EventContext(market=feed.market, channel="dealer", release=platform.version)
        return await importer.run(feed, context, confirmed)
    finally:
        await database.close()
        telemetry.shutdown()


def _tell(report: FeedReport) -> None:
    typer.echo(
        f"{report.source}: {report.accepted} accepted, {report.unchanged} unchanged, "
        f"{report.removed} removed, {report.rejected} rejected"
    )
    if report.promised:
        typer.echo(f"  not in the feed, and still a shopper's: {', '.join(report.promised)}")
    for reason, times in Counter(row.reason for row in report.rejections).most_common():
        typer.echo(f"  {times} x {reason}")
    if report.more_rejections:
        typer.echo(f"  (of the first {len(report.rejections)} rejections)")
    for row in report.rejections[:SHOWN_REJECTIONS]:
        typer.echo(f"  {row.message}")
    if report.rejected > SHOWN_REJECTIONS:
        typer.echo(f"  and {report.rejected - SHOWN_REJECTIONS} more")
