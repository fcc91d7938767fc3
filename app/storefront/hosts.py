"""One host for the shop: the cookies of `www.` are none of the bare name's."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

_WWW: Final = "www."


class OneHost:
    """ASGI middleware: who asks for a page at the public host's other spelling is sent there.

    The other spellings are with or without `www.`, and with a dot at the end. Any other host is
    served as it is: a health check asks by address.
    """

    def __init__(self, app: ASGIApp, *, public_url: str) -> None:
        self._app = app
        self._public = public_url.rstrip("/")
        self._host = urlsplit(self._public).hostname or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if not asks or not self._is_other_spelling(scope):
            await self._app(scope, receive, send)
            return
        path = scope.get("raw_path") or scope["path"].encode()
        query = scope.get("query_string", b"")
        address = self._public.encode() + path.partition(b"?")[0] + (b"?" + query if query else b"")
        headers = [(b"location", address), (b"cache-control", b"no-store")]
        headers.append((b"content-length", b"0"))
        await send({"type": "http.response.start", "status": 302, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _is_other_spelling(self, scope: Scope) -> bool:
        sent = next((value for name, value in scope["headers"] if name == b"host"), b"")
        try:
            host = urlsplit(f"//{sent.decode('latin-1')}").netloc.rpartition("@")[2].lower()
        except ValueError:
            return False
        host = host.partition(":")[0]
        bare = host.removesuffix(".").removeprefix(_WWW)
        return host != self._host and bare == self._host.removeprefix(_WWW)
