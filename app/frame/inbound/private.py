"""Who may ask on the internal port: whoever has the key of a name that we know.

A page in an operator's browser reaches this port too, under a name of its own that leads here (DNS
rebinding) or from its own origin. So the host must be a name or address of this network, and an
origin must be the host's own. `/metrics` and `/health` ask for no more than that.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from app.frame.inbound.edge import refuse
from app.frame.inbound.origins import is_local, origin_of
from app.frame.keys import OPERATOR, internal_key
from app.frame.platform import Platform
from app.kernel.errors import NotAuthorised, NotFound
from telemetry.catalogue.frame import RefusedFor
from telemetry.catalogue.labels import SERVICES
from telemetry.tracing import TraceMarks

ASKS: Final = "vitrine.asks"
"""Scope key: the name of who asks."""

Refused = Callable[[RefusedFor], None]


class Private:
    """ASGI middleware of the internal port.

    `keys` are those of programs that cannot make one: by the only path that each one opens.
    """

    def __init__(
        self,
        app: ASGIApp,
        platform: Platform,
        *,
        keys: Mapping[str, str] | None = None,
        refused: Refused = lambda why: None,
    ) -> None:
        self._app = app
        secret = platform.settings.session_key
        self._names = {internal_key(secret, name): name for name in (*SERVICES, OPERATOR)}
        self._keys = keys or {}
        self._marks = TraceMarks(platform.trace_key)
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            headers[name] = headers[name] + b", " + value if name in headers else value
        host = headers.get(b"host", b"").decode("latin-1")
        if host and not _is_ours(host):
            self._refused("host")
            detail = "host: must be a name or an address of this network."
            await refuse(scope, send, 421, "not-found", NotFound.title, detail)
        elif b"origin" in headers and headers[b"origin"].decode("latin-1") != f"http://{host}":
            self._refused("origin")
            detail = "origin: pages of other places do not ask here."
            title = "This form did not come from our own pages"
            await refuse(scope, send, 403, "foreign-form", title, detail)
        elif scope["path"].startswith("/internal/") and not self._knows(scope, headers):
            self._refused("key")
            detail = "The internal port opens to the services' own keys: see docs/on-call.md."
            await refuse(scope, send, 401, "not-authorised", NotAuthorised.title, detail)
        else:
            await self._app(scope, receive, send)

    def _knows(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        scheme, _, given = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if not given:
            return self._is_a_version_before(scope, headers)
        if scheme.lower() != "bearer":
            return False
        own = self._keys.get(scope["path"])
        if own is not None and _same(own, given):
            return True
        name = next((name for key, name in self._names.items() if _same(key, given)), None)
        scope[ASKS] = name
        return name is not None

    def _is_a_version_before(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        """During a roll-out: a service without a key reads events, and signs its trace context."""
        parent, state = (headers.get(name, b"") for name in (b"traceparent", b"tracestate"))
        if not scope["path"].endswith("/events") or not self._marks.vouch_for(
            parent.decode("latin-1"), state.decode("latin-1")
        ):
            return False
        (name,) = parse_qs(scope["query_string"].decode("latin-1")).get("consumer", [""])[:1]
        scope[ASKS] = name
        return name in SERVICES


def _is_ours(host: str) -> bool:
    found = origin_of(f"http://{host}")
    return found is not None and is_local(found[1])


def _same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(), given.encode())
