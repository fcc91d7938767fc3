"""Taking a person's pseudonym out of the ledger, so that no number moves.

Wherever it stands, in what was told too, another takes its place that nobody can make of the
person: what was counted as one visitor or customer is still one, and nobody knows whom.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, Table, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.insight.models import ENTRIES, EVENTS, ORDERS, SESSIONS


async def forget_visitor(transaction: AsyncConnection, visitor_id: str, instead: str) -> None:
    """Put `instead` for a visitor's id, in all that was told in its visits and made of it."""
    theirs = select(SESSIONS.c.session_id).where(SESSIONS.c.visitor_id == visitor_id)
    orders = select(ORDERS.c.session_id).where(ORDERS.c.visitor_id == visitor_id)
    told = or_(EVENTS.c.session_id.in_(theirs), EVENTS.c.session_id.in_(orders))
    await _in_events(transaction, told, visitor_id, instead)
    await _in_entries(transaction, ("visitor", "buyer"), visitor_id, instead)
    for table in (SESSIONS, ORDERS):
        await _in_pages(transaction, table, "visitor_id", visitor_id, instead)


async def forget_customer(transaction: AsyncConnection, order_id: str, instead: str) -> None:
    """Put `instead` for the pseudonym of whoever ordered, in all of their orders."""
    customer_id = await transaction.scalar(
        select(ORDERS.c.customer_id).where(ORDERS.c.order_id == order_id)
    )
    if not customer_id:
        return
    theirs = select(ORDERS.c.confirmed_at).where(ORDERS.c.customer_id == customer_id)
    await _in_events(transaction, EVENTS.c.at.in_(theirs), customer_id, instead)
    await _in_entries(transaction, ("customer",), customer_id, instead)
    await _in_pages(transaction, ORDERS, "customer_id", customer_id, instead)


async def _in_events(
    transaction: AsyncConnection, told: ColumnElement[bool], name: str, instead: str
) -> None:
    changed = func.replace(EVENTS.c.wire, f'"{name}"', f'"{instead}"')
    await transaction.execute(
        update(EVENTS)
        .where(told, EVENTS.c.wire.contains(name, autoescape=True))
        .values(wire=changed)
    )


async def _in_entries(
    transaction: AsyncConnection, measures: Collection[str], name: str, instead: str
) -> None:
    theirs = and_(ENTRIES.c.measure.in_(measures), ENTRIES.c.label == name)
    await transaction.execute(update(ENTRIES).where(theirs).values(label=instead))


async def _in_pages(
    transaction: AsyncConnection, table: Table, column: str, name: str, instead: str
) -> None:
    await transaction.execute(
        update(table).where(table.c[column] == name).values({column: instead})
    )
