"""What checkout stands for, as facts: who has which car."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.checkout.store_stock import states_of_cars
from app.contracts.events import CarStateChanged
from app.kernel.facts import EventContext, Fact

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


async def states_as_facts(connection: AsyncConnection) -> list[tuple[Fact, EventContext]]:
    """The state of every car; nobody changes one until the transaction ends."""
    return [
        (CarStateChanged(car_id, state), EventContext(market=market))
        for car_id, market, state in await states_of_cars(connection)
    ]
