"""How many changes one caller may ask for in a minute: far more than a person needs.

Counted in this process: with several workers a caller may do as many times as much. That is enough
against a runaway client; a flood from many addresses is for whatever stands in front. Rehearsals
are not limited, and neither are the providers' webhooks and the internal port, which never come
here.
"""

from __future__ import annotations

import math
from typing import Final, Literal

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from app.checkout.errors import TooManyRequests
from app.checkout.settings import CheckoutSettings
from app.checkout.signals import Signals
from app.frame.inbound.callers import Caller
from app.kernel.clock import Clock

CALLERS_KEPT: Final = 20_000
"""Counters before those whose minute is over are forgotten; a few megabytes."""


class RequestLimits:
    """Counts each caller's changes by session and by network address (a keyed hash of it)."""

    def __init__(self, settings: CheckoutSettings, signals: Signals, clock: Clock) -> None:
        self._counters = _Counters(clock)
        self._limiter = FixedWindowRateLimiter(self._counters)
        self._signals = signals
        self._clock = clock
        self._of_session = RateLimitItemPerMinute(settings.requests_per_session)
        self._of_address = RateLimitItemPerMinute(settings.requests_per_address)
        self._of_bot = RateLimitItemPerMinute(settings.requests_per_bot)

    def admit(self, caller: Caller) -> None:
        """Count one change; raises `TooManyRequests` when it is one too many."""
        if caller.synthetic:
            return
        bot = caller.traffic == "bot"
        if caller.session_id:
            most = self._of_bot if bot else self._of_session
            self._hit(caller, most, "session", caller.session_id)
        most = self._of_bot if bot else self._of_address
        self._hit(caller, most, "address", caller.address_hash)

    def _hit(
        self, caller: Caller, most: RateLimitItem, by: Literal["session", "address"], who: str
    ) -> None:
        if self._limiter.hit(most, by, caller.traffic, who):
            return
        self._signals.rate_limited(by=by, traffic=caller.traffic)
        ends_at = self._limiter.get_window_stats(most, by, caller.traffic, who).reset_time
        raise TooManyRequests(
            f"This {by} has asked for more than {most.amount} changes in a minute.",
            retry_after_seconds=max(1, math.ceil(ends_at - self._clock.now().timestamp())),
        )


class _Counters(Storage):
    """Counters by caller, each for one window.

    The library's own storage in memory looks through all counters a hundred times a second, in
    threads of its own. This one looks when there are many.
    """

    STORAGE_SCHEME = None

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._counted: dict[str, tuple[int, float]] = {}
        """How many, and when the window ends (Unix seconds)."""

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        now = self._clock.now().timestamp()
        count, ends_at = self._counted.get(key, (0, 0.0))
        if ends_at <= now:
            self._make_room(now)
            count, ends_at = 0, now + expiry
        self._counted[key] = (count + amount, ends_at)
        return count + amount

    def get(self, key: str) -> int:
        count, ends_at = self._counted.get(key, (0, 0.0))
        return count if ends_at > self._clock.now().timestamp() else 0

    def get_expiry(self, key: str) -> float:
        return self._counted.get(key, (0, self._clock.now().timestamp()))[1]

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        forgotten = len(self._counted)
        self._counted.clear()
        return forgotten

    def clear(self, key: str) -> None:
        self._counted.pop(key, None)

    def _make_room(self, now: float) -> None:
        if len(self._counted) < CALLERS_KEPT:
            return
        self._counted = {key: value for key, value in self._counted.items() if value[1] > now}
        if len(self._counted) >= CALLERS_KEPT:
            self._counted.clear()  # so many callers in one minute are a flood, not people
