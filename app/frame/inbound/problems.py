"""Errors as RFC 9457 problem documents, mapped in this one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from opentelemetry import trace
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match

from app.kernel.errors import NOT_AN_IDENTIFIER, NotFound, VitrineError
from telemetry.asgi import OUTCOME_KEY
from telemetry.catalogue.outcomes import Outcome

MEDIA_TYPE: Final = "application/problem+json"
OUTCOME: Final = OUTCOME_KEY


def problem(
    request: Request,
    *,
    code: str,
    title: str,
    status: int,
    detail: str,
    outcome: Outcome,
    extensions: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response for one problem; also tells telemetry how bad it is."""
    request.scope[OUTCOME] = outcome
    extensions = extensions or {}
    headers = dict(headers or {})
    if "retry_after_seconds" in extensions:
        headers["retry-after"] = str(extensions["retry_after_seconds"])
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(
        problem_body(request.url.path, code, title, status, detail, extensions),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def problem_body(
    instance: str,
    code: str,
    title: str,
    status: int,
    detail: str,
    extensions: Mapping[str, Any],
) -> bytes:
    span = trace.get_current_span().get_span_context()
    return orjson.dumps(
        {
            "type": f"/problems/{code}",
            "title": title,
            "status": status,
            "detail": detail,
            "instance": instance,
            "trace_id": f"{span.trace_id:032x}" if span.is_valid else None,
            **extensions,
        }
    )


def of_error(request: Request, error: VitrineError) -> Response:
    return problem(
        request,
        code=error.code,
        title=error.title,
        status=error.status,
        detail=error.detail,
        outcome=error.outcome,
        extensions=error.extensions,
    )


async def of_any(request: Request, error: Exception) -> Response:
    """The answer of the application's handler for this kind of error."""
    handlers = request.app.exception_handlers
    handler = next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)
    answer: Response = await handler(request, error)
    return answer


def of_fault(request: Request) -> Response:
    """The answer to a request that failed for a reason that nobody foresaw."""
    return problem(
        request,
        code="fault",
        title="Something went wrong on our side",
        status=500,
        detail="The request failed on our side; nothing is known to have been changed.",
        outcome=Outcome.FAULT,
    )


HTTP_ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("malformed-request", "The request could not be read"),
    404: ("not-found", "There is nothing at this address"),
    405: ("method-not-allowed", "This method is not offered here"),
    408: ("too-slow", "The request came too slowly"),
    413: ("too-large", "The request is too large"),
}
"""Code and title of errors that the framework finds itself."""


def install(app: FastAPI) -> None:
    """Answer every error of this application with a problem document."""

    @app.exception_handler(VitrineError)
    async def business(request: Request, error: VitrineError) -> Response:
        return of_error(request, error)

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> Response:
        if leads_nowhere(request, error):
            nowhere = "There is nothing at this address: no identifier looks like it."
            return await of_any(request, NotFound(nowhere))
        errors = [_field_error(item) for item in error.errors()]
        malformed = any(_cannot_be_read(item) for item in error.errors())
        return problem(
            request,
            code="malformed-request" if malformed else "invalid-input",
            title=(
                "The request could not be read"
                if malformed
                else "The request has a value that is not valid"
            ),
            status=400 if malformed else 422,
            detail="; ".join(f"{item['field']}: {item['message']}" for item in errors[:5]),
            outcome=Outcome.INVALID,
            extensions={"errors": errors},
        )

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        if (answer := of_address(request, error)) is not None:
            return answer
        code, title = HTTP_ERRORS.get(
            error.status_code, ("http-error", "The request could not be answered")
        )
        unread = [{"field": "body", "in": "body", "message": str(error.detail)}]
        return problem(
            request,
            code=code,
            title=title,
            status=error.status_code,
            detail=f"body: {error.detail}" if error.status_code == 400 else str(error.detail),
            extensions={"errors": unread} if error.status_code == 400 else {},
            outcome=Outcome.from_status(error.status_code),
            headers={"allow": allowed(request)} if error.status_code == 405 else error.headers,
        )

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        return of_fault(request)


def leads_nowhere(request: Request, error: RequestValidationError) -> bool:
    """Whether nothing can be at the address itself: it has what cannot be an identifier.

    A name that a caller may choose (of a feed's source) is judged as a value instead.
    """
    return any(
        each["loc"][0] == "path" and (request.method == "GET" or each["type"] == NOT_AN_IDENTIFIER)
        for each in error.errors()
    )


def allowed(request: Request) -> str:
    """The methods that the request's address answers to; empty when it has none."""
    found = {
        method
        for route in iter_route_contexts(request.app.routes)
        if route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
    more = {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())
    return ", ".join(sorted(found | more)) if found else ""


def of_address(request: Request, error: HTTPException) -> Response | None:
    """The answer to a request whose address is right but for its end, or that asks what it offers.

    The framework would redirect to whatever the Host header says; here the address stays ours.
    """
    path = request.scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1")
    tidy = path.rstrip("/")
    if error.status_code == 405 and request.method == "OPTIONS":
        return Response(status_code=204, headers={"allow": allowed(request)})
    if error.status_code == 404 and tidy != path and tidy and not tidy.startswith("//"):
        scope = {**request.scope, "path": request.url.path.rstrip("/")}
        if any(r.matches(scope)[0] is Match.FULL for r in iter_route_contexts(request.app.routes)):
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"{tidy}{query}", 307)
    return None


def _field_error(error: Mapping[str, Any]) -> dict[str, str]:
    location = [str(part) for part in error["loc"]]
    return {
        "field": ".".join(location[1:]) or location[0],
        "in": location[0],
        "message": str(error["msg"]),
    }


def _cannot_be_read(error: Mapping[str, Any]) -> bool:
    kind, place = str(error["type"]), str(error["loc"][0])
    if isinstance(error.get("input"), bytes):  # a body that was not sent as application/json
        return True
    return kind == "json_invalid" or (kind == "missing" and place == "header")
