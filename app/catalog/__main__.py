"""`python -m app.catalog` serves; `python -m app.catalog --help` names its commands."""

import sys

from app.catalog.main import build
from app.frame.start.alone import run

if __name__ == "__main__":
    if len(sys.argv) > 1:
        from app.catalog.commands import commands

        commands()
    else:
        run("catalog", build)
