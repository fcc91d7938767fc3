"""Priority load shedding: when a service is full, what matters least is refused first.

Order: bots and beacons, then browsing, then advice, and never holds, checkout or
webhooks before everything else is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from app.frame.inbound.problems import MEDIA_TYPE, OUTCOME, problem_body
from app.kernel.errors import Overloaded
from telemetry.bootstrap import Telemetry
from telemetry.catalogue.frame import OVERLOAD_SHED
from telemetry.catalogue.http import UNMATCHED_ROUTE
from telemetry.catalogue.outcomes import Outcome
from telemetry.routes import ROUTE_KEY


class Priority(StrEnum):
    """What work is worth when not everything can be done; values as in the catalogue."""

    BOT = "bot"
    BACKGROUND = "background"
    BROWSE = "browse"
    ADVICE = "advice"
    CRITICAL = "critical"


SHARE: Final = {
    Priority.BOT: 0.5,
    Priority.BACKGROUND: 0.6,
    Priority.BROWSE: 0.75,
    Priority.ADVICE: 0.85,
    Priority.CRITICAL: 1.0,
}
"""Share of a service's places that requests of a priority may fill."""

RETRY_AFTER_SECONDS: Final = 2


class LoadShedder:
    """ASGI middleware: at most `places` requests at once, fewer for less important ones.

    `priorities` maps a path prefix to a priority; the longest match wins, BROWSE otherwise.
    `routes` are the application's, so that a refused request is counted under its own route.
    """

    def __init__(
        self,
        app: ASGIApp,
        telemetry: Telemetry,
        *,
        places: int,
        priorities: dict[str, Priority],
        routes: Sequence[BaseRoute] = (),
    ) -> None:
        self._app = app
        self._routes = routes
        self._shed = telemetry.instruments.counter(OVERLOAD_SHED)
        self._places = places
        self._active = 0
        self._priorities = sorted(priorities.items(), key=lambda item: -len(item[0]))

    def priority(self, path: str) -> Priority:
        for prefix, priority in self._priorities:
            if path.startswith(prefix):
                return priority
        return Priority.BROWSE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        priority = self.priority(scope["path"])
        if self._active >= self._places * SHARE[priority]:
            self._shed.inc(priority=priority.value)
            scope[ROUTE_KEY] = route_of(self._routes, scope)
            await _refuse(scope, send)
            return
        self._active += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._active -= 1


def route_of(routes: Sequence[BaseRoute], scope: Scope) -> str:
    """The template that would have answered, for whoever refuses before any route is asked."""
    for route in iter_route_contexts(routes):
        if route.matches(scope)[0] is Match.FULL:
            return str(route.path_format)
    return UNMATCHED_ROUTE


async def _refuse(scope: Scope, send: Send) -> None:
    scope[OUTCOME] = Outcome.SHED
    body = problem_body(
        scope["path"],
        Overloaded.code,
        Overloaded.title,
        Overloaded.status,
        "The shop is very busy. Please try again in a moment.",
        {"retry_after_seconds": RETRY_AFTER_SECONDS},
    )
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(RETRY_AFTER_SECONDS).encode()),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
