"""What stands around every service: who may ask at all, HEAD, and an answer whatever happens.

A connection from the gateway carries one shopper's request after another's. What goes wrong with
one of them is told in an answer and does not end the connection unannounced: the next shopper's
request, already on its way, would be lost with it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.frame.data.patience import PATIENCE, Patience
from app.frame.inbound.problems import MEDIA_TYPE, OUTCOME, problem_body
from telemetry.catalogue.outcomes import Outcome

MOST_HEADER_BYTES: Final = 32 * 1024
"""The gateway takes four lines of 8 KiB: nobody is refused here whom it lets through."""

MOST_COOKIE_BYTES: Final = 4096
"""What a browser keeps of one cookie. Others' cookies on our host are nothing to us beyond it."""

OURS: Final = (b"vitrine_", b"__Host-vitrine_")
"""How the names of all our cookies begin. None of them has a backslash."""

HEAD: Final = "vitrine.head"
"""Scope key of a request for the headers only: it is answered as GET, and nothing is counted."""

METHODS: Final = "GET, HEAD, POST, DELETE, OPTIONS"
_log = logging.getLogger("uvicorn.error")


SAFE: Final = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
)
"""What an API's answer says to a browser that is made to show it."""


class Answered:
    """ASGI middleware: an exception after a complete answer ends here; the server need not know.

    It was logged by the telemetry (whose mark keeps it from being logged twice). Half an answer
    is still the server's: closing the connection is then the only way to say so. Answers of an
    API are `SAFE`, unless they say something else themselves. For its database a request waits
    `database_seconds` in all.
    """

    def __init__(self, app: ASGIApp, *, database_seconds: float) -> None:
        self._app = app
        self._database_seconds = database_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        complete = False
        patience = PATIENCE.set(Patience(self._database_seconds))
        api = scope.get("path", "").startswith(("/api/", "/sandbox/"))

        async def noting(message: Message) -> None:
            nonlocal complete
            if api and message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                said = {name for name, _ in headers}
                headers += [header for header in SAFE if header[0] not in said]
                message = {**message, "headers": headers}
            await send(message)
            complete = message["type"] == "http.response.body" and not message.get("more_body")

        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            if not complete:
                raise
            _log.error("a request failed after its answer", exc_info=error)
        finally:
            PATIENCE.reset(patience)


class WellFormed:
    """ASGI middleware: one Host (RFC 9112, 3.2), headers of a sane size, HEAD wherever GET is.

    Quoted cookies with backslashes take some Pythons' `http.cookies` a time that grows with the
    square of their length (CVE-2024-7592), so they are dropped, whatever the Python.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        hosts = size = 0
        odd_cookies = False
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            hosts += name == b"host"
            if name == b"cookie" and (b"\\" in value or len(value) > MOST_COOKIE_BYTES):
                odd_cookies = True
        if odd_cookies:
            scope["headers"] = [_ours(*header) for header in scope["headers"]]
        if size + len(scope.get("query_string", b"")) > MOST_HEADER_BYTES:
            detail = (
                f"headers: at most {MOST_HEADER_BYTES} bytes are read; are there large cookies?"
            )
            await refuse(scope, send, 431, "too-large", "The request is too large", detail)
        elif hosts > 1 or (hosts == 0 and scope.get("http_version") != "1.0"):
            detail = "host: must be sent exactly once."
            await refuse(
                scope, send, 400, "malformed-request", "The request could not be read", detail
            )
        elif scope["method"] == "OPTIONS" and not scope["path"].startswith("/"):
            headers = [(b"allow", METHODS.encode())]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        elif scope["method"] == "HEAD":
            await self._headers_only(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _headers_only(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As GET; what follows the headers is not sent."""
        scope["method"], scope[HEAD] = "GET", True
        started = False

        async def start(message: Message) -> None:
            nonlocal started
            if started or message["type"] != "http.response.start":
                return
            started, scope["method"] = True, "HEAD"  # the server asks the scope what to send
            await send(message)
            await send({"type": "http.response.body", "body": b""})

        await self._app(scope, receive, start)


def _ours(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header as it is; of cookies only our own."""
    if name != b"cookie":
        return name, value
    each = (cookie.strip() for cookie in value.split(b";"))
    return name, b"; ".join(c for c in each if c.startswith(OURS) and b"\\" not in c)


async def refuse(
    scope: Scope,
    send: Send,
    status: int,
    code: str,
    title: str,
    detail: str,
    more: Mapping[str, str] | None = None,
) -> None:
    """A problem document from outside the framework, with `more` headers."""
    scope[OUTCOME] = Outcome.INVALID
    body = problem_body(scope["path"], code, title, status, detail, {})
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.encode(), value.encode()) for name, value in (more or {}).items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
