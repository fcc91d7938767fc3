"""The console's pages, behind its password."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, FastAPI, Form, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from app.contracts.wire import Identifier
from app.frame.inbound import problems
from app.frame.inbound.callers import caller_of
from app.frame.inbound.documentation import reference_page
from app.insight.console.boards import (
    ALL,
    RANGES,
    Window,
    expressions,
    list_boards,
    matrix,
    read_board,
)
from app.insight.console.doorkeeper import COOKIE_SECONDS
from app.insight.console.errors import ForeignExpression, OrderNotInLedger
from app.insight.console.journeys import Summary, journey, latest
from app.insight.console.page import HEADERS, TYPES, Console, safe_next, to_login
from app.insight.console.runbooks import read_runbook, runbook_names
from app.insight.settings import Whose, WindowName
from app.kernel.errors import NotAuthorised, NotFound, VitrineError
from telemetry.catalogue.labels import Service

FAILURE_SECONDS: Final = 0.4
"""What every wrong password waits; nobody who types notices, a program does."""

OPENAPI: Final[dict[Service, str]] = {
    "catalog": "/api/catalog/v1/openapi.json",
    "advisor": "/api/advisor/v1/openapi.json",
    "checkout": "/api/checkout/v1/openapi.json",
    "insight": "/api/insight/v1/openapi.json",
    "storefront": "/openapi.json",
    "sandbox": "/sandbox/openapi.json",
}
"""Where each service's document stands behind the gateway."""


class LoginNeeded(NotAuthorised):
    """A page was asked for without the console's password."""


def install(app: FastAPI, console: Console) -> None:
    """Add the console to the application, with its own way to show errors to people."""
    app.include_router(_open_router(console))
    app.include_router(_pages(console))
    app.include_router(_traces(console))
    app.include_router(_boards(console))

    @app.exception_handler(LoginNeeded)
    async def login_needed(request: Request, error: LoginNeeded) -> Response:
        request.scope[problems.OUTCOME] = error.outcome
        if _for_people(request):
            return to_login(request)
        answer = problems.of_error(request, error)
        answer.headers["www-authenticate"] = 'Basic realm="Vitrine console"'
        return answer

    @app.exception_handler(VitrineError)
    async def business(request: Request, error: VitrineError) -> Response:
        if not (request.url.path.startswith("/console") and _for_people(request)):
            return problems.of_error(request, error)
        request.scope[problems.OUTCOME] = error.outcome
        return console.page(request, "error.html", status=error.status, error=error)


