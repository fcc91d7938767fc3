"""Whoever is forgotten leaves every number as it is, and no trace of the name."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import text

from app.contracts import events as facts
from app.frame.start.service import Service
from app.kernel.facts import EventContext
from tests.builders.facts import HUMAN, Stated, purchase, shopper, visit
from tests.insight.conftest import World, exported, run_job

VISITOR = "vis_01jd0000000000000000000001"
KNOWN = replace(HUMAN, visitor_id=VISITOR)


async def holding(service: Service, name: str) -> list[str]:
    """The tables that have the name anywhere."""
    tables = ("events", "entries", "sessions", "orders", "checkouts", "undigested")
    found = []
    async with service.database.read() as connection:
        for table in tables:
            rows = (await connection.execute(text(f"SELECT * FROM {table}"))).all()  # noqa: S608
            if any(name in repr(tuple(row)) for row in rows):
                found.append(table)
    return found


async def distinct(service: Service, measure: str) -> int | None:
    query = "SELECT COUNT(DISTINCT label) FROM entries WHERE measure = :measure AND until IS NULL"
    async with service.database.read() as connection:
        found: int | None = await connection.scalar(text(query), {"measure": measure})
    return found


async def test_a_forgotten_visitor_is_still_one_visitor_and_nobody_knows_whom(
    world_on_each: World,
) -> None:
    service = await world_on_each.replica()
    again = replace(shopper(2), visitor_id=VISITOR)
    other = replace(shopper(3), visitor_id="vis_01jd0000000000000000000002")
    await world_on_each.state([*purchase(KNOWN, "1"), *visit(again), *visit(other)])
    await run_job(service, "consume-", "ledger-snapshot")
    before = exported(service, lambda name: name.startswith("shop_"))
    assert await holding(service, VISITOR) == ["events", "entries", "sessions", "orders"]
    assert (await distinct(service, "visitor"), await distinct(service, "buyer")) == (2, 1)

    forgotten = facts.VisitorForgotten(VISITOR)
    await world_on_each.state([Stated("storefront", forgotten, again, 100)])
    await run_job(service, "consume-", "ledger-snapshot")

    assert await holding(service, VISITOR) == []
    assert await holding(service, other.visitor_id) == ["events", "entries", "sessions"]
    assert (await distinct(service, "visitor"), await distinct(service, "buyer")) == (2, 1)
    assert exported(service, lambda name: name.startswith("shop_")) == before


async def test_an_erased_customer_is_still_one_customer_and_nobody_knows_whom(
    world_on_each: World,
) -> None:
    service = await world_on_each.replica()
    name = "cus_of_anna"

    def bought(context: EventContext, number: str, customer: str) -> list[Stated]:
        return [
            replace(one, fact=replace(one.fact, customer_id=customer))
            if isinstance(one.fact, facts.OrderConfirmed)
            else one
            for one in purchase(context, number)
        ]

    await world_on_each.state(
        [
            *bought(HUMAN, "1", name),
            *bought(shopper(2), "2", name),
            *bought(shopper(3), "3", "cus_of_bo"),
        ]
    )
    await run_job(service, "consume-", "ledger-snapshot")
    before = exported(service, lambda name: name.startswith("shop_"))
    assert await holding(service, name) == ["events", "entries", "orders"]

    erased = Stated("checkout", facts.CustomerErased("ord_2"), shopper(2), 100)
    await world_on_each.state([erased])
    await run_job(service, "consume-", "ledger-snapshot")

    assert await holding(service, name) == []
    assert await holding(service, "cus_of_bo") == ["events", "entries", "orders"]
    assert await distinct(service, "customer") == 2
    assert exported(service, lambda name: name.startswith("shop_")) == before


async def test_the_words_that_brought_an_erased_order_leave_what_was_told(
    world_on_each: World,
) -> None:
    service = await world_on_each.replica()
    words = {"channel_group": "email", "utm_source": "annas-letter", "utm_medium": "for-anna"}
    anna = replace(HUMAN, campaign="anna-only")
    bo = replace(shopper(2), campaign="bo-only")
    await world_on_each.state([*purchase(anna, "1", **words), *purchase(bo, "2")])
    await run_job(service, "consume-", "ledger-snapshot")
    before = exported(service, lambda name: name.startswith("shop_"))

    await world_on_each.state([Stated("checkout", facts.CustomerErased("ord_1"), anna, 100)])
    await run_job(service, "consume-", "ledger-snapshot")

    for word in ("annas-letter", "for-anna", "anna-only"):
        assert await holding(service, word) == []
    assert await holding(service, "bo-only") == ["events", "sessions", "orders", "checkouts"]
    assert exported(service, lambda name: name.startswith("shop_")) == before
