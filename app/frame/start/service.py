"""How any service of Vitrine is put together, and how one alone is started."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.frame.data.database import Database
from app.frame.data.outbox import Outbox
from app.frame.inbound import problems
from app.frame.inbound.bodies import BodyLimit
from app.frame.inbound.direct import DirectRoute, straight
from app.frame.inbound.documentation import reference_routes
from app.frame.inbound.edge import Answered, WellFormed
from app.frame.inbound.internal import internal_app
from app.frame.inbound.limits import Limited, Limits, limits_of
from app.frame.inbound.overload import LoadShedder, Priority
from app.frame.platform import Platform
from app.frame.start.gauges import clock_job, read_clock, size_job
from app.frame.start.jobs import Job, run_job
from telemetry.bootstrap import Telemetry
from telemetry.catalogue.frame import FLAG_ENABLED, INTERNAL_REFUSED, OUTBOX_LAG, OUTBOX_ROWS

Hook = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Service:
    """A service that is put together but not started.

    `api` answers the public prefix, `internal` the internal port; `ready` raise until it can do its
    work, `warn` while somebody must look at it. `migrate` brings its database to this version's
    schema; `prepare` runs once after it, before the first request.
    """

    name: str
    platform: Platform
    telemetry: Telemetry
    database: Database
    api: ASGIApp
    internal: ASGIApp
    ready: Sequence[Hook]
    warn: Sequence[Hook]
    migrate: Hook
    prepare: Sequence[Hook] = ()
    jobs: Sequence[Job] = ()
    close: Sequence[Hook] = ()
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def make_ready(self) -> None:
        """Bring the database to this version's schema and do what must precede requests."""
        await self.migrate()
        for hook in self.prepare:
            await hook()

    def begin(self) -> None:
        """Begin background work."""
        self._tasks = [
            asyncio.create_task(run_job(job, self.telemetry), name=f"{self.name}:{job.name}")
            for job in self.jobs
        ]

    async def stop(self) -> None:
        """End background work, close connections, send what telemetry has left."""
        await self.halt()
        await self.send_telemetry()

    async def send_telemetry(self) -> None:
        """Send what telemetry has left, which may wait seconds for a collector."""
        await asyncio.to_thread(self.telemetry.shutdown)

    async def halt(self) -> None:
        """End background work and close connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for hook in (*self.close, self.database.close):
            try:
                await hook()
            except Exception as error:  # the others must end too
                self.telemetry.log.exception("stop.failed", error=type(error).__name__)


def new_api(platform: Platform, *, name: str, title: str, prefix: str) -> FastAPI:
    """A FastAPI application with our problem documents, OpenAPI and a page that draws it.

    FastAPI's own tracing is off: `telemetry.asgi` observes every request once.
    """
    app = FastAPI(
        title=title,
        version=platform.version or "0",
        openapi_url=f"{prefix}/openapi.json",
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        redirect_slashes=False,  # frame.inbound.problems does, to our own address
    )
    app.state.platform = platform
    app.state.service = name
    problems.install(app)
    production = platform.settings.environment == "production"
    app.include_router(
        reference_routes(title=title, name=name, prefix=prefix, production=production)
    )
    return app


def assemble(
    name: str,
    platform: Platform,
    telemetry: Telemetry,
    *,
    database: Database,
    api: FastAPI,
    migrate: Hook,
    outbox: Outbox | None = None,
    internal: APIRouter | None = None,
    ready: Sequence[Hook] = (),
    warn: Sequence[Hook] = (),
    internal_keys: Mapping[str, str] | None = None,
    prepare: Sequence[Hook] = (),
    jobs: Sequence[Job] = (),
    close: Sequence[Hook] = (),
    priorities: dict[str, Priority] | None = None,
    places: int = 200,
    direct: tuple[DirectRoute, ...] = (),
    larger_bodies: Mapping[str, int] | None = None,
    limits: Limits | None = None,
    unlimited: tuple[str, ...] = (),
) -> Service:
    """Wrap a service's routes in what every service has: shedding, telemetry, health, outbox.

    `limits` are handed in by a service that counts more than changes; `unlimited` as in `Limited`.
    """
    refused = telemetry.instruments.counter(INTERNAL_REFUSED)
    own_jobs = [
        *jobs,
        _flag_job(platform, telemetry),
        clock_job(database, platform.clock, telemetry),
        size_job(database, telemetry),
    ]
    checks = [database.check, *ready]
    if outbox is not None:
        own_jobs += _outbox_jobs(outbox, telemetry)
    shedder = LoadShedder(
        Limited(
            straight(api, direct),
            limits or limits_of(name, platform, telemetry),
            api,
            unlimited=unlimited,
        ),
        telemetry,
        places=places,
        priorities=priorities or {},
        routes=api.routes,
    )
    bodies = BodyLimit(shedder, seconds=platform.settings.body_seconds, larger=larger_bodies)
    return Service(
        name=name,
        platform=platform,
        telemetry=telemetry,
        database=database,
        api=Answered(
            ProxyHeadersMiddleware(
                telemetry.observe(WellFormed(bodies)),  # type: ignore[arg-type]
                platform.settings.proxies,
            ),
            database_seconds=platform.settings.database_seconds,
        ),
        internal=internal_app(
            name,
            platform,
            outbox=outbox,
            router=internal,
            ready=checks,
            warn=warn,
            keys=internal_keys,
            refused=lambda why: refused.inc(reason=why),
        ),
        ready=checks,
        warn=warn,
        migrate=migrate,
        prepare=[lambda: read_clock(database, platform.clock), *prepare],
        jobs=own_jobs,
        close=close,
    )


def _flag_job(platform: Platform, telemetry: Telemetry) -> Job:
    enabled = telemetry.instruments.gauge(FLAG_ENABLED)

    async def measure() -> None:
        for flag, active in platform.flags.active().items():
            enabled.set(float(active), flag=flag)

    return Job("flags", 2.0, measure)


def _outbox_jobs(outbox: Outbox, telemetry: Telemetry) -> list[Job]:
    lag = telemetry.instruments.gauge(OUTBOX_LAG)
    rows = telemetry.instruments.gauge(OUTBOX_ROWS)

    async def measure() -> None:
        rows.set(await outbox.count())  # first: a fact that is counted is in the lag
        lag.set(await outbox.lag_seconds())

    return [
        Job("outbox-lag", 5.0, measure),
        Job("outbox-prune", 60.0, outbox.prune),
    ]
