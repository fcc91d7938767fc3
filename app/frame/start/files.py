"""How many files and connections this process may open, and how many it needs."""

from __future__ import annotations

import resource
from typing import Final

LEAST_FILES: Final = 256
"""The six services in one process have 85 files and sockets open at rest, 140 with fifty shoppers.

With 64 they never come up, with 128 they lose shoppers.
"""
LEAST_FILES_ALONE: Final = 160
"""One service has 18 to 32 open at rest. With fifty shoppers the storefront has 109: each takes a
connection to it and one to a neighbour (in the production shape, behind nginx)."""

UNLIMITED: Final = 1_000_000


def files_allowed() -> int:
    """What the system lets this process open (`ulimit -n`)."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if allowed == resource.RLIM_INFINITY else allowed


def files_needed(service: str) -> int:
    """By one service, or by all six (""), before there is room for a crowd."""
    return LEAST_FILES_ALONE if service else LEAST_FILES
