"""`python -m app.insight` serves; `python -m app.insight --help` names its commands."""

from __future__ import annotations

import typer

from app.frame.start.commands import serve_by_default
from app.frame.start.restored import add_restored
from app.frame.start.retaking import add_retake
from app.insight.archive.commands import add_archive
from app.insight.main import build

cli = typer.Typer(help="Insight: the ledger and the console.", add_completion=False)
serve_by_default(cli, "insight", build)
add_retake(cli, "insight")
add_restored(cli, "insight")
add_archive(cli)


if __name__ == "__main__":
    cli()
