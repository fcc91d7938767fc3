"""The shipped range and stock as the advisor sees them, read once through the catalogue's edges."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from app.advisor.gateways import CatalogFollower
from app.advisor.showroom import Showroom
from app.catalog.main import build
from app.kernel.clock import ManualClock
from tests.builders.services import running

TUESDAY = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
"""Ten in the morning in Stockholm: dealers are open."""


@cache
def shipped_showroom() -> Showroom:
    """Shared by tests, which only read it."""
    return asyncio.run(_read())


async def _read() -> Showroom:
    showroom = Showroom()
    with TemporaryDirectory() as folder:
        async with running(
            Path(folder), {"catalog": build}, clock=ManualClock(TUESDAY)
        ) as services:
            catalog = services["catalog"]
            follower = CatalogFollower(showroom, public=catalog.public, internal=catalog.internal)
            await follower.refresh()
    return showroom
