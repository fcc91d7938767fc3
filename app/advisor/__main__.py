"""`python -m app.advisor` serves; `python -m app.advisor --help` names its commands."""

from __future__ import annotations

import typer

from app.advisor.main import build
from app.frame.start.commands import serve_by_default
from app.frame.start.restored import add_restored

cli = typer.Typer(help="The advisor: needs and wishes in, cars out.", add_completion=False)
serve_by_default(cli, "advisor", build)
add_restored(cli, "advisor")


if __name__ == "__main__":
    cli()
