"""`python -m app.storefront` serves; `python -m app.storefront --help` names its commands."""

from __future__ import annotations

import typer

from app.frame.start.commands import serve_by_default
from app.frame.start.restored import add_restored
from app.storefront.main import build

cli = typer.Typer(help="The storefront: pages for shoppers.", add_completion=False)
serve_by_default(cli, "storefront", build)
add_restored(cli, "storefront")


if __name__ == "__main__":
    cli()
