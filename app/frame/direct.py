"""The direct way to a route: for the few requests that a service mostly gets.

The framework's way from its edge to a route function costs as much as the function: eight
middlewares, the search for the route, its dependencies (docs/decisions/0008). A direct route is
found by its method and address; whatever is not the common case goes the framework's way, with the
body that was read, so that there is one place for every refusal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import FastAPI
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.frame import problems
from app.kernel.errors import VitrineError
from telemetry.routes import ROUTE_KEY

MOST_BYTES: Final = 64 * 1024
"""A longer body is not the common case."""

Answering = Callable[[Request, bytes], Awaitable[Response] | None]
"""Answers a request with its body; None sends it the framework's way."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class DirectRoute:
    """`path` is the address as requested, `template` the route that it stands for."""

    path: str
    template: str
    answer: Answering
    method: str = "POST"


def taking(model: type[Model], endpoint: Callable[..., Awaitable[Response]]) -> Answering:
    """A route function of FastAPI's (request, valid body, Idempotency-Key), called directly."""

    def answer(request: Request, body: bytes) -> Awaitable[Response] | None:
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind.strip().lower() != "application/json":
            return None
        try:
            valid = model.model_validate_json(body)
        except ValidationError:
            return None
        return endpoint(request, valid, request.headers.get("idempotency-key"))

    return answer


class DirectRoutes:
    """ASGI application: `routes` directly, everything else by `api`."""

    def __init__(self, api: FastAPI, routes: tuple[DirectRoute, ...]) -> None:
        self._api = api
        self._routes: Mapping[tuple[str, str], DirectRoute] = {
            (route.method, route.path): route for route in routes
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._routes.get((scope.get("method", ""), scope.get("path", "")))
        if found is None:
            await self._api(scope, receive, send)
            return
        read = await _read(receive)
        if read is None:
            scope[ROUTE_KEY] = found.template
            return  # the caller has gone
        body, complete = read
        scope["app"] = self._api
        request = Request(scope, receive)
        answering = found.answer(request, body) if complete else None
        if answering is None:
            await self._api(scope, _again(body, receive, complete=complete), send)
            return
        scope[ROUTE_KEY] = found.template
        try:
            response = await answering
        except VitrineError as error:
            response = problems.of_error(request, error)
        except Exception:
            await problems.of_fault(request)(scope, receive, send)
            raise  # the edge tells of it
        await response(scope, receive, send)


async def _read(receive: Receive) -> tuple[bytes, bool] | None:
    """The body, and whether it is complete: one that is too long is not read to its end."""
    message = await receive()
    if message["type"] != "http.request":
        return None
    body: bytes = message.get("body", b"")
    more = message.get("more_body", False)
    while more and len(body) <= MOST_BYTES:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body, not more


def _again(body: bytes, receive: Receive, *, complete: bool) -> Receive:
    """What was read, and then what else comes."""
    first: dict[str, Any] | None = {
        "type": "http.request",
        "body": body,
        "more_body": not complete,
    }

    async def replay() -> Message:
        nonlocal first
        if first is None:
            return await receive()
        message, first = first, None
        return message

    return replay


def straight(api: FastAPI, routes: tuple[DirectRoute, ...]) -> ASGIApp:
    """The application itself when it has no direct routes."""
    return DirectRoutes(api, routes) if routes else api
