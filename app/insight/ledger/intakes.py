"""Reading the services' outboxes into the ledger, and how far behind each of them is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from app.frame.data.undigested import Diet
from app.insight.ledger.booking import Booked
from app.insight.ledger.projections import Projection
from app.insight.ledger.store import Transaction
from app.insight.signals import Signals
from app.kernel.clock import Clock
from app.kernel.facts import Event

SOURCES: Final[Mapping[str, float]] = {
    "checkout": 0.3,
    "storefront": 0.5,
    "advisor": 0.5,
    "insight": 1.0,
    "catalog": 2.0,
}
"""Each source and how often it is asked, in seconds: money is waited for, car titles are not."""

DIET: Final = Diet(subjects=("hold_id", "attempt_id", "order_id", "advice_id"))
"""All facts are booked, and those of one checkout, order or advice in the order of their source."""


class Reader(Protocol):
    """`frame.data.consumers.Consumer`, as far as an intake needs it."""

    lag_seconds: float

    async def poll(self) -> int: ...

    async def has_not_parted(self) -> None: ...


Connect = Callable[[Callable[[Transaction, Sequence[Event]], Awaitable[None]]], Reader]
"""Makes the reader of one source, given what it shall do with a batch."""


class Intake:
    """One source of facts. Numbers are signalled only after the commit that made them true."""

    def __init__(
        self,
        source: str,
        connect: Connect,
        *,
        projection: Projection,
        signals: Signals,
        clock: Clock,
        booked: Callable[[], Awaitable[object]],
    ) -> None:
        self.source = source
        self._reader = connect(self._apply)
        self._projection = projection
        self._signals = signals
        self._clock = clock
        self._booked = booked
        self._uncommitted: list[Booked] = []
        self._reached_at = clock.now()
        self._unreachable = False

    @property
    def lag_seconds(self) -> float:
        """Age of the oldest fact not booked; while the source is silent, at least that silence."""
        if not self._unreachable:
            return self._reader.lag_seconds
        silence = (self._clock.now() - self._reached_at).total_seconds()
        return max(silence, self._reader.lag_seconds)

    async def has_not_parted(self) -> None:
        """Raises while the source has another history than the one that was booked."""
        await self._reader.has_not_parted()

    async def poll(self) -> int:
        """Book what is there; returns how many events. A source that fails is tried again."""
        try:
            stored = await self._reader.poll()
        except Exception as error:  # noqa: BLE001 - whatever it is, the lag says so and we go on
            self._uncommitted.clear()
            if not self._unreachable:
                self._unreachable = True
                self._signals.source_unreachable(
                    self.source, error=type(error).__name__, lag_seconds=self.lag_seconds
                )
            return 0
        self._reached_at = self._clock.now()
        if self._unreachable:
            self._unreachable = False
            self._signals.source_reachable(self.source)
        self._committed()
        if stored:
            await self._booked()
        return stored

    async def _apply(self, transaction: Transaction, events: Sequence[Event]) -> None:
        self._committed()  # the reader comes again only after the last batch was committed
        self._uncommitted = await self._projection.apply(transaction, events)

    def _committed(self) -> None:
        booked, self._uncommitted = self._uncommitted, []
        self._signals.booked(booked)
