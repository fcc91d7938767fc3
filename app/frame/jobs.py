"""Background jobs of a service: sweeping, projecting, pruning, reconciling."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.frame.leases import Leases
from app.kernel.errors import Unavailable
from telemetry.bootstrap import Telemetry


@dataclass(frozen=True, slots=True)
class Job:
    """Run `run` every `every_seconds`, forever.

    A failure is logged and tried again at the next turn. Work that replicas must not do twice
    claims a lease itself (`frame.leases`).
    """

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[object]]


async def run_job(job: Job, telemetry: Telemetry) -> None:
    """Run one job until cancelled."""
    while True:
        try:
            await job.run()
        except asyncio.CancelledError:
            raise
        except Unavailable as error:
            telemetry.log.warning("job.unavailable", job=job.name, detail=error.detail)
        except Exception as error:
            telemetry.log.exception("job.failed", job=job.name, error=type(error).__name__)
        # Replicas that started together drift apart.
        await asyncio.sleep(job.every_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - not a secret


def leased(leases: Leases, job: Job, *, ttl_seconds: float = 30.0) -> Job:
    """The same job, done by one replica at a time."""

    async def run() -> object:
        if not await leases.claim(f"job:{job.name}", ttl_seconds=ttl_seconds):
            return None
        return await job.run()

    return Job(job.name, job.every_seconds, run)
