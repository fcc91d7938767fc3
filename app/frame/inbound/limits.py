"""How much one caller may ask for in a minute, in one place for every service.

Counted by session first, then by network (`networks.network_of`) with a much higher budget: behind
one address may be a whole town's phones. Counted in this process: with n of them a caller may do n
times as much. That is enough against a runaway client; a flood from many networks is for whatever
stands in front. Rehearsals are not limited.
"""

from __future__ import annotations

import math
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.frame.inbound import problems
from app.frame.inbound.callers import CALLER, Caller, caller_of
from app.frame.inbound.overload import route_of
from app.frame.platform import Platform
from app.frame.settings import Budgets
from app.kernel.clock import Clock
from app.kernel.errors import VitrineError
from telemetry.bootstrap import Telemetry
from telemetry.catalogue.frame import REQUESTS_LIMITED, LimitedBy, LimitedKind
from telemetry.catalogue.outcomes import Outcome
from telemetry.routes import ROUTE_KEY

WINDOW_SECONDS: Final = 60.0
KEPT: Final = 20_000
"""Counters of one kind before room is made; a few megabytes."""

READING: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Safe methods (RFC 9110, section 9.2.1): they change nothing."""


class TooManyRequests(VitrineError):
    """From one caller in one minute; `retry_after_seconds` says when the next minute begins."""

    code, title = "too-many-requests", "Too many requests from this caller"
    outcome, status = Outcome.REFUSED, 429


class Counters:
    """Counts by who, each in a window of a minute that begins with its first count."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counted: dict[str, tuple[int, float]] = {}
        """How many, and when the window ends (Unix seconds)."""

    def __len__(self) -> int:
        return len(self._counted)

    def wait(self, who: str, most: int, cost: int = 1) -> float:
        """Count `cost`; 0 when it is within `most`, else the seconds until the window ends."""
        now = self._clock.now().timestamp()
        count, ends_at = self._counted.get(who, (0, 0.0))
        if ends_at <= now:
            if len(self._counted) >= KEPT:
                self._make_room(now)
            count, ends_at = 0, now + WINDOW_SECONDS
        self._counted[who] = (count + cost, ends_at)
        return 0.0 if count + cost <= most else ends_at - now

    def _make_room(self, now: float) -> None:
        """Forget whose minute is over, else those who asked least: no crowd hides a runaway."""
        running = {who: each for who, each in self._counted.items() if each[1] > now}
        if len(running) > KEPT // 2:
            most = sorted(running.items(), key=lambda item: item[1][0], reverse=True)
            running = dict(most[: KEPT // 2])
        self._counted = running


class Limits:
    """The limits of one service. Each kind of thing is counted for itself."""

    def __init__(self, budgets: Budgets, telemetry: Telemetry, clock: Clock) -> None:
        self._budgets = budgets
        self._clock = clock
        self._limited = telemetry.instruments.counter(REQUESTS_LIMITED)
        self._counters: dict[tuple[LimitedKind, LimitedBy], Counters] = {}

    def admit(self, caller: Caller) -> None:
        """Count one change; raises `TooManyRequests` when it is one too many."""
        budgets = self._budgets
        bot = caller.traffic == "bot"
        if caller.session_id:
            most = budgets.requests_per_bot if bot else budgets.requests_per_session
            self.require("changes", "session", caller, most)
        most = budgets.requests_per_bot if bot else budgets.requests_per_address
        self.require("changes", "address", caller, most)

    def require(
        self, kind: LimitedKind, by: LimitedBy, caller: Caller, most: int, cost: int = 1
    ) -> None:
        """Raises `TooManyRequests` when `cost` more is over `most` a minute."""
        wait = self._wait(kind, by, caller, most, cost)
        if wait:
            raise TooManyRequests(
                f"This {by} has asked for more than {most} {kind} in a minute.",
                retry_after_seconds=max(1, math.ceil(wait)),
            )

    def allow(self, kind: LimitedKind, by: LimitedBy, caller: Caller, most: int) -> bool:
        """Whether one more is within `most` a minute; it is counted either way."""
        return not self._wait(kind, by, caller, most, 1)

    def _wait(
        self, kind: LimitedKind, by: LimitedBy, caller: Caller, most: int, cost: int
    ) -> float:
        if caller.synthetic:
            return 0.0
        counters = self._counters.get((kind, by))
        if counters is None:
            counters = self._counters[kind, by] = Counters(self._clock)
        # What robots ask for takes nothing from the people at their address.
        robots = "bot " if caller.traffic == "bot" else ""
        who = caller.session_id if by == "session" else caller.address_hash
        wait = counters.wait(robots + who, most, cost)
        if wait:
            self._limited.inc(kind=kind, limited_by=by, traffic=caller.traffic)
        return wait


def limits_of(service: str, platform: Platform, telemetry: Telemetry) -> Limits:
    """The limits of a service, by the budgets that its environment gives it."""
    return Limits(platform.budgets(service), telemetry, platform.clock)


class Limited:
    """ASGI middleware: counts every request that may change something, and refuses too many.

    `unlimited` are path prefixes of those that prove themselves by a signature or a key: providers
    and neighbours. The refusal is the application's own answer to an error.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, api: FastAPI, *, unlimited: tuple[str, ...] = ()
    ) -> None:
        self._app = app
        self._limits = limits
        self._api = api
        self._unlimited = unlimited

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] not in READING
            and not scope["path"].startswith(self._unlimited)
        ):
            scope["app"] = self._api
            request = Request(scope, receive)
            caller = scope[CALLER] = caller_of(request)
            try:
                self._limits.admit(caller)
            except TooManyRequests as error:
                scope[ROUTE_KEY] = route_of(self._api.routes, scope)
                response = await problems.of_any(request, error)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
