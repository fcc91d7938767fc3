"""`python -m app.insight` serves; `python -m app.insight --help` names its commands."""

from __future__ import annotations

import typer

from app.frame.start.alone import run
from app.frame.start.restored import add_restored
from app.frame.start.retaking import add_retake
from app.insight.main import build

cli = typer.Typer(help="Insight: the ledger and the console.", add_completion=False)
add_retake(cli, "insight")
add_restored(cli, "insight")


@cli.callback(invoke_without_command=True)
def serve(context: typer.Context) -> None:
    """Serve, unless a command is named."""
    if context.invoked_subcommand is None:
        run("insight", build)


if __name__ == "__main__":
    cli()
