"""The stock that comes with this version: imported once, then renewed as a dealer's system does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from io import BytesIO
from typing import Final

from app.catalog.guards import Confirmed
from app.catalog.imports import Importer
from app.catalog.range.stock import ShippedFeed
from app.catalog.rehearsal import Replenishment
from app.catalog.staging import Feed
from app.catalog.store import Store
from app.catalog.swap import is_rehearsal
from app.kernel.clock import Clock
from app.kernel.facts import EventContext

RENEW_SECONDS: Final = 600.0
"""How often the shipped feeds are imported again, as a dealer's system sends its stock."""


class Stocking:
    """Imports the shipped `feeds` through the importer, as anyone's; `version` released them."""

    def __init__(
        self,
        store: Store,
        importer: Importer,
        replenishment: Replenishment,
        clock: Clock,
        *,
        feeds: Sequence[ShippedFeed],
        version: str,
    ) -> None:
        self._store = store
        self._importer = importer
        self._replenishment = replenishment
        self._clock = clock
        self._feeds = feeds
        self._version = version

    async def stock_up(self) -> None:
        """Import each shipped feed whose source was never imported."""
        known = {(state.source, state.market) for state in await self._store.feed_states()}
        for feed in self._feeds:
            if (feed.source, feed.market) not in known:
                await self._importer.run_first(_read(feed), self._context(feed))

    async def renew(self) -> None:
        """Import the shipped stock again when it is due, so that it counts as fresh."""
        due = self._clock.now() - timedelta(seconds=RENEW_SECONDS)
        states = await self._store.feed_states()
        stale = {(state.source, state.market) for state in states if state.imported_at <= due}
        for feed in self._feeds:
            if (feed.source, feed.market) in stale and not is_rehearsal(feed.source):
                # Ours: a new version may bring new prices.
                ours = Confirmed(prices=True)
                await self._importer.run(_read(feed), self._context(feed), ours)
        if any(is_rehearsal(source) for source, _ in stale):
            await self._replenishment.run(self._synthetic, even_if_enough=True)

    async def replenish(self) -> None:
        """Replace the rehearsal cars that were bought."""
        await self._replenishment.run(self._synthetic)

    @property
    def _synthetic(self) -> EventContext:
        return EventContext(channel="dealer", release=self._version, traffic="synthetic")

    def _context(self, feed: ShippedFeed) -> EventContext:
        return EventContext(
            market=feed.market,
            channel="dealer",
            release=self._version,
            traffic="synthetic" if is_rehearsal(feed.source) else "human",
        )


def _read(feed: ShippedFeed) -> Feed:
    return Feed(feed.source, feed.market, feed.adapter, BytesIO(feed.read()))
