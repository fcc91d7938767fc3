"""The other services, as this shop reaches them: public APIs only, on behalf of one shopper."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import httpx

from app.contracts.advisor import AdvisorClient
from app.contracts.catalog import CatalogClient, Dealer, Model
from app.contracts.checkout import CheckoutClient
from app.kernel.errors import Unavailable

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Shop:
    """The services on behalf of one shopper."""

    catalog: CatalogClient
    advisor: AdvisorClient
    checkout: CheckoutClient


@dataclass(frozen=True, slots=True)
class Connections:
    """HTTP clients of this process, one per service."""

    catalog: httpx.AsyncClient
    advisor: httpx.AsyncClient
    checkout: httpx.AsyncClient

    def on_behalf_of(self, headers: Mapping[str, str]) -> Shop:
        return Shop(
            CatalogClient(self.catalog, headers),
            AdvisorClient(self.advisor, headers),
            CheckoutClient(self.checkout, headers),
        )

    async def close(self) -> None:
        for client in (self.catalog, self.advisor, self.checkout):
            await client.aclose()


class _Keeper(Generic[Kept]):
    """One answer, kept for a while; the old one is good enough while the service is away."""

    def __init__(self, ask: Callable[[], Awaitable[Kept]], seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._answer: Kept | None = None
        self._until = 0.0

    async def get(self) -> Kept:
        now = time.monotonic()
        if self._answer is not None and now < self._until:
            return self._answer
        try:
            self._answer = await self._ask()
        except Unavailable:
            if self._answer is None:
                raise
        self._until = now + self._seconds
        return self._answer


class Range:
    """Models and dealers: the same for every shopper and rarely new, so they are kept."""

    def __init__(self, catalog: httpx.AsyncClient, *, seconds: float) -> None:
        self._catalog = CatalogClient(catalog)
        self._models = _Keeper(self._ask_models, seconds)
        self._dealers = _Keeper(self._ask_dealers, seconds)

    async def models(self) -> Mapping[str, Model]:
        """Models by their id, in the catalogue's order. Raises `Unavailable`."""
        return await self._models.get()

    async def dealers(self, market: str) -> Sequence[Dealer]:
        """Dealers of a market. Raises `Unavailable`."""
        return [d for d in await self._dealers.get() if d.market == market]

    async def dealer(self, dealer_id: str) -> Dealer | None:
        found = [d for d in await self._dealers.get() if d.dealer_id == dealer_id]
        return found[0] if found else None

    async def _ask_models(self) -> dict[str, Model]:
        return {model.model_id: model for model in await self._catalog.models()}

    async def _ask_dealers(self) -> list[Dealer]:
        return await self._catalog.dealers()
