"""Taking a person's pseudonym out of the ledger, so that no number moves.

Wherever it stands, in what was told too, another takes its place that nobody can make of the
person: what was counted as one visitor or customer is still one, and nobody knows whom.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Row, Table, and_, false, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.insight.ledger.campaigns import campaign_label
from app.insight.models import CHECKOUTS, ENTRIES, EVENTS, ORDERS, SESSIONS


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
    """Put `instead` for the pseudonym of whoever ordered, in all of their orders.

    The words that brought this order leave what was told of it and of its visit; of its campaign
    the registered name stays, under which it counts.
    """
    order = (
        await transaction.execute(select(ORDERS).where(ORDERS.c.order_id == order_id))
    ).one_or_none()
    if order is None:
        return
    of_visit = EVENTS.c.session_id == order.session_id if order.session_id else false()
    moments = [at for at in (order.submitted_at, order.confirmed_at) if at is not None]
    await _without_words(transaction, or_(of_visit, EVENTS.c.at.in_(moments)), order_id, order)
    holds = CHECKOUTS.c.checkout_id == order.hold_id
    if order.session_id:
        holds = or_(holds, CHECKOUTS.c.session_id == order.session_id)
    named = select(CHECKOUTS.c.checkout_id, CHECKOUTS.c.campaign).where(holds)
    for checkout_id, campaign in (await transaction.execute(named)).all():
        its = update(CHECKOUTS).where(CHECKOUTS.c.checkout_id == checkout_id)
        await transaction.execute(its.values(campaign=campaign_label(campaign)))
    if order.customer_id:
        theirs = select(ORDERS.c.confirmed_at).where(ORDERS.c.customer_id == order.customer_id)
        await _in_events(transaction, EVENTS.c.at.in_(theirs), order.customer_id, instead)
        await _in_entries(transaction, ("customer",), order.customer_id, instead)
        await _in_pages(transaction, ORDERS, "customer_id", order.customer_id, instead)


NOBODY: Final = "gone"
"""Prefix of what takes a name's place."""

WORDS: Final = ("utm_source", "utm_medium", "utm_content", "utm_term")


async def _without_words(
    transaction: AsyncConnection, told: ColumnElement[bool], order_id: str, order: Row[Any]
) -> None:
    rows = (await transaction.execute(select(EVENTS.c.number, EVENTS.c.wire).where(told))).all()
    for number, wire in rows:
        event = orjson.loads(wire)
        data = event["data"]
        session_id = event.get("sessionid", "")
        if data.get("order_id") != order_id and (not session_id or session_id != order.session_id):
            continue  # of another order, at the same moment
        event["campaign"] = campaign_label(event.get("campaign", ""))
        if not event["campaign"]:
            del event["campaign"]
        data |= {name: "" for name in WORDS if name in data}
        blank = update(EVENTS).where(EVENTS.c.number == number)
        await transaction.execute(blank.values(wire=orjson.dumps(event).decode()))


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
