"""A provider behind its guard: a deadline for each call, few repeats, and none while it is down."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final, Literal, Protocol, TypeVar

import stamina

from app.checkout.providers.circuit import Circuit, CircuitOpen, CircuitState, RetryBudget
from app.checkout.providers.protocol import (
    NoAnswer,
    PaymentOrder,
    PaymentProvider,
    ProviderEvent,
    ProviderPaused,
    ProviderPayment,
    ProviderUnavailable,
)

ATTEMPTS: Final = 3
WAIT_INITIAL_SECONDS: Final = 0.1
WAIT_JITTER_SECONDS: Final = 0.3
WAIT_MAX_SECONDS: Final = 0.6

RETRY_AFTER_SECONDS: Final = 5

Retried = Literal["retried", "over_budget"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds for all attempts of one call together."""

    create: float = 4.0
    """Opening a payment: less than the shopper's own client waits (5 s)."""

    settle: float = 8.0
    """What no shopper waits for: less than a provider waits for its webhook's answer (10 s)."""


DEADLINES: Final = Deadlines()


class Watcher(Protocol):
    """Who is told what the guard does; checkout's signals."""

    def circuit_changed(self, provider: str, state: CircuitState) -> None: ...

    def call_repeated(self, provider: str, result: Retried) -> None: ...


class GuardedProvider:
    """A `PaymentProvider` that is bounded in time and in what it asks of the one it guards."""

    def __init__(
        self,
        provider: PaymentProvider,
        watcher: Watcher,
        *,
        deadlines: Deadlines | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = provider.name
        self._provider = provider
        self._watcher = watcher
        self._deadlines = deadlines or DEADLINES
        self._budget = RetryBudget()
        self._circuit = Circuit(now, lambda state: watcher.circuit_changed(provider.name, state))

    async def create(self, order: PaymentOrder) -> ProviderPayment:
        return await self._guarded(lambda: self._provider.create(order), self._deadlines.create)

    async def find(self, payment_id: str) -> ProviderPayment:
        return await self._guarded(lambda: self._provider.find(payment_id), self._deadlines.settle)

    async def capture(self, payment_id: str, reference: str) -> ProviderPayment:
        return await self._guarded(
            lambda: self._provider.capture(payment_id, reference), self._deadlines.settle
        )

    async def void(self, payment_id: str, reference: str) -> ProviderPayment:
        return await self._guarded(
            lambda: self._provider.void(payment_id, reference), self._deadlines.settle
        )

    async def refund(self, payment_id: str, reference: str) -> None:
        await self._guarded(
            lambda: self._provider.refund(payment_id, reference), self._deadlines.settle
        )

    def verify(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent:
        return self._provider.verify(body, headers)

    async def _guarded(self, call: Callable[[], Awaitable[T]], seconds: float) -> T:
        until = asyncio.get_running_loop().time() + seconds
        self._budget.earn()
        try:
            return await self._repeated(call, until)
        except NoAnswer as error:
            raise _unavailable(RETRY_AFTER_SECONDS) from error
        except CircuitOpen as error:
            raise _unavailable(max(1, math.ceil(error.seconds)), ProviderPaused) from error

    async def _repeated(self, call: Callable[[], Awaitable[T]], until: float) -> T:
        try:
            return await self._once(call, until)
        except NoAnswer as error:
            failure = error
        # Waits and jitter are stamina's; whether a repeat is allowed at all is ours to say.
        failures = count(1)
        async for attempt in stamina.retry_context(
            on=lambda error: self._may_repeat(error, next(failures), until),
            attempts=ATTEMPTS,
            timeout=None,
            wait_initial=WAIT_INITIAL_SECONDS,
            wait_jitter=WAIT_JITTER_SECONDS,
            wait_max=WAIT_MAX_SECONDS,
        ):
            with attempt:
                if attempt.num == 1:
                    raise failure  # it was the first: most calls have no second
                return await self._once(call, until)
        raise AssertionError("retry_context always returns or raises")

    def _may_repeat(self, error: Exception, failures: int, until: float) -> bool:
        late = asyncio.get_running_loop().time() + WAIT_MAX_SECONDS >= until
        if not isinstance(error, NoAnswer) or failures >= ATTEMPTS or late:
            return False
        allowed = self._budget.spend()
        self._watcher.call_repeated(self.name, "retried" if allowed else "over_budget")
        return allowed

    async def _once(self, call: Callable[[], Awaitable[T]], until: float) -> T:
        with self._circuit.attempt():
            try:
                async with asyncio.timeout_at(until):
                    return await call()
            except TimeoutError as error:
                raise NoAnswer("no answer in time") from error


def _unavailable(
    retry_after_seconds: int, kind: type[ProviderUnavailable] = ProviderUnavailable
) -> ProviderUnavailable:
    return kind(
        "The payment service does not answer. Your car is still held: please try again in a"
        " moment.",
        retry_after_seconds=retry_after_seconds,
    )
