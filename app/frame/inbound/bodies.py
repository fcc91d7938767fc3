"""How long a body may be: said here once for every kind of route, and by the gateway alike.

A body that announces itself as too large is refused before it is read; one that does not is counted
while it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.frame.inbound.edge import refuse

FORM_BYTES: Final = 64 * 1024
"""What people and programs send: forms, orders, beacons."""

WEBHOOK_BYTES: Final = 1024 * 1024
"""A provider's event may carry whole objects that we do not read."""

FEED_BYTES: Final = 8 * 1024 * 1024
"""A dealer's stock of 30,000 cars fits."""


class BodyLimit:
    """ASGI middleware: 413 for a body over `FORM_BYTES`, or over what `larger` says by prefix."""

    def __init__(self, app: ASGIApp, *, larger: Mapping[str, int] | None = None) -> None:
        self._app = app
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
        most, announced = self.most(scope["path"]), _announced(scope)
        if announced is None:
            try:
                await self._app(scope, _counted(receive, most), send)
            except HTTPException as error:  # read outside of the framework
                await _refuse(scope, send, error.detail)
        elif announced > most:
            # The connection is kept: the server reads what still comes and throws it away. Closed
            # under a caller who is still sending, it would lose this answer.
            await _refuse(scope, send, _advice(most))
        else:
            await self._app(scope, receive, send)


async def _refuse(scope: Scope, send: Send, detail: str) -> None:
    await refuse(scope, send, 413, "too-large", "The request is too large", detail)


def _advice(most: int) -> str:
    how = "send less" if most == FORM_BYTES else "compress or shorten it, and send it whole"
    return f"At most {most} bytes are read: {how}."


def _announced(scope: Scope) -> int | None:
    """The announced length; 0 without a body, None when the length is not said."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
        if name == b"transfer-encoding":
            return None
    return 0


def _counted(receive: Receive, most: int) -> Receive:
    total = 0

    async def counting() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > most:
            raise HTTPException(413, _advice(most))
        return message

    return counting
