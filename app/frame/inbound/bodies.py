"""How long a body may be, and how long it may take: said here once for every kind of route.

A body that announces itself as too large is refused before it is read; one that does not is counted
while it is read. It is read before anything else is done for its request, so that who does not
send it takes nobody's place; only a feed, whose sender shows a key first, is read by its route.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.frame.inbound.edge import refuse
from app.frame.inbound.problems import HTTP_ERRORS

FORM_BYTES: Final = 64 * 1024
"""What people and programs send: forms, orders, beacons."""

WEBHOOK_BYTES: Final = 1024 * 1024
"""A provider's event may carry whole objects that we do not read."""

FEED_BYTES: Final = 96 * 1024 * 1024
"""A dealer's stock of 30,000 cars fits, with rows as long as Google's format makes them (3 kB)."""

BYTES_IN_TIME: Final = 512 * 1024
"""What fits into a body's time; a route that allows more gives as much more time."""

BODY_SECONDS: Final = "vitrine.body_seconds"
"""Scope key: the seconds that this request's body has, for whoever watches the connection."""

LATE: Final = "vitrine.late"
"""Scope key, set by whoever watches the connection: the body did not come in time."""

LATEST_SECONDS: Final = 60
"""For a body that nobody here waits for: an internal port's, or one of an unfinished pipeline."""

CLOSE: Final = {"connection": "close"}


class BodyLimit:
    """ASGI middleware: 413 for a body over `FORM_BYTES`, or over what `larger` says by prefix.

    And 408 for one that takes longer than `seconds`, or as much more as it may be larger.
    """

    def __init__(
        self, app: ASGIApp, *, seconds: float = 5.0, larger: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._seconds = seconds
        self._larger = dict(larger or {})

    def most(self, path: str) -> int:
        for prefix, most in self._larger.items():
            if path.startswith(prefix):
                return most
        return FORM_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = _announced(scope)
        if announced == 0:
            await self._app(scope, receive, send)
            return
        most = self.most(scope["path"])
        scope[BODY_SECONDS] = self._seconds * max(1.0, most / BYTES_IN_TIME)
        if announced is not None and announced > most:
            # The connection is kept: the server reads what still comes and throws it away. Closed
            # under a caller who is still sending, it would lose this answer.
            await _refuse(scope, send, _too_large(most))
            return
        bounded = _bounded(scope, receive, most)
        if most > WEBHOOK_BYTES:
            await self._app(scope, bounded, send)
            return
        try:
            whole = await read_whole(bounded)
        except HTTPException as error:  # read outside of the framework
            await _refuse(scope, send, error)
            return
        if whole["type"] == "http.request":  # else the caller has gone
            await self._app(scope, _then(whole, receive), send)


async def _refuse(scope: Scope, send: Send, error: HTTPException) -> None:
    code, title = HTTP_ERRORS[error.status_code]
    await refuse(scope, send, error.status_code, code, title, error.detail, error.headers)


def _too_large(most: int) -> HTTPException:
    how = "send less" if most == FORM_BYTES else "compress or shorten it, and send it whole"
    return HTTPException(413, f"At most {most} bytes are read: {how}.")


def _announced(scope: Scope) -> int | None:
    """The announced length; 0 without a body, None when the length is not said."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
        if name == b"transfer-encoding":
            return None
    return 0


def _bounded(scope: Scope, receive: Receive, most: int) -> Receive:
    """`receive` that raises when the body is too large, or late."""
    total = 0

    async def bounded() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > most:
            raise _too_large(most)
        if LATE in scope and message.get("more_body"):
            seconds = scope[BODY_SECONDS]
            raise HTTPException(408, f"body: not whole within {seconds:g} seconds.", CLOSE)
        return message

    return bounded


async def read_whole(receive: Receive) -> Message:
    """A body in one message; or the message that its caller has gone."""
    message = await receive()
    if not message.get("more_body"):
        return message
    parts = [message["body"]]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return {**message, "body": b"".join(parts)}


def _then(first: Message, receive: Receive) -> Receive:
    """`first`, and then what follows it."""
    message: Message | None = first

    async def again() -> Message:
        nonlocal message
        if message is None:
            return await receive()
        given, message = message, None
        return given

    return again
