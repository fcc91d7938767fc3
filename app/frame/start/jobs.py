"""Background jobs of a service: sweeping, projecting, pruning, reconciling."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import httpx

from app.frame.data.leases import Leases
from app.kernel.errors import Unavailable
from telemetry.bootstrap import Telemetry

IDLE_FACTOR: Final = 3.0
FAILING_SECONDS: Final = 5.0
"""A peer that is down for minutes is asked every few seconds, not three times a second."""

TOLD_EVERY_SECONDS: Final = 60.0
"""A peer that stays away is told of at once, and then once a minute."""


@dataclass(frozen=True, slots=True)
class Job:
    """Run `run` every `every_seconds`, forever.

    A failure is logged and tried again, less often while it goes on failing. A turn that says 0
    ("nothing to do") lets the next one wait longer, up to `IDLE_FACTOR` times. Work that replicas
    must not do twice claims a lease itself (`frame.data.leases`). Work whose cost grows with the
    books says which `share` of the time it may take at most: it rests the longer the longer it
    took.
    """

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[object]]
    share: float = 1.0

    def rest(self, took: float) -> float:
        """The least pause in seconds after a turn that took so many seconds."""
        return took * (1 / self.share - 1)


async def run_job(job: Job, telemetry: Telemetry) -> None:
    """Run one job until cancelled."""
    turn, outage = Turn(job.every_seconds), Outage()
    while True:
        began = time.monotonic()
        try:
            turn = turn.after(await job.run())
            outage = Outage()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            turn = turn.after_failure()
            reason = peer_is_away(error)
            if reason is None:
                outage = Outage()
                telemetry.log.exception("job.failed", job=job.name, error=type(error).__name__)
            else:
                outage, tell = outage.goes_on(reason, now=began)
                if tell:
                    telemetry.log.warning("job.unavailable", job=job.name, detail=reason)
        pause = max(turn.pause, job.rest(time.monotonic() - began))
        # Replicas that started together drift apart.
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - not a secret


def peer_is_away(error: Exception) -> str | None:
    """Why a peer could not do its part; None when the failure is ours."""
    if isinstance(error, Unavailable):
        return error.detail
    if isinstance(error, httpx.TransportError):
        return f"{type(error).__name__}: {error}"
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code in _BUSY:
        return f"{error.request.url.path} answers {error.response.status_code}"
    return None


_BUSY: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage under way: its reason, and when it was told last (monotonic seconds)."""

    reason: str = ""
    told_at: float = 0.0

    def goes_on(self, reason: str, *, now: float) -> tuple[Outage, bool]:
        """The outage after another failed turn, and whether to tell of it now."""
        if self.reason and now - self.told_at < TOLD_EVERY_SECONDS:
            return self, False
        return Outage(reason, now), True


@dataclass(frozen=True, slots=True)
class Turn:
    """How long to wait after a turn: `pause` seconds, `every` being the job's own rhythm."""

    every: float
    pause: float = 0.0

    def after(self, result: object) -> Turn:
        idle = isinstance(result, int) and not isinstance(result, bool) and result == 0
        slower = min(max(self.pause, self.every) * 1.5, self.every * IDLE_FACTOR)
        return Turn(self.every, slower if idle else self.every)

    def after_failure(self) -> Turn:
        return Turn(
            self.every, max(self.every, min(max(self.pause, self.every) * 2, FAILING_SECONDS))
        )


def leased(leases: Leases, job: Job, *, ttl_seconds: float = 15.0) -> Job:
    """The same job, done by one replica at a time."""

    async def run() -> object:
        if not await leases.claim(f"job:{job.name}", ttl_seconds=ttl_seconds):
            return 0
        return await job.run()

    return replace(job, run=run)
