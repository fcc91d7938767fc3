"""The world outside checkout: the catalogue's suggestions (payment providers have a folder)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote

import httpx

from app.contracts.catalog import CatalogClient
from app.contracts.client import UpstreamProblem
from app.kernel.errors import VitrineError

SUGGESTIONS: Final = 3
SUGGESTION_SECONDS: Final = 1.0
"""Similar cars are a kindness: an answer does not wait for them longer than this."""


class SimilarCars:
    """Asks the catalogue for cars like one that is gone."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def like(
        self, *, car_id: str, model_id: str, market: str, headers: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """Up to three available cars of the same model, then of the market; empty when unsure."""
        found: dict[str, dict[str, Any]] = {}
        # Without suggestions the answer is still right.
        with suppress(VitrineError, UpstreamProblem, TimeoutError):
            async with asyncio.timeout(SUGGESTION_SECONDS):
                await self._look(found, car_id, model_id, market, headers)
        return list(found.values())[:SUGGESTIONS]

    async def knows(self, car_id: str, headers: Mapping[str, str]) -> bool | None:
        """Whether the catalogue has this car on offer; None when it does not say."""
        try:
            async with asyncio.timeout(SUGGESTION_SECONDS):
                await CatalogClient(self._http, headers).get(
                    f"/api/catalog/v1/cars/{quote(car_id, safe='')}"
                )
        except UpstreamProblem as problem:
            return False if problem.status < 500 else None
        except (VitrineError, TimeoutError):
            return None
        return True

    async def _look(
        self,
        found: dict[str, dict[str, Any]],
        car_id: str,
        model_id: str,
        market: str,
        headers: Mapping[str, str],
    ) -> None:
        catalog = CatalogClient(self._http, headers)
        for query in ({"model": model_id} if model_id else {}, {}):
            page = await catalog.cars(market=market, limit=SUGGESTIONS + 1, **query)
            for car in page.items:
                if car.car_id != car_id:
                    found.setdefault(car.car_id, car.model_dump(mode="json"))
            if len(found) >= SUGGESTIONS:
                return
