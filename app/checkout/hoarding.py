"""How much of a market's stock is held: nobody may take it away from everybody, for nothing.

Measured once a second by every process, which adds what it has placed itself since the measure
began. So the share is exact in one process but for the few holds that are being written while it
is measured; with n of them a crowd that comes within one second may take n times as much, until
the next measure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from app.checkout.settings import CheckoutSettings
from app.checkout.signals import Signals
from app.checkout.store import Store

STOCK_EVERY: Final = 30
"""Measures between two counts of the stock, which changes slowly."""


class StockHeld:
    """Active holds per market beside the cars that are on offer there; rehearsals are apart."""

    def __init__(self, store: Store, signals: Signals, settings: CheckoutSettings) -> None:
        self._store = store
        self._signals = signals
        self._share = settings.strangers_share
        self._least = settings.strangers_least
        self._stock: Mapping[str, int] = {}
        self._held: Counter[str] = Counter()
        self._placed: Counter[str] = Counter()
        """Since the last measure began."""
        self._measures = 0

    async def measure(self) -> None:
        """Count what is held, and now and then what there is."""
        if self._measures % STOCK_EVERY == 0 or not self._stock:
            self._stock = await self._store.stock_by_market()
        self._measures += 1
        self._placed.clear()
        counted = await self._store.held_by_market()
        for market, cars in self._stock.items():
            self._signals.stock_held(market, counted.get(market, 0) / max(cars, self._least))
        self._held = Counter(counted) + self._placed

    def placed(self, market: str) -> None:
        self._held[market] += 1
        self._placed[market] += 1

    def crowded(self, market: str) -> bool:
        """Whether callers whom we do not know yet must leave the rest to shoppers."""
        cars = self._stock.get(market)
        if cars is None:
            return False  # not measured yet
        return self._held[market] >= max(self._least, self._share * cars)
