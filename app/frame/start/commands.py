"""What the commands of a service have in common: serving without one, and its database at hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import typer

from app.frame.data.database import Database
from app.frame.platform import Platform
from app.frame.settings import ServiceSettings
from app.frame.start.alone import Build, run
from app.frame.start.startup import new_platform, read_settings
from app.kernel.errors import CannotStart


def serve_by_default(cli: typer.Typer, name: str, build: Build) -> None:
    """`python -m app.<name>` without a command serves."""

    @cli.callback(invoke_without_command=True)
    def serve(context: typer.Context) -> None:
        """Serve, unless a command is named."""
        if context.invoked_subcommand is None:
            run(name, build)


@asynccontextmanager
async def at_hand(name: str, *, table: str = "") -> AsyncIterator[tuple[Platform, Database]]:
    """A service's platform and database, beside the service that runs.

    Raises `CannotStart` when the database has no such table yet; without one it may be new.
    """
    platform = new_platform(read_settings(name), local_traces=False)
    telemetry = platform.telemetry(name)
    database = platform.database(name, ServiceSettings.of(name), telemetry)
    try:
        if table and table not in await database.tables():
            raise CannotStart(f"{name}'s database has no tables yet: start {name} once.")
        yield platform, database
    finally:
        await database.close()
        platform.flags.close()
        telemetry.shutdown()
