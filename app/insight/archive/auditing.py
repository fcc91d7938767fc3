"""The ledger checked against its own events and against checkout's record of orders and money."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import httpx

from app.frame.data.database import Database
from app.insight.archive.comparing import compared, differences
from app.insight.archive.coverage import Coverage, coverage
from app.insight.archive.errors import CannotReplay
from app.insight.archive.findings import MOST, Difference, Findings
from app.insight.archive.replay import replayed, told
from app.insight.archive.scratch import FOLLOW, copied, scratch, snapshot
from app.insight.ledger.books import LATE
from app.insight.ledger.invariants import violations
from app.insight.ledger.readings import Readings
from app.insight.ledger.store import Store
from app.kernel.clock import rfc3339
from app.kernel.errors import CannotStart

PAGE: Final = 500
LOOKS: Final = 5
"""How often both sides are looked at until they agree: what was just ordered is on its way."""

LOST: Final = frozenset({"cancelled", "returned", "refunded"})
"""States in which the shop has lost an order's price."""


class Sold(NamedTuple):
    """A confirmed order as one side has it; `price` in minor units."""

    price: int
    currency: str
    lost: bool


Orders = Callable[[], Awaitable[Mapping[str, Sold]]]
"""All orders that were ever confirmed, by id."""


async def audit(database: Database, checkout: Orders, *, wait_seconds: float = 2.0) -> Findings:
    """Everything that does not follow from the ledger's events, or that checkout has otherwise."""
    found = Findings()
    async with scratch() as made, scratch() as stored:
        async with snapshot(database) as connection:
            covered = await coverage(connection)
            try:
                await replayed(told(connection), made)
            except CannotReplay as error:
                found.unknown.append(str(error))
            async with stored.transaction() as transaction:
                for table in FOLLOW:
                    await copied(table, connection, transaction)
        _compare_with_events(found, covered, stored, made)
        for each in violations(await Readings(Store(stored)).totals()):
            found.differences.append(Difference("law", each.invariant, each.detail, ""))
    await _compare_with_checkout(found, database, checkout, wait_seconds)
    return found


def _compare_with_events(
    found: Findings, covered: Coverage, stored: Database, made: Database
) -> None:
    if found.unknown:
        return
    since = covered.kept_since and covered.kept_since + LATE
    if since is not None:
        found.scope = (
            f"Events of before {rfc3339(covered.kept_since or since)} have left"
            " (INSIGHT_LEDGER_DAYS): orders are compared for all time, visits and checkouts since"
            f" {rfc3339(since)}, counters with what entries add up to."
        )
    elif covered.older_entries:
        found.unknown.append(
            f"{covered.older_entries} entries were booked by a version that kept no events: nothing"
            " tells whether they are right."
        )
        return
    found.compared.update(dict(compared(stored, made, since)))
    found.differences += differences(stored, made, since)
    if covered.restated_by_rules and found.differences:
        found.unknown.append(
            "a version with other rules has booked here: what was restated by rules differs from"
            " what these rules make of the same events, and is among the differences."
        )


async def _compare_with_checkout(
    found: Findings, database: Database, checkout: Orders, wait_seconds: float
) -> None:
    differing: list[Difference] = []
    for look in range(LOOKS):
        if look:
            await asyncio.sleep(wait_seconds)
        try:
            theirs = await checkout()
        except (httpx.HTTPError, CannotStart) as error:
            found.unknown.append(f"checkout was not asked about its orders: {error}")
            return
        ours = await ledger_orders(database)
        found.compared["orders of checkout"] = len(theirs)
        differing = list(_differing(ours, theirs))
        if not differing:
            break
    found.differences += differing[:MOST]


def _differing(ours: Mapping[str, Sold], theirs: Mapping[str, Sold]) -> list[Difference]:
    return [
        Difference("checkout", order_id, _sold(ours.get(order_id)), _sold(theirs.get(order_id)))
        for order_id in sorted({*ours, *theirs})
        if ours.get(order_id) != theirs.get(order_id)
    ]


def _sold(order: Sold | None) -> str:
    if order is None:
        return ""
    return f"{order.price} {order.currency}{' lost' if order.lost else ''}"


async def ledger_orders(database: Database) -> Mapping[str, Sold]:
    """As the ledger has them now."""
    readings, found, after = Readings(Store(database)), dict[str, Sold](), ""
    while rows := await readings.confirmed_orders(after=after, limit=PAGE):
        for row in rows:
            lost = row["state"] in LOST
            found[row["order_id"]] = Sold(int(row["price"]), row["currency"], lost)
        after = rows[-1]["order_id"]
    return found


async def checkout_orders(client: httpx.AsyncClient) -> Mapping[str, Sold]:
    """As checkout tells them on its internal port. Raises `httpx.HTTPError` when it does not."""
    return {
        order["order_id"]: Sold(
            order["price"]["amount"], order["price"]["currency"], order["state"] in LOST
        )
        async for order in _pages(client)
        if order["confirmed_at"]
    }


async def _pages(client: httpx.AsyncClient) -> AsyncIterator[Mapping[str, Any]]:
    after: str | None = ""
    while after is not None:
        asked = httpx.QueryParams({"after": after, "limit": PAGE})
        answer = await client.get("/internal/checkout/orders", params=asked)
        answer.raise_for_status()
        page = answer.json()
        for item in page["items"]:
            yield item
        after = page["next_after"]
