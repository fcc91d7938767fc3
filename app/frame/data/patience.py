"""How long one request waits for databases in all, however many statements it has.

The edge gives each request so many seconds; every transaction, read and place in a batch takes
from them what it waited. Work of nobody's request (jobs, commands) has no such limit: its
statements have limits of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Final


class Patience:
    """What is left of one request's seconds."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


PATIENCE: Final[ContextVar[Patience | None]] = ContextVar("patience", default=None)


def is_exhausted() -> bool:
    """Whether the request under way should be answered now, with whatever is known."""
    patience = PATIENCE.get()
    return patience is not None and patience.seconds <= 0


@contextmanager
def unhurried() -> Iterator[None]:
    """For what rightly takes its time in a request: an import is one large transaction."""
    token = PATIENCE.set(None)
    try:
        yield
    finally:
        PATIENCE.reset(token)


class waiting:  # noqa: N801 - reads as a statement where it is used
    """Raises `TimeoutError` when a request has no patience left for what happens inside."""

    __slots__ = ("_began", "_patience", "_timeout")

    async def __aenter__(self) -> None:
        self._patience = patience = PATIENCE.get()
        if patience is None:
            return
        self._began = time.monotonic()
        self._timeout = asyncio.timeout(max(patience.seconds, 0.0))
        await self._timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._patience is None:
            return
        self._patience.seconds -= time.monotonic() - self._began
        await self._timeout.__aexit__(kind, error, trace)
