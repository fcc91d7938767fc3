"""`python -m app.storefront` serves; `python -m app.storefront --help` names its commands."""

from __future__ import annotations

import typer

from app.frame.start.alone import run
from app.frame.start.restored import add_restored
from app.storefront.main import build

cli = typer.Typer(help="The storefront: pages for shoppers.", add_completion=False)
add_restored(cli, "storefront")


@cli.callback(invoke_without_command=True)
def serve(context: typer.Context) -> None:
    """Serve, unless a command is named."""
    if context.invoked_subcommand is None:
        run("storefront", build)


if __name__ == "__main__":
    cli()
