"""What the catalogue tells checkout: which cars may be sold, at what price."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, cast

from app.checkout.store import Store
from app.contracts.events import CarListed, CarWithdrawn, fact_of
from app.kernel.facts import Event

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


class Stock:
    """Applies the catalogue's events to checkout's own table of cars."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def apply(self, connection: AsyncConnection, events: Sequence[Event]) -> None:
        """Store the effect of some events in the consumer's transaction."""
        transaction = self._store.within(connection)
        for event in events:
            if event.type == CarListed.TYPE:
                fact = cast("CarListed", fact_of(event))
                await transaction.list_car(
                    {
                        "car_id": fact.car_id,
                        "model_id": fact.model_id,
                        "title": fact.title,
                        "market": fact.market,
                        "dealer_id": fact.dealer_id,
                        "price": fact.price,
                        "currency": fact.currency,
                        "vat_rate": fact.vat_rate,
                        "rehearsal": fact.rehearsal,
                        "ready_for_handover_at": _moment(fact.ready_for_handover_at),
                        "handover_lead_seconds": fact.handover_lead_seconds,
                    }
                )
            elif event.type == CarWithdrawn.TYPE:
                await transaction.unlist_car(str(event.data["car_id"]))


def _moment(rfc3339: str) -> datetime | None:
    return datetime.fromisoformat(rfc3339) if rfc3339 else None
