"""SQL of what the catalogue tells: verbs in the transaction of its consumer.

They move `cars.version` like everything that happens to a car: whoever decides at the same time
(`change.settled`) looks again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from app.checkout.looks import RECEIVED
from app.checkout.models import CARS, DESK_SALES, ORDERS
from app.frame.data.outbox import Outbox
from app.kernel.facts import EventContext, Fact


def given_back() -> ColumnElement[bool]:
    """Whether the dealer has received the car of a row of ORDERS that was handed over."""
    message = func.coalesce(ORDERS.c.message, "")
    return and_(ORDERS.c.state.in_(("returned", "refunded")), message == RECEIVED)


async def states_of_cars(connection: AsyncConnection) -> Sequence[Any]:
    """(car, market, state) of every car, which nobody changes until the transaction ends."""
    if connection.dialect.name == "postgresql":  # SQLite's only writer is this transaction
        await connection.execute(text("LOCK TABLE cars IN SHARE MODE"))
    query = select(CARS.c.car_id, CARS.c.market, CARS.c.state).order_by(CARS.c.car_id)
    return (await connection.execute(query)).all()


class StockRows:
    """The rows of cars, in one transaction."""

    def __init__(self, connection: AsyncConnection, outbox: Outbox) -> None:
        self.connection = connection
        self._outbox = outbox
        on_postgresql = connection.dialect.name == "postgresql"
        self._insert = postgresql.insert if on_postgresql else sqlite.insert

    async def record(self, context: EventContext, *facts: Fact) -> None:
        """State facts, exactly if this transaction commits."""
        await self._outbox.add(self.connection, facts, context)

    async def list_car(self, values: Mapping[str, Any], *, resale_before: datetime) -> str:
        """Add a car or refresh its offer; who has it does not change. Returns the car's state.

        Nor does which physical car somebody has, but it may become known: where somebody else has
        that one already, both keep what they were promised and this row is offered to nobody. One
        that comes back as another row, and that its buyer returned or got before `resale_before`,
        was traded in: the old row lets go of it.
        """
        offer = {k: v for k, v in values.items() if k != "car_id"}
        if values["identity"] is not None:
            await self._let_go(values["identity"], values["car_id"], resale_before)
        statement = self._insert(CARS).values(**values, listed=True, state="available")
        free = CARS.c.state == "available"
        another = CARS.alias("another")
        twice = and_(
            CARS.c.identity.is_(None),
            # None would be compared with IS NULL, which any unknown car is.
            literal(values["identity"] is not None),
            exists().where(
                another.c.identity == values["identity"],
                another.c.car_id != values["car_id"],
                another.c.state != "available",
            ),
        )
        told = statement.excluded.identity
        offer["identity"] = case(
            (free, told), (twice, None), else_=func.coalesce(CARS.c.identity, told)
        )
        offer["listed"] = or_(free, ~twice)
        # Whoever is buying need not look again because a feed said the same once more.
        changed = or_(*(CARS.c[name].is_distinct_from(value) for name, value in offer.items()))
        moved = case((changed, 1), else_=0)
        listed = await self.connection.execute(
            statement.on_conflict_do_update(
                index_elements=["car_id"], set_={**offer, "version": CARS.c.version + moved}
            ).returning(CARS.c.state)
        )
        return str(listed.scalar_one())

    async def _let_go(self, identity: str, car_id: str, resale_before: datetime) -> None:
        owned = exists().where(
            ORDERS.c.car_id == CARS.c.car_id,
            ORDERS.c.handed_over_at.is_not(None),
            ~given_back(),
            or_(ORDERS.c.handed_over_at >= resale_before, ORDERS.c.state != "confirmed"),
        )
        sold_at_desk = exists().where(
            DESK_SALES.c.car_id == CARS.c.car_id, DESK_SALES.c.sold_at >= resale_before
        )
        await self.connection.execute(
            update(CARS)
            .where(
                CARS.c.identity == identity,
                CARS.c.car_id != car_id,
                CARS.c.state == "sold",
                ~owned,
                ~sold_at_desk,
            )
            .values(identity=None, version=CARS.c.version + 1)
        )

    async def relist_returned(self, car_id: str) -> bool:
        """Put a car back on sale that its dealer has received from every earlier owner."""
        owners = select(ORDERS.c.order_id).where(
            ORDERS.c.car_id == car_id, ORDERS.c.handed_over_at.is_not(None)
        )
        moved = await self.connection.execute(
            update(CARS)
            .where(
                CARS.c.car_id == car_id,
                CARS.c.state == "sold",
                ~exists().where(DESK_SALES.c.car_id == car_id),
                owners.where(given_back()).exists(),
                ~owners.where(~given_back()).exists(),
            )
            .values(state="available", version=CARS.c.version + 1)
        )
        return moved.rowcount == 1

    async def unlist_car(self, car_id: str) -> None:
        await self.connection.execute(
            update(CARS)
            .where(CARS.c.car_id == car_id)
            .values(listed=False, version=CARS.c.version + 1)
        )

    async def unlist_all(self) -> None:
        """Until the catalogue has said anew what is on offer.

        What was sold at the desk has to leave its feed once more before it can come back.
        """
        await self.connection.execute(update(DESK_SALES).values(left_feed=False))
        await self.connection.execute(
            update(CARS).where(CARS.c.listed).values(listed=False, version=CARS.c.version + 1)
        )

    async def note_left_feed(self, car_id: str) -> None:
        """A car that was sold at the desk is on sale again when it comes back."""
        await self.connection.execute(
            update(DESK_SALES).where(DESK_SALES.c.car_id == car_id).values(left_feed=True)
        )

    async def end_sale_of_left(self, car_id: str) -> bool:
        """Free a car that was sold at the desk, if it has left its feed since; whether it has."""
        ended = await self.connection.execute(
            delete(DESK_SALES).where(DESK_SALES.c.car_id == car_id, DESK_SALES.c.left_feed)
        )
        if ended.rowcount != 1:
            return False
        await self.connection.execute(
            update(CARS)
            .where(CARS.c.car_id == car_id, CARS.c.state == "sold")
            .values(state="available", version=CARS.c.version + 1)
        )
        return True
