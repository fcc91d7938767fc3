"""SQL about the one erasable table: verbs on a `CheckoutTransaction`, apart from selling."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, or_, select, text, update

from app.checkout.models import CUSTOMERS, HOLDS, IDEMPOTENCY, ORDERS
from app.checkout.store import CheckoutTransaction, Record

ERASED_REQUEST = "erased"
"""Stands for the fingerprint of a request whose order was erased; no request has it."""


async def erase(transaction: CheckoutTransaction, order_id: str, at: datetime) -> None:
    """Delete whose order it was; what was sold, paid and stated stays as it is."""
    connection = transaction.connection
    if connection.dialect.name == "sqlite":
        # Overwrites what it deletes, which otherwise stays readable in the file's free pages.
        await connection.execute(text("PRAGMA secure_delete = ON"))
    await connection.execute(delete(CUSTOMERS).where(CUSTOMERS.c.order_id == order_id))
    await connection.execute(
        update(ORDERS).where(ORDERS.c.order_id == order_id).values(erased_at=at)
    )
    hold_id = select(ORDERS.c.hold_id).where(ORDERS.c.order_id == order_id).scalar_subquery()
    await connection.execute(
        update(HOLDS).where(HOLDS.c.hold_id == hold_id).values(address_hash="")
    )
    # The fingerprint is a hash of name, e-mail and phone too. The key stays taken: a copy of the
    # request that is still on its way must not order again.
    await connection.execute(
        update(IDEMPOTENCY)
        .where(IDEMPOTENCY.c.resource_id == order_id)
        .values(fingerprint=ERASED_REQUEST, body=b"")
    )


async def orders_by_index(transaction: CheckoutTransaction, email_index: str) -> list[str]:
    """Orders of a customer, by the blind index of their e-mail address."""
    query = select(CUSTOMERS.c.order_id).where(CUSTOMERS.c.email_index == email_index)
    rows = await transaction.connection.execute(query.order_by(CUSTOMERS.c.order_id))
    return [row.order_id for row in rows]


async def customers(
    transaction: CheckoutTransaction, *, after: str, limit: int, besides: str = ""
) -> list[Record]:
    """Customer rows by order, from `after` on; without those whose index begins with `besides`."""
    query = select(CUSTOMERS).where(CUSTOMERS.c.order_id > after)
    if besides:
        begins = func.substr(CUSTOMERS.c.email_index, 1, len(besides))
        query = query.where(or_(CUSTOMERS.c.email_index.is_(None), begins != besides))
    rows = await transaction.connection.execute(query.order_by(CUSTOMERS.c.order_id).limit(limit))
    return [dict(row._mapping) for row in rows]


async def set_customer(
    transaction: CheckoutTransaction, order_id: str, *, was: bytes, **values: Any
) -> bool:
    """Replace a customer row's parts if it is still what it was; False when it is not."""
    replaced = await transaction.connection.execute(
        update(CUSTOMERS)
        .where(CUSTOMERS.c.order_id == order_id, CUSTOMERS.c.sealed == was)
        .values(**values)
    )
    return replaced.rowcount == 1
