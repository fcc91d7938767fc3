"""What each service measures of its database: how late its clock is, how large it grows."""

from __future__ import annotations

import time
from typing import Final

from sqlalchemy import text

from app.frame.data.database import Database
from app.frame.start.jobs import Job
from app.kernel.clock import Clock, SharedClock
from telemetry.bootstrap import Telemetry
from telemetry.catalogue.frame import CLOCK_SKEW, DATABASE_ROOM, DATABASE_SIZE

CLOCK_SECONDS: Final = 10.0
SIZE_SECONDS: Final = 30.0


async def read_clock(database: Database, clock: Clock) -> None:
    """Set the process's clock by PostgreSQL's; SQLite has none but the machine's."""
    if database.dialect == "sqlite" or not isinstance(clock, SharedClock):
        return
    async with database.read() as connection:
        for _ in range(2):  # the first answer may have waited for its transaction
            after = time.monotonic()
            shown = await connection.scalar(text("SELECT clock_timestamp()"))
            clock.read(shown, after=after, before=time.monotonic())


def clock_job(database: Database, clock: Clock, telemetry: Telemetry) -> Job:
    """Read the database's clock again and again, and tell how far the machine's is from it."""
    skew = telemetry.instruments.gauge(CLOCK_SKEW)

    async def compare() -> None:
        await read_clock(database, clock)
        skew.set(clock.skew() if isinstance(clock, SharedClock) else 0.0)

    return Job("clock", CLOCK_SECONDS, compare)


def size_job(database: Database, telemetry: Telemetry) -> Job:
    """Tell how large the database is, and by how much it may grow where that is known."""
    size = telemetry.instruments.gauge(DATABASE_SIZE)
    room = telemetry.instruments.gauge(DATABASE_ROOM)

    async def measure() -> None:
        taken, left = await database.extent()
        size.set(float(taken))
        if left is not None:
            room.set(float(left))

    return Job("database-size", SIZE_SECONDS, measure)
