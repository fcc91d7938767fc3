"""SQL about cars that their dealer sold in the showroom: verbs on a `CheckoutTransaction`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, delete, insert, or_, select, update

from app.checkout.models import DESK_SALES, ORDERS
from app.checkout.states import LIVE
from app.checkout.store import CheckoutTransaction, Record, given_back


async def sold_at(transaction: CheckoutTransaction, car_id: str) -> datetime | None:
    """When a car was sold at the desk; None when it is not."""
    query = select(DESK_SALES.c.sold_at).where(DESK_SALES.c.car_id == car_id)
    found: datetime | None = await transaction.connection.scalar(query)
    return found


async def order_in_force(transaction: CheckoutTransaction, car_id: str) -> Record | None:
    """The order that has the car, or whose car is not back at its dealer yet."""
    query = select(ORDERS.c.order_id, ORDERS.c.state, ORDERS.c.handed_over_at).where(
        ORDERS.c.car_id == car_id,
        or_(
            ORDERS.c.state.in_(LIVE),
            and_(ORDERS.c.handed_over_at.is_not(None), ~given_back()),
        ),
    )
    row = (await transaction.connection.execute(query)).first()
    return None if row is None else dict(row._mapping)


async def add_sale(
    transaction: CheckoutTransaction, car_id: str, *, reported_by: str, at: datetime
) -> None:
    await transaction.connection.execute(
        insert(DESK_SALES).values(
            car_id=car_id, reported_by=reported_by, sold_at=at, left_feed=False
        )
    )


async def end_sale(
    transaction: CheckoutTransaction, car_id: str, *, if_left_feed: bool = False
) -> bool:
    """Free a car that was sold at the desk; False when it was not.

    `if_left_feed`: only one that has left its feed since.
    """
    statement = delete(DESK_SALES).where(DESK_SALES.c.car_id == car_id)
    if if_left_feed:
        statement = statement.where(DESK_SALES.c.left_feed)
    ended = await transaction.connection.execute(statement)
    return ended.rowcount == 1 and await transaction.move_car(car_id, ["sold"], "available")


async def note_left_feed(transaction: CheckoutTransaction, car_id: str) -> None:
    await transaction.connection.execute(
        update(DESK_SALES).where(DESK_SALES.c.car_id == car_id).values(left_feed=True)
    )
