"""What the catalogue stands for, as facts: what every reader of its outbox must know."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from app.catalog.documents import dealer_of
from app.catalog.range.loading import load_range
from app.catalog.store import offers
from app.catalog.swap import is_rehearsal
from app.contracts.events import CarListed, CarWithdrawn
from app.kernel.clock import rfc3339
from app.kernel.facts import EventContext, Fact
from app.kernel.opening import Calendar
from telemetry.catalogue.labels import Market

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

CHANNEL: Final = "dealer"


def car_listed(
    car_id: str,
    *,
    source: str,
    market: Market,
    dealer_id: str,
    document: Mapping[str, Any],
    handover_at: datetime | None,
    handover_lead_seconds: int | None,
    calendar: Calendar,
    identity: str | None,
) -> CarListed:
    """The fact that a car is on offer as it is stored."""
    price = document["price"]
    return CarListed(
        car_id=car_id,
        model_id=document["model_id"] or "",
        title=document["title"],
        market=market,
        dealer_id=dealer_id,
        source=source,
        price=price["amount"],
        currency=price["currency"],
        # No single rate may be stated (Norwegian electric cars, American sales tax): no VAT shown.
        vat_rate=document["vat_rate"] or "0",
        rehearsal=is_rehearsal(source),
        ready_for_handover_at="" if handover_at is None else rfc3339(handover_at),
        handover_lead_seconds=handover_lead_seconds,
        dealer_calendar=calendar.text(),
        identity=identity or "",
    )


async def offers_as_facts(connection: AsyncConnection) -> list[tuple[Fact, EventContext]]:
    """Every car that was ever offered: on offer as it is, or withdrawn.

    Nobody changes the stock until the transaction ends.
    """
    rows, dealers = await offers(connection)
    # The shipped range wins: its hours may be newer than what the last import stored.
    known = {**dealers, **{d.dealer_id: dealer_of(d) for d in load_range().dealers}}
    found: list[tuple[Fact, EventContext]] = []
    for row in rows:
        context = EventContext(market=row.market, channel=CHANNEL)
        if not row.listed:
            found.append((CarWithdrawn(row.car_id, row.refused is not None), context))
            continue
        found.append(
            (
                car_listed(
                    row.car_id,
                    source=row.source,
                    market=row.market,
                    dealer_id=row.dealer_id,
                    document=row.document,
                    handover_at=row.handover_at,
                    handover_lead_seconds=row.handover_lead_seconds,
                    calendar=Calendar.of(known[row.dealer_id]),
                    identity=row.identity,
                ),
                context,
            )
        )
    # Who leaves is told before who comes: one physical car is never on sale twice.
    return sorted(found, key=lambda each: isinstance(each[0], CarListed))
