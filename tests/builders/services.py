"""Services for tests: built on a test platform, started, and called through their real edges."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from app.checkout.providers import guard, sandbox
from app.frame.inbound.synthetic import sign
from app.frame.settings import Pooler, ServiceSettings
from app.frame.start.alone import Build
from app.frame.start.service import Service
from app.kernel.clock import Clock
from rigs.shop import operator_headers
from tests.builders.platform import KEYS, make_platform

# A machine that stands still for some seconds is not a provider in trouble: of all tests only those
# about deadlines depend on them, and set them back (`deadlines`).
DEADLINES = (guard.DEADLINES, sandbox.DEADLINE)
guard.DEADLINES = guard.Deadlines(create=60.0, settle=60.0)  # type: ignore[misc]
sandbox.DEADLINE = httpx.Timeout(60.0)  # type: ignore[misc]

OPERATOR = operator_headers(KEYS["session_key"])
"""Opens the internal port."""

DEALER = {"authorization": f"Bearer {KEYS['dealer_key']}"}


@dataclass(slots=True)
class Running:
    """One started service: its public and internal ports as clients."""

    service: Service
    public: httpx.AsyncClient
    internal: httpx.AsyncClient

    def job(self, name: str) -> Any:
        """A background job's function, to run it at a moment of the test's choosing."""
        return next(job.run for job in self.service.jobs if job.name == name)


@asynccontextmanager
async def running(
    folder: Path,
    builds: Mapping[str, Build],
    *,
    clock: Clock | None = None,
    others: Mapping[tuple[str, bool], ASGIApp] | None = None,
    background: bool = False,
    databases: Mapping[str, str] | None = None,
    pooler: Pooler = "",
    **settings: Any,
) -> AsyncIterator[dict[str, Running]]:
    """Start services that reach each other in this process, and stop them at the end.

    `others` are fake applications by (service, internal?). Without `background` no job runs by
    itself: a test runs the one it means with `Running.job`. `databases` are addresses by service;
    a service without one gets its own SQLite file; `pooler` stands before all of them.
    """
    found: dict[tuple[str, bool], ASGIApp] = dict(others or {})
    platform = make_platform(folder, clock=clock, services=found, **settings)
    urls = databases or {}
    services = {
        name: build(
            platform, ServiceSettings(database_url=urls.get(name, ""), database_pooler=pooler)
        )
        for name, build in builds.items()
    }
    for name, service in services.items():
        found[name, False], found[name, True] = service.api, service.internal
    async with AsyncExitStack() as stack:
        stack.callback(platform.flags.close)
        clients = {}
        for name, service in services.items():
            stack.push_async_callback(service.stop)
            await _migrate_once(service)
            await service.make_ready()
            if background:
                service.begin()
            clients[name] = Running(
                service,
                await stack.enter_async_context(_client(service.api)),
                await stack.enter_async_context(_client(service.internal, OPERATOR)),
            )
        yield clients


async def _migrate_once(service: Service) -> None:
    """Migrate a new SQLite file; the second one in this process is a copy of the first.

    Migrations are half of what opening a service costs, and make the same file each time.
    """
    path = Path(service.database.engine.url.database or "")
    if service.database.dialect == "sqlite" and not _copied(service.name, path):
        await service.migrate()
        with closing(sqlite3.connect(path)) as database:
            _MIGRATED.setdefault(service.name, database.serialize())


def _copied(service: str, path: Path) -> bool:
    if not path.exists() and service in _MIGRATED:
        path.write_bytes(_MIGRATED[service])
    return path.exists()


_MIGRATED: dict[str, bytes] = {}


def refunds_of(checkout: Running) -> Any:
    """The use cases behind checkout's refunds job, as its command has them."""
    return checkout.job("refunds").__closure__[0].cell_contents.run.__self__


def synthetic_headers(at: datetime) -> dict[str, str]:
    """What a synthetic caller sends `at` a moment of the services' clock."""
    return {"x-vitrine-synthetic": sign(KEYS["synthetic_key"], int(at.timestamp()))}


def _client(app: ASGIApp, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    # The application's own answer to a fault is what a caller sees, not a traceback.
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers)
