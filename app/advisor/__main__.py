"""`python -m app.advisor` serves; `python -m app.advisor --help` names its commands."""

from __future__ import annotations

import typer

from app.advisor.main import build
from app.frame.start.alone import run
from app.frame.start.restored import add_restored

cli = typer.Typer(help="The advisor: needs and wishes in, cars out.", add_completion=False)
add_restored(cli, "advisor")


@cli.callback(invoke_without_command=True)
def serve(context: typer.Context) -> None:
    """Serve, unless a command is named."""
    if context.invoked_subcommand is None:
        run("advisor", build)


if __name__ == "__main__":
    cli()
