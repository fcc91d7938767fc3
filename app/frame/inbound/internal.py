"""The internal port: metrics, health, the outbox; never routed by the gateway.

Who may ask here at all is `frame.inbound.private`'s to say.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.frame.data.outbox import Mark, Outbox
from app.frame.inbound import problems
from app.frame.inbound.private import ASKS, Private, Refused
from app.frame.platform import Platform
from app.kernel.errors import NotAuthorised, VitrineError
from telemetry.catalogue.labels import SERVICES
from telemetry.negotiation import wants_gzip

Check = Callable[[], Awaitable[object]]


def internal_app(
    name: str,
    platform: Platform,
    *,
    outbox: Outbox | None,
    router: APIRouter | None,
    ready: Sequence[Check],
    warn: Sequence[Check] = (),
    keys: Mapping[str, str] | None = None,
    refused: Refused = lambda why: None,
) -> ASGIApp:
    """The internal application of one service; `keys` and `refused` are `Private`'s."""
    app = FastAPI(
        title=f"{name} (internal)",
        openapi_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.platform = platform
    problems.install(app)

    add_health(app, platform, {name: ready}, {name: warn})
    if outbox is not None:
        _add_outbox(app, name, outbox)
    if router is not None:
        app.include_router(router, prefix=f"/internal/{name}")
    return Private(app, platform, keys=keys, refused=refused)


def add_health(
    app: FastAPI,
    platform: Platform,
    checks: Mapping[str, Sequence[Check]],
    warnings: Mapping[str, Sequence[Check]],
) -> None:
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
        return await readiness(checks, warnings)


async def readiness(
    checks: Mapping[str, Sequence[Check]], warnings: Mapping[str, Sequence[Check]]
) -> JSONResponse:
    """200 when every check passes, else 503 with what is wrong, by service.

    What somebody must look at, but keeps nobody from buying, is a warning.
    """
    wrong = await what_is_wrong(checks)
    doubtful = {} if wrong else await what_is_wrong(warnings)
    body = {"ready": not wrong, "problems": wrong, **({"warnings": doubtful} if doubtful else {})}
    return JSONResponse(body, status_code=503 if wrong else 200)


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


class Acknowledgement(BaseModel):
    """Up to where a consumer has stored everything, and which event it read there."""

    position: Annotated[int, Field(ge=0, lt=1 << 63)]
    last: Annotated[str, Field(max_length=80)] | None = None
    epoch: Annotated[str, Field(max_length=40)] | None = None


def _add_outbox(app: FastAPI, name: str, outbox: Outbox) -> None:
    @app.get(f"/internal/{name}/events")
    async def events(
        request: Request,
        after: Annotated[int, Query(ge=0, lt=1 << 63)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 500,
        last: Annotated[str | None, Query(max_length=80)] = None,
        epoch: Annotated[str | None, Query(max_length=40)] = None,
    ) -> dict[str, Any]:
        """Events over `after`, for a reader who says which event it read there (`last`).

        409 `history-differs` when that is not what stands there. Asking changes nothing.
        """
        mark = Mark(after, last, epoch)
        consumer = request.scope.get(ASKS) or ""
        found = await outbox.serve(mark, limit=limit, consumer=consumer)
        if "authorization" not in request.headers:  # of the version before, whose asking says it
            await outbox.acknowledge(consumer, mark)
        return {
            "items": [event.to_wire() for event in found.events],
            "epoch": found.epoch,
            "restated": found.restated,
        }

    @app.post(f"/internal/{name}/acknowledgements", status_code=204)
    async def acknowledge(request: Request, told: Acknowledgement) -> None:
        """A consumer has stored everything up to a position: what all have may be pruned."""
        consumer = request.scope.get(ASKS)
        if consumer not in SERVICES:
            raise NotAuthorised("only services consume facts")
        await outbox.acknowledge(consumer, Mark(told.position, told.last, told.epoch))


class InternalRouter:
    """Embedded mode's one internal port: `/internal/<service>/…` to that service."""

    def __init__(self, services: Mapping[str, ASGIApp], health: ASGIApp) -> None:
        self._services = services
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = scope.get("path", "").split("/", 3)
        chosen = self._services.get(parts[2]) if parts[1:2] == ["internal"] and parts[2:] else None
        await (chosen or self._health)(scope, receive, send)
