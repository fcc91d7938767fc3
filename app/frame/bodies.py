"""A body that announces itself as too large is refused before it is read, as a problem document.

Starlette's own limit answers such a request in plain text, whatever our handlers say; it still
guards bodies that do not announce their size.
"""

from __future__ import annotations

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from app.frame.problems import MEDIA_TYPE, OUTCOME
from telemetry.catalogue.outcomes import Outcome


class BodyLimit:
    """ASGI middleware: 413 for a `content-length` over `most_bytes`."""

    def __init__(self, app: ASGIApp, *, most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _announced(scope) > self._most_bytes:
            await self._refuse(scope, send)
        else:
            await self._app(scope, receive, send)

    async def _refuse(self, scope: Scope, send: Send) -> None:
        scope[OUTCOME] = Outcome.INVALID
        body = orjson.dumps(
            {
                "type": "/problems/too-large",
                "title": "The request is too large",
                "status": 413,
                "detail": f"At most {self._most_bytes} bytes are read; send it in parts.",
                "instance": scope["path"],
            }
        )
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
