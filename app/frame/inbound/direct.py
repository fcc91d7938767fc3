"""The direct way to a route: for the few requests that a service mostly gets.

The framework's way from its edge to a route function costs as much as the function: eight
middlewares, the search for the route, its dependencies (docs/decisions/0008). A direct route is
found by its method and address and answers every request to them. The framework describes it
(OpenAPI), answers all other addresses, and its handlers turn the errors of both into answers.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.frame.inbound import problems
from app.frame.inbound.bodies import read_whole
from app.kernel.errors import VitrineError
from telemetry.routes import ROUTE_KEY

EXPECTED: Final = (VitrineError, RequestValidationError, HTTPException)
"""What has a handler of its own; everything else is a fault of ours."""

Answering = Callable[[Request, bytes], Awaitable[Response]]
"""Answers a request with its body."""

Model = TypeVar("Model", bound=BaseModel)

MISSING: Final = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}
"""The framework's error for no body."""


@dataclass(frozen=True, slots=True)
class DirectRoute:
    """`path` is the address as requested, `template` the route that it stands for."""

    path: str
    template: str
    answer: Answering
    method: str = "POST"


def taking(model: type[Model], endpoint: Callable[..., Awaitable[Response]]) -> Answering:
    """A route function of FastAPI's (request, valid body), called directly."""
    adapter = TypeAdapter(model)

    async def answer(request: Request, body: bytes) -> Response:
        readable = _is_json(request.headers.get("content-type", ""))
        try:
            valid = model.model_validate_json(body if readable else b"")
        except ValidationError:
            if not body:
                raise RequestValidationError([MISSING]) from None
            valid = _validated(adapter, _parsed(body) if readable else body)
        return await endpoint(request, valid)

    return answer


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return True
    return kind.startswith("application/") and kind.endswith("+json") and kind.count("/") == 1


def _parsed(body: bytes) -> Any:
    """The body's value; raises what the framework raises when it cannot be read."""
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        raise RequestValidationError(
            [
                {
                    "type": "json_invalid",
                    "loc": ("body", error.pos),
                    "msg": "JSON decode error",
                    "input": {},
                }
            ]
        ) from error
    except Exception as error:  # text in no encoding, or nested too deep
        raise HTTPException(400, "There was an error parsing the body") from error


def _validated(adapter: TypeAdapter[Model], value: Any) -> Model:
    """The valid body; raises what the framework raises when it is not."""
    try:
        return adapter.validate_python(value, from_attributes=True)
    except ValidationError as error:
        raise RequestValidationError(
            [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_url=False)]
        ) from error


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
        scope["app"] = self._api
        scope[ROUTE_KEY] = found.template
        whole = await read_whole(receive)
        if whole["type"] != "http.request":
            return  # the caller has gone
        request = Request(scope, receive)
        try:
            response = await found.answer(request, whole.get("body", b""))
        except Exception as error:
            response = await problems.of_any(request, error)
            if not isinstance(error, EXPECTED):
                await response(scope, receive, send)
                raise  # the edge tells of it
        await response(scope, receive, send)


def straight(api: FastAPI, routes: tuple[DirectRoute, ...]) -> ASGIApp:
    """The application itself when it has no direct routes."""
    return DirectRoutes(api, routes) if routes else api
