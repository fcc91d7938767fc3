"""What the catalogue tells checkout: which cars may be sold, at what price."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from app.checkout.store_stock import StockRows
from app.contracts.events import (
    CarListed,
    CarStateChanged,
    CarWithdrawn,
    DeskSaleUndone,
    fact_of,
)
from app.frame.data.outbox import Outbox
from app.frame.data.undigested import Diet
from app.kernel import opening
from app.kernel.facts import Event, EventContext
from app.kernel.resale import RESALE_AFTER

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

DIET: Final = Diet(
    subjects=("car_id",),
    types=frozenset({CarListed.TYPE, CarWithdrawn.TYPE}),
    latest_wins=True,
)
"""The last word about a car says all that we need to know of it."""


class Stock:
    """Applies the catalogue's events to checkout's own table of cars."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def forget(self, connection: AsyncConnection) -> None:
        """Take everything off sale: the catalogue says anew what is on offer."""
        await StockRows(connection, self._outbox).unlist_all()

    async def apply(self, connection: AsyncConnection, events: Sequence[Event]) -> None:
        """Store the effect of some events in the consumer's rows."""
        rows = StockRows(connection, self._outbox)
        for event in events:
            fact = fact_of(event)
            if isinstance(fact, CarListed):
                state = await rows.list_car(
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
                        "dealer_calendar": _calendar(fact.dealer_calendar),
                        "identity": fact.identity or None,
                    },
                    resale_before=datetime.fromisoformat(event.time) - RESALE_AFTER,
                )
                context, free = (
                    EventContext(market=fact.market),
                    CarStateChanged(fact.car_id, "available"),
                )
                if state == "sold" and await rows.relist_returned(fact.car_id):
                    await rows.record(context, free)
                if state == "sold" and await rows.end_sale_of_left(fact.car_id):
                    await rows.record(context, DeskSaleUndone(fact.car_id, "feed"), free)
            elif isinstance(fact, CarWithdrawn):
                await rows.unlist_car(fact.car_id)
                if not fact.in_feed:
                    await rows.note_left_feed(fact.car_id)


def _moment(rfc3339: str) -> datetime | None:
    return datetime.fromisoformat(rfc3339) if rfc3339 else None


def _calendar(text: str) -> str | None:
    """As it is kept; one that cannot be read is refused here, and not when an order needs it."""
    return None if opening.read(text) is None else text
