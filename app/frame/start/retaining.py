"""The background job by which rows leave that have stayed long enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.frame.data.database import Database
from app.frame.data.leases import Leases
from app.frame.data.retention import Retention, Rule
from app.frame.start.jobs import Job, leased
from app.kernel.clock import Clock
from telemetry.bootstrap import Telemetry

EVERY_SECONDS: Final = 60.0
SHARE: Final = 0.05


def retention_job(
    rules: Sequence[Rule],
    *,
    database: Database,
    leases: Leases,
    clock: Clock,
    telemetry: Telemetry,
) -> Job:
    """One replica's work at a time, and a twentieth of its time at most."""
    turn = Retention(rules, database, clock, telemetry).turn
    return leased(leases, Job("retention", EVERY_SECONDS, turn, share=SHARE), ttl_seconds=60.0)
