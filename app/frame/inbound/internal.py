"""The internal port: metrics, health, the outbox; never routed by the gateway."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.frame.data.outbox import Outbox
from app.frame.inbound import problems
from app.frame.platform import Platform
from app.kernel.errors import VitrineError
from telemetry.negotiation import wants_gzip

Check = Callable[[], Awaitable[object]]


def internal_app(
    name: str,
    platform: Platform,
    *,
    outbox: Outbox | None,
    router: APIRouter | None,
    ready: Sequence[Check],
) -> FastAPI:
    """The internal application of one service."""
    app = FastAPI(
        title=f"{name} (internal)",
        openapi_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.platform = platform
    problems.install(app)

    add_health(app, platform, {name: ready})
    if outbox is not None:
        _add_outbox(app, name, outbox)
    if router is not None:
        app.include_router(router, prefix=f"/internal/{name}")
    return app


def add_health(app: FastAPI, platform: Platform, checks: Mapping[str, Sequence[Check]]) -> None:
    """Metrics of the process, liveness, and readiness of its services."""

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        # Rendering some thousand series takes a tenth of a second: not on the event loop.
        body, content_type = await asyncio.to_thread(
            platform.registry.exposition, request.headers.get("accept", "")
        )
        headers = {"content-type": content_type, "vary": "accept, accept-encoding"}
        if wants_gzip(request.headers.get("accept-encoding", "")):
            # A tenth of the page; the fastest level takes most of it.
            body = await asyncio.to_thread(gzip.compress, body, 1)
            headers["content-encoding"] = "gzip"
        return Response(body, headers=headers)

    @app.get("/health/live")
    async def live() -> PlainTextResponse:
        return PlainTextResponse("live\n")

    @app.get("/health/ready")
    async def ready() -> JSONResponse:
        return await readiness(checks)


async def readiness(checks: Mapping[str, Sequence[Check]]) -> JSONResponse:
    """200 when every check passes, else 503 with what is wrong, by service."""
    wrong = await what_is_wrong(checks)
    return JSONResponse({"ready": not wrong, "problems": wrong}, status_code=503 if wrong else 200)


async def what_is_wrong(checks: Mapping[str, Sequence[Check]]) -> dict[str, str]:
    """Why each service is not ready; empty when all are."""
    wrong: dict[str, str] = {}
    for service, service_checks in checks.items():
        for check in service_checks:
            try:
                await check()
            except VitrineError as error:
                wrong[service] = error.detail
            except Exception as error:  # noqa: BLE001 - a check that breaks means not ready
                wrong[service] = f"{type(error).__name__}: the check itself failed"
    return wrong


def _add_outbox(app: FastAPI, name: str, outbox: Outbox) -> None:
    @app.get(f"/internal/{name}/events")
    async def events(
        consumer: Annotated[str, Query(min_length=1, max_length=40)],
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 500,
    ) -> dict[str, Any]:
        """Events over `after`; asking also says that everything up to `after` is stored."""
        found = await outbox.serve(consumer, after=after, limit=limit)
        return {"items": [event.to_wire() for event in found]}


class InternalRouter:
    """Embedded mode's one internal port: `/internal/<service>/…` to that service."""

    def __init__(self, services: Mapping[str, ASGIApp], health: ASGIApp) -> None:
        self._services = services
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = scope.get("path", "").split("/", 3)
        chosen = self._services.get(parts[2]) if parts[1:2] == ["internal"] and parts[2:] else None
        await (chosen or self._health)(scope, receive, send)