def _for_people(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _guard(console: Console) -> Callable[[Request], Awaitable[None]]:
    async def guard(request: Request) -> None:
        """Let in whoever has the cookie or sends the password; raise `LoginNeeded` otherwise."""
        if await console.doorkeeper.knows(request.cookies):
            return
        header = request.headers.get("authorization")
        if header is not None:
            address = caller_of(request).address_hash
            if console.doorkeeper.admit_header(header, address):
                return
            console.signals.login(accepted=False)
            await asyncio.sleep(FAILURE_SECONDS)
        raise LoginNeeded("The console asks for its password.")

    return guard


def _open_router(console: Console) -> APIRouter:
    """What needs no password: the login itself and the bundled assets."""
    router = APIRouter(include_in_schema=False)

    @router.get("/console/login", name="console_login")
    async def login(request: Request, next: str = "/console") -> Response:  # noqa: A002 - the address's word
        return console.page(request, "login.html", next=safe_next(next), wrong=False)

    @router.post("/console/login")
    async def enter(
        request: Request,
        password: Annotated[str, Form(max_length=200)] = "",
        next: Annotated[str, Form(max_length=500)] = "/console",  # noqa: A002 - as above
    ) -> Response:
        target = safe_next(next)
        accepted = console.doorkeeper.admit(password, caller_of(request).address_hash)
        console.signals.login(accepted=accepted)
        if not accepted:
            await asyncio.sleep(FAILURE_SECONDS)
            return console.page(request, "login.html", status=401, next=target, wrong=True)
        answer = RedirectResponse(target, 303, headers=HEADERS)
        answer.set_cookie(
            console.doorkeeper.cookie_name,
            console.doorkeeper.cookie(),
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="strict",
            secure=console.doorkeeper.secure,
        )
        return answer

    @router.post("/console/logout")
    async def leave(request: Request) -> Response:
        await console.doorkeeper.end(request.cookies)
        answer = RedirectResponse("/console/login", 303, headers=HEADERS)
        answer.delete_cookie(
            console.doorkeeper.cookie_name,
            httponly=True,
            samesite="strict",
            secure=console.doorkeeper.secure,
        )
        return answer

    @router.get("/console/static/{name}")
    async def static(name: Identifier) -> Response:
        path = console.file(name)
        if path is None:
            raise NotFound("there is no such asset")
        # The name has the content's hash: what is cached is right for ever.
        cached = {"cache-control": "public, max-age=31536000, immutable"}
        return FileResponse(path, media_type=TYPES[path.suffix], headers=cached)

    return router


def _pages(console: Console) -> APIRouter:
    router = APIRouter(include_in_schema=False, dependencies=[Depends(_guard(console))])

    @router.get("/console/apis/{service}")
    async def api(service: Service) -> Response:
        return reference_page(
            f"Vitrine {service}",
            openapi=OPENAPI[service],
            script=console.asset("reference.js"),
            style=console.asset("reference.css"),
        )

    @router.get("/console")
    async def overview(
        request: Request, window: WindowName = "24h", traffic: Whose | None = None
    ) -> Response:
        chosen = traffic or console.settings.default_traffic
        made = await console.overviews.make(window=window, traffic=chosen)
        return console.page(request, "overview.html", view=made)

    @router.get("/console/orders")
    async def orders(request: Request, traffic: Whose = "all") -> Response:
        chosen = None if traffic == "all" else traffic
        found = await console.readings.last_orders(limit=200, traffic=chosen)
        return console.page(request, "orders.html", orders=found, traffic=traffic)

    @router.get("/console/orders/{order_id}")
    async def order(request: Request, order_id: Identifier) -> Response:
        found = await console.readings.last_orders(limit=1, order_id=order_id)
        if not found:
            raise OrderNotInLedger(
                "This order is not in the ledger. If it is only seconds old, look again."
            )
        told = await journey(console.traces, found[0].traces) if console.traces else None
        return console.page(
            request, "order.html", order=found[0], journey=told, trace_url=console.trace_url
        )

    @router.get("/console/alerts")
    async def alerts(request: Request) -> Response:
        return console.page(
            request,
            "alerts.html",
            active=await console.alerting.active(),
            history=await console.alerting.history(),
            runbooks=frozenset(runbook_names(console.settings.runbooks)),
        )

    @router.get("/console/runbooks")
    async def runbooks(request: Request) -> Response:
        names = runbook_names(console.settings.runbooks)
        return console.page(request, "runbooks.html", names=names)

    @router.get("/console/runbooks/{name}")
    async def runbook(request: Request, name: str) -> Response:
        found = read_runbook(console.settings.runbooks, name)
        history = [line for line in await console.alerting.history() if line.name == name]
        return console.page(request, "runbook.html", runbook=found, history=history[:10])

    return router


def _traces(console: Console) -> APIRouter:
    router = APIRouter(include_in_schema=False, dependencies=[Depends(_guard(console))])

    @router.get("/console/traces")
    async def traces(request: Request, only: Literal["all", "errors", "slow"] = "all") -> Response:
        found: list[Summary] = []
        if console.traces is not None:
            found = await asyncio.to_thread(
                latest,
                console.traces,
                only_errors=only == "errors",
                min_seconds=1.0 if only == "slow" else 0.0,
            )
        return console.page(
            request,
            "traces.html",
            traces=found,
            only=only,
            here=console.traces is not None,
            longest=max([0.001, *(one.duration_seconds for one in found)]),
        )

    @router.get("/console/traces/{trace_id}")
    async def trace(request: Request, trace_id: Identifier) -> Response:
        if console.traces is None:
            raise NotFound("Traces of this deployment are kept in its trace store, not here.")
        told = await journey(console.traces, [trace_id[:32]])
        if not told.story.chapters:
            raise NotFound(
                "This trace was not kept: it was neither slow nor faulty nor in the sample,"
                " or it is older than the store remembers."
            )
        return console.page(request, "trace.html", trace_id=trace_id, journey=told)

    return router


def _boards(console: Console) -> APIRouter:
    router = APIRouter(include_in_schema=False, dependencies=[Depends(_guard(console))])

    @router.get("/console/boards")
    async def boards(request: Request) -> Response:
        found = await asyncio.to_thread(list_boards, console.settings.boards)
        return console.page(
            request, "boards.html", boards=found, prometheus=console.prometheus.configured
        )

    @router.get("/console/boards/{name}")
    async def board(request: Request, name: str) -> Response:
        found = await asyncio.to_thread(read_board, console.settings.boards, name)
        at_first = console.settings.default_range
        range_name = request.query_params.get("range", at_first)
        chosen = {c.name: c.chosen for c in found.choices} | _chosen(request)
        if "var-traffic" not in request.query_params and "traffic" in chosen:
            whose = console.settings.default_traffic
            chosen["traffic"] = ALL if whose == "all" else whose
        return console.page(
            request,
            "board.html",
            board=found,
            ranges=tuple(RANGES),
            range_name=range_name if range_name in RANGES else at_first,
            chosen=chosen,
            prometheus=console.prometheus.configured,
        )

    @router.get("/console/boards/{name}/panels/{number}")
    async def panel(
        request: Request,
        name: str,
        number: int,
        range_name: Annotated[str, Query(alias="range")] = "1h",
    ) -> Response:
        """One panel's numbers. The browser names a panel; the query is the board's own."""
        if range_name not in RANGES:
            raise ForeignExpression(f"range: one of {', '.join(RANGES)}")
        foreign = [key for key in request.query_params if not _ours(key)]
        if foreign:
            raise ForeignExpression(f"only the board's own queries are asked, not {foreign[0]!r}")
        found = await asyncio.to_thread(read_board, console.settings.boards, name)
        chosen_panel = found.panel(number)
        seconds = RANGES[range_name]
        queries = expressions(found, chosen_panel, _chosen(request), seconds=seconds)
        window = Window.ending(console.clock.now(), seconds=seconds)
        answers = await asyncio.gather(*(console.prometheus.ask(q, window) for q in queries))
        body = matrix(list(zip(queries, answers, strict=True)), window)
        shown = {
            "kind": chosen_panel.kind,
            "unit": chosen_panel.unit,
            "decimals": chosen_panel.decimals,
            "stacked": chosen_panel.stacked,
            "minimum": chosen_panel.minimum,
            "maximum": chosen_panel.maximum,
            "thresholds": [asdict(step) for step in chosen_panel.thresholds],
        }
        return JSONResponse({**shown, **body}, headers={"cache-control": "no-store"})

    return router


def _ours(parameter: str) -> bool:
    return parameter == "range" or parameter.startswith("var-")


def _chosen(request: Request) -> dict[str, str]:
    return {
        key.removeprefix("var-"): value
        for key, value in request.query_params.items()
        if key.startswith("var-")
    }
