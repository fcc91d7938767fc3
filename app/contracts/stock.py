"""The catalogue's internal change feed: how replicas that keep the stock in memory follow it.

Versions are unique and ascend in commit order, so a reader that has seen version N has seen every
change up to N. See docs/decisions/0030-stock-in-memory.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import httpx
from pydantic import ValidationError

from app.contracts.catalog import Car, Dealer
from app.contracts.wire import CarState, Wire

PAGE: Final = 250
"""Changes that are read at once: a car that is being read takes ten times what is kept of it."""


class CarChange(Wire):
    """A car as it stands after its latest change.

    `listed` is false once the car has left its feed. `car.ready_for_handover_at` holds for the
    moment of the answer; `handover_at` and `handover_lead_seconds` are what it follows from.
    """

    version: int
    car_id: str
    listed: bool
    rehearsal: bool
    state: CarState
    handover_at: datetime | None
    handover_lead_seconds: int | None
    car: Car
    dealer: Dealer


class ChangePage(Wire):
    """Changes after the version that was asked for, oldest first; `more` when some were left."""

    version: int
    """Ask for this next."""
    more: bool
    items: list[CarChange]
    epoch: str = ""
    """Of the catalogue's database; say it when you ask next."""
    anew: bool = False
    """These are the first changes of all: the database was restored, forget what you knew."""
    unread: list[str] = []
    """Cars whose change this version cannot read; filled in by `StockClient`."""


class StockClient:
    """Typed client of the internal change feed."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def changes(self, *, after: int, limit: int = PAGE, epoch: str = "") -> ChangePage:
        """Raises what httpx raises; the caller asks again later with the same `after`.

        One change that cannot be read keeps no other from being read.
        """
        response = await self._http.get(
            "/internal/catalog/changes", params={"after": after, "limit": limit, "epoch": epoch}
        )
        response.raise_for_status()
        try:
            return ChangePage.model_validate_json(response.content)
        except ValidationError:
            return _readable(response.json())


def _readable(page: dict[str, Any]) -> ChangePage:
    items: list[CarChange] = []
    unread: list[str] = []
    for raw in page["items"]:
        try:
            items.append(CarChange.model_validate(raw))
        except ValidationError:
            unread.append(str(raw["car_id"]))
    return ChangePage.model_validate({**page, "items": items, "unread": unread})
