"""Stock for rehearsals: unique cars run out, so bought ones are replaced through the importer.

The shipped rehearsal feeds are templates: car number n is row ((n - 1) mod rows) under a fresh
stock id, so a number says everything about its car and nothing has to be remembered.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Final

from app.catalog.guards import Confirmed
from app.catalog.imports import Importer
from app.catalog.range.stock import REHEARSAL_SOURCE, ShippedFeed
from app.catalog.signals import Signals
from app.catalog.staging import Feed
from app.catalog.store import Store
from app.kernel.facts import EventContext

_NUMBER: Final = re.compile(r"\d+$")


class Replenishment:
    """Keeps `least` to `target` rehearsal cars on offer in each market that has a template."""

    def __init__(
        self,
        store: Store,
        importer: Importer,
        signals: Signals,
        feeds: tuple[ShippedFeed, ...],
        *,
        least: int,
        target: int,
    ) -> None:
        self._store = store
        self._importer = importer
        self._signals = signals
        self._feeds = feeds
        self._least = least
        self._target = max(least, target)

    async def run(self, context: EventContext, *, even_if_enough: bool = False) -> int:
        """Import fresh cars where too few are left; returns how many in all.

        `even_if_enough` imports the present stock again: a feed that is not renewed is stale.
        """
        added = 0
        for feed in self._feeds:
            added += await self._replenish(feed, context, even_if_enough=even_if_enough)
        return added

    async def _replenish(
        self, feed: ShippedFeed, context: EventContext, *, even_if_enough: bool
    ) -> int:
        ever, offered, available = await self._store.stock_numbers(feed.source, feed.market)
        if available >= self._least and not even_if_enough:
            return 0
        missing = max(0, self._target - available)
        numbers = [number_of(stock_id) for stock_id in offered]
        first = max([ever, *numbers]) + 1
        content = feed_of(feed, [*numbers, *range(first, first + missing)])
        # Cars that somebody holds stay listed: a released one goes on offer again.
        await self._importer.run(
            Feed(feed.source, feed.market, feed.adapter, BytesIO(content)),
            context,
            Confirmed(removal=True, prices=True),
        )
        if missing:
            self._signals.rehearsal_replenished(feed.market, available, missing)
        return missing


def feed_of(template: ShippedFeed, numbers: list[int]) -> bytes:
    """A feed of the cars with these numbers, in the template's format."""
    header, *rows = template.read().decode("utf-8").splitlines()
    chosen = [rows[(number - 1) % len(rows)] for number in numbers]
    renamed = [
        row.replace(row.partition("\t")[0], stock_id(template.market, number))
        for row, number in zip(chosen, numbers, strict=True)
    ]
    return "\n".join([header, *renamed, ""]).encode()


def stock_id(market: str, number: int) -> str:
    """As the shipped feeds write it: `RSE00007`."""
    return f"{REHEARSAL_SOURCE[0].upper()}{market}{number:05d}"


def number_of(stock_id: str) -> int:
    """The number at the end of a stock id; 0 when there is none."""
    found = _NUMBER.search(stock_id)
    return int(found[0]) if found else 0
