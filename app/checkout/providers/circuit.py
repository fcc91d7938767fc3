"""What keeps a provider in trouble from being asked in vain: a circuit breaker, a retry budget.

docs/decisions/0006-a-circuit-and-a-budget.md says why they are ours. Both belong to one event loop
and never wait. Sources: M. Nygard, "Release It!" (circuit breaker); gRPC proposal A6 and Google's
SRE book, chapter 22 (retries as a share of calls).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

from app.checkout.providers.protocol import NoAnswer

CircuitState = Literal["closed", "half_open", "open"]

FAILURES_TO_OPEN: Final = 5
"""In a row, counted by attempt: two calls that failed with their retries are enough."""

OPEN_SECONDS: Final = 5.0
LONGEST_OPEN_SECONDS: Final = 30.0
"""Each probe that fails doubles the pause up to this; a shopper waits no longer for a recovery."""

RETRY_SHARE: Final = 0.1
"""Extra calls per call, in the long run."""

RETRY_RESERVE: Final = 10.0
"""Retries saved up at most, so that a quiet shop may repeat at all."""


class CircuitOpen(Exception):
    """The provider is not asked now; `seconds` until it is tried again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the circuit is open for {seconds:.1f} s more")
        self.seconds = seconds


class Circuit:
    """Closed: every attempt passes. Open: none does. Half open: one does, and decides.

    `now` is a monotonic clock in seconds; `told` hears of every change of state.
    """

    def __init__(self, now: Callable[[], float], told: Callable[[CircuitState], None]) -> None:
        self._now = now
        self._told = told
        self.state: CircuitState = "closed"
        self._failures = 0
        self._pause = OPEN_SECONDS
        self._opened_at = 0.0
        self._probing = False

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Let one attempt pass and learn from its end.

        Raises `CircuitOpen` instead when it may not. `NoAnswer` is a failure; any other answer,
        a refusal too, shows that the provider lives; an attempt that was cancelled shows nothing.
        """
        self._admit()
        try:
            yield
        except NoAnswer:
            self._failed()
            raise
        except asyncio.CancelledError:
            self._probing = False
            raise
        except Exception:
            self._answered()
            raise
        self._answered()

    def _admit(self) -> None:
        if self.state == "closed":
            return
        left = self._opened_at + self._pause - self._now()
        if self.state == "open" and left > 0:
            raise CircuitOpen(left)
        if self._probing:
            raise CircuitOpen(1.0)
        self._probing = True
        self._become("half_open")

    def _failed(self) -> None:
        self._failures += 1
        if self.state == "half_open" and self._probing:
            self._pause = min(self._pause * 2, LONGEST_OPEN_SECONDS)
        elif self.state != "closed" or self._failures < FAILURES_TO_OPEN:
            return  # one that was under way when the circuit opened changes nothing
        self._probing = False
        self._opened_at = self._now()
        self._become("open")

    def _answered(self) -> None:
        if self.state == "open":
            return  # it was under way when the circuit opened: the probe decides
        self._failures = 0
        self._pause = OPEN_SECONDS
        self._probing = False
        self._become("closed")

    def _become(self, state: CircuitState) -> None:
        if state != self.state:
            self.state = state
            self._told(state)


class RetryBudget:
    """Retries that calls have earned: each call adds `RETRY_SHARE`, each retry takes one."""

    def __init__(self) -> None:
        self._saved = RETRY_RESERVE

    def earn(self) -> None:
        """A call begins."""
        self._saved = min(self._saved + RETRY_SHARE, RETRY_RESERVE)

    def spend(self) -> bool:
        """Take one retry; False when none is left."""
        # Ten tenths are a little less than one in floating point.
        if self._saved < 1 - 1e-9:
            return False
        self._saved -= 1
        return True
