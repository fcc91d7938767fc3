"""Debian's promtool and amtool as functions: what they say, and whether they are content."""

import subprocess
from pathlib import Path


def promtool(*arguments: str | Path) -> tuple[bool, str]:
    """Whether promtool succeeded, and everything that it said."""
    return _run("promtool", *arguments)


def amtool(*arguments: str | Path) -> tuple[bool, str]:
    return _run("amtool", *arguments)


def _run(program: str, *arguments: str | Path) -> tuple[bool, str]:
    done = subprocess.run(
        [program, *map(str, arguments)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode == 0, done.stdout
