"""SQL about the one erasable table: apart from selling."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.checkout.models import CUSTOMERS


class Customer(NamedTuple):
    """A row of whose order it is."""

    order_id: str
    sealed: bytes
    email_index: str | None


async def orders_by_index(connection: AsyncConnection, email_index: str) -> list[str]:
    """Orders of a customer, by the blind index of their e-mail address."""
    query = select(CUSTOMERS.c.order_id).where(CUSTOMERS.c.email_index == email_index)
    rows = await connection.execute(query.order_by(CUSTOMERS.c.order_id))
    return [row.order_id for row in rows]


async def customers(
    connection: AsyncConnection, *, after: str, limit: int, besides: str = ""
) -> list[Customer]:
    """Customer rows by order, from `after` on; without those whose index begins with `besides`."""
    query = select(CUSTOMERS).where(CUSTOMERS.c.order_id > after)
    if besides:
        begins = func.substr(CUSTOMERS.c.email_index, 1, len(besides))
        query = query.where(or_(CUSTOMERS.c.email_index.is_(None), begins != besides))
    rows = await connection.execute(query.order_by(CUSTOMERS.c.order_id).limit(limit))
    return [Customer(*row) for row in rows]


async def set_customer(
    connection: AsyncConnection, order_id: str, *, was: bytes, **values: Any
) -> bool:
    """Replace a customer row's parts if it is still what it was; False when it is not."""
    replaced = await connection.execute(
        update(CUSTOMERS)
        .where(CUSTOMERS.c.order_id == order_id, CUSTOMERS.c.sealed == was)
        .values(**values)
    )
    return replaced.rowcount == 1
