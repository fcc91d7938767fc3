"""The catalogue as the advisor reads it: the range once per change of release, cars by version."""

from __future__ import annotations

import httpx

from app.advisor.showroom import Showroom
from app.contracts.catalog import CatalogClient
from app.contracts.client import UpstreamProblem
from app.contracts.stock import StockClient
from app.frame.platform import AddressMissing
from app.kernel.errors import Unavailable


class CatalogFollower:
    """Keeps a showroom up to date. `refresh` is cheap when nothing has changed."""

    def __init__(
        self, showroom: Showroom, *, public: httpx.AsyncClient, internal: httpx.AsyncClient
    ) -> None:
        self._showroom = showroom
        self._catalog = CatalogClient(public)
        self._stock = StockClient(internal)

    async def refresh(self) -> None:
        """Take over what changed; raises `Unavailable` when the catalogue does not answer."""
        try:
            await self._refresh()
        except (httpx.HTTPError, AddressMissing, UpstreamProblem) as error:
            raise Unavailable(f"the catalogue cannot be read: {error}") from error

    async def _refresh(self) -> None:
        room = self._showroom
        if not room.open:
            room.put_models(await self._catalog.models())
        more = True
        while more:
            page = await self._stock.changes(after=room.version, epoch=room.epoch)
            if page.anew:
                room.clear()
            room.epoch = page.epoch
            if any(c.car.model_id and c.car.model_id not in room.models for c in page.items):
                # A newer catalogue than the one whose range we read: its range first.
                room.put_models(await self._catalog.models())
            room.put_changes(page.items, page.version, unread=page.unread)
            more = page.more
