"""All six services in one process on one port, each with its own SQLite file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from app.advisor.main import build as build_advisor
from app.catalog.main import build as build_catalog
from app.checkout.main import build as build_checkout
from app.frame.inbound.internal import InternalRouter, add_health
from app.frame.inbound.private import Private
from app.frame.platform import Platform
from app.frame.settings import PlatformSettings, ServiceAddresses, ServiceSettings
from app.frame.start.alone import Build
from app.frame.start.server import bind, serve
from app.frame.start.service import Service
from app.frame.start.startup import new_platform, read_settings, run_until_stopped
from app.insight.main import build as build_insight
from app.sandbox.main import build as build_sandbox
from app.storefront.main import build as build_storefront

SERVICES: Final[Mapping[str, tuple[Build, tuple[str, ...]]]] = {
    "catalog": (build_catalog, ("/api/catalog/",)),
    "advisor": (build_advisor, ("/api/advisor/",)),
    "checkout": (build_checkout, ("/api/checkout/",)),
    "insight": (build_insight, ("/api/insight/", "/console")),
    "sandbox": (build_sandbox, ("/sandbox/",)),
    "storefront": (build_storefront, ("/",)),
}
"""Every service with the path prefixes that the gateway routes to it; `/` takes what is left."""


class Gateway:
    """The embedded stand-in for the gateway: the same prefixes, in one process."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._routes = [
            (prefix, services[name].api)
            for name, (_, prefixes) in SERVICES.items()
            for prefix in prefixes
            if name in services
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "/")
        for prefix, app in self._routes:
            if path.startswith(prefix) or path == prefix.rstrip("/"):
                await app(scope, receive, send)
                return
        await self._routes[-1][1](scope, receive, send)  # `*`, which asks about all of us


def build_all(platform: Platform) -> dict[str, Service]:
    """All services on one platform; they find each other through it.

    What is for a service of its own (`CHECKOUT_DATABASE_URL`, `CATALOG_URL`, `SANDBOX_PORT`) is
    not read: the data folder has all databases, and everybody is here. The practice provider is
    among them where practice is allowed; checkout says so when there is no other.
    """
    platform.addresses = lambda service: ServiceAddresses()
    services = {
        name: build(platform, ServiceSettings())
        for name, (build, _) in SERVICES.items()
        if name != "sandbox" or platform.settings.practice_allowed
    }

    def resolve(service: str, internal: bool) -> ASGIApp | None:
        found = services.get(service)
        if found is None:
            return None
        return found.internal if internal else found.api

    platform.resolve = resolve
    return services


def internal_port(platform: Platform, services: Mapping[str, Service]) -> InternalRouter:
    """One internal port for all: metrics and health of the process, the rest by service."""
    health = FastAPI(
        openapi_url=None, telemetry={"tracing": False, "metrics": False, "logs": False}
    )

    add_health(
        health,
        platform,
        {name: service.ready for name, service in services.items()},
        {name: service.warn for name, service in services.items()},
    )
    return InternalRouter(
        {name: service.internal for name, service in services.items()}, Private(health, platform)
    )


async def _serve(settings: PlatformSettings) -> None:
    shared = settings.workers > 1
    public = bind(settings.host, settings.port, variable="VITRINE_PORT", shared=shared)
    internal = bind(
        settings.internal_host, settings.internal_port, variable="VITRINE_INTERNAL_PORT"
    )
    platform = new_platform(settings, local_traces=True)
    services = build_all(platform)
    await serve(
        list(services.values()),
        public=Gateway(services),
        internal=internal_port(platform, services),
        public_socket=public,
        internal_socket=internal,
    )


def main() -> None:
    """Run embedded mode, as one process or as `VITRINE_WORKERS` processes on the same port.

    Worker n has its internal port at `VITRINE_INTERNAL_PORT` + n: several scrape targets.
    """
    settings = read_settings()
    if settings.workers == 1 or settings.worker_index is not None:
        own = {
            "internal_port": settings.internal_port + (settings.worker_index or 0),
            "public_url": settings.public_url or f"http://{settings.host}:{settings.port}",
        }
        run_until_stopped(_serve(settings.model_copy(update=own)))
        return
    raise SystemExit(_supervise(settings.workers))


def _supervise(workers: int) -> int:
    """Start the workers, pass stop signals on, end all when one ends; returns the exit code."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "app"],
            env={**os.environ, "VITRINE_WORKER_INDEX": str(index)},
        )
        for index in range(workers)
    ]

    def stop(*_: object) -> None:
        for process in processes:
            process.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    _, status = os.wait()  # whichever ends first ends all: a half-alive shop is hard to notice
    stop()
    codes = [process.wait() for process in processes]
    return os.waitstatus_to_exitcode(status) or max(codes)
