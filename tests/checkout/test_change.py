"""Looking, deciding and writing: what was seen is as stored, and a lost race is the next round."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from app.checkout.change import (
    FAILURES,
    FORESEEN,
    ROUNDS,
    Busy,
    Change,
    Changes,
    Lines,
    unchanged,
)
from app.checkout.idempotency import Claim, StoredAnswer
from app.checkout.lines_postgresql import PostgresqlLines
from app.checkout.lines_sqlite import SqliteLines
from app.checkout.looks import CarLook, HoldLook, KeyLook, Look, OrderLook, OrderSight, Seen
from app.checkout.main import lines_to
from app.checkout.models import (
    CARS,
    DESK_SALES,
    HOLDS,
    IDEMPOTENCY,
    ORDERS,
    OUTBOX,
    PAYMENT_EVENTS,
    PAYMENTS,
)
from app.checkout.rows import Car, DeskSale, Hold, Key, Order, Payment
from app.checkout.signals import Signals
from app.contracts.events import HoldRefused
from app.frame.data.batches import BatchFailed
from app.frame.data.outbox import Outbox
from app.kernel.facts import EventContext
from tests.builders.shop import Shop
from tests.builders.sights import a_sight

TYPES = {
    "BIGINT": "int",
    "BLOB": "bytes",
    "BOOLEAN": "bool",
    "INTEGER": "int",
    "TEXT": "str",
    "JSON": "dict[str, Any]",
    "DATETIME": "datetime",
}


@pytest.mark.parametrize(
    ("row", "table"),
    [
        (Car, CARS),
        (DeskSale, DESK_SALES),
        (Hold, HOLDS),
        (Key, IDEMPOTENCY),
        (Order, ORDERS),
        (Payment, PAYMENTS),
    ],
)
def test_rows_are_what_the_tables_say(row: Any, table: Any) -> None:
    def of(column: Any) -> str:
        name = TYPES.get(str(column.type).partition("(")[0], "str")
        return f"{name} | None" if column.nullable else name

    stated = {
        name: hint.__forward_arg__.replace("OrderState", "str")
        for name, hint in row.__annotations__.items()
    }
    assert stated == {column.name: of(column) for column in table.columns}
    assert row._fields[0] == table.primary_key.columns[0].name


class Memory:
    """Lines that lose so many races, or fail so often, before they write."""

    def __init__(self, *, lost: int = 0, failed: int = 0) -> None:
        self.lost, self.failed = lost, failed
        self.looks = 0

    async def look(self, look: Look[Any]) -> Seen[Any]:
        self.looks += 1
        return Seen(a_sight(), None)

    async def write(self, change: Change[Any]) -> bool:
        if self.failed:
            self.failed -= 1
            raise BatchFailed("gone")
        self.lost -= 1
        return self.lost < 0

    async def close(self) -> None: ...


def changes_over(lines: Lines, shop: Shop) -> Changes:
    return Changes(lines, Signals(shop.checkout.service.telemetry), shop.clock)


def _decide(sight: OrderSight | None) -> Change[str]:
    assert sight is not None
    return Change(sight.car, answer="done")


async def test_a_lost_race_is_the_next_round_with_a_fresh_look(sqlite_shop: Shop) -> None:
    memory = Memory(lost=3)

    assert (
        await changes_over(memory, sqlite_shop).settled("refund", OrderLook("ord_1"), _decide)
        == "done"
    )
    assert memory.looks == 4


@pytest.mark.parametrize(
    ("memory", "looks"),
    [(Memory(lost=ROUNDS), ROUNDS), (Memory(failed=FAILURES), FAILURES)],
    ids=["fought over", "the database is gone"],
)
async def test_who_cannot_get_through_is_told_to_come_again(
    memory: Memory, looks: int, sqlite_shop: Shop
) -> None:
    with pytest.raises(Busy) as refused:
        await changes_over(memory, sqlite_shop).settled("refund", OrderLook("ord_1"), _decide)

    assert refused.value.outcome.value == "unavailable"
    assert memory.looks == looks


async def test_an_outcome_that_nobody_heard_of_is_looked_up(sqlite_shop: Shop) -> None:
    memory = Memory(failed=1)
    assert (
        await changes_over(memory, sqlite_shop).settled("refund", OrderLook("ord_1"), _decide)
        == "done"
    )


def _foreseeing(foreseen: OrderSight, order_id: str = "ord_1") -> Callable[..., Change[str]]:
    def decide(sight: OrderSight | None) -> Change[str]:
        change = _decide(sight)
        change.foresee(OrderLook(order_id), foreseen)
        return change

    return decide


async def test_what_was_foreseen_saves_one_look(sqlite_shop: Shop) -> None:
    memory = Memory()
    changes = changes_over(memory, sqlite_shop)
    foreseen = a_sight()
    found: list[OrderSight | None] = []

    def note(sight: OrderSight | None) -> Change[str]:
        found.append(sight)
        return _decide(sight)

    await changes.settled("refund", OrderLook("ord_1"), _foreseeing(foreseen))
    await changes.settled("refund", OrderLook("ord_1"), note)
    assert (memory.looks, found[0] is foreseen) == (1, True)

    await changes.settled("refund", OrderLook("ord_1"), note)
    assert (memory.looks, found[1] is foreseen) == (2, False)


async def test_a_foreseen_sight_that_is_not_so_any_more_is_a_lost_race(sqlite_shop: Shop) -> None:
    memory = Memory()
    changes = changes_over(memory, sqlite_shop)
    await changes.settled("refund", OrderLook("ord_1"), _foreseeing(a_sight()))
    memory.lost = 1

    assert await changes.settled("refund", OrderLook("ord_1"), _decide) == "done"
    assert memory.looks == 2


async def test_after_a_failure_nothing_foreseen_is_believed(sqlite_shop: Shop) -> None:
    memory = Memory()
    changes = changes_over(memory, sqlite_shop)
    await changes.settled("refund", OrderLook("ord_1"), _foreseeing(a_sight()))
    memory.failed = 1
    await changes.settled("refund", OrderLook("ord_2"), _decide)
    before = memory.looks

    await changes.settled("refund", OrderLook("ord_1"), _decide)
    assert memory.looks == before + 1


async def test_an_id_of_another_kind_finds_nothing_that_was_foreseen(shop: Shop) -> None:
    hold = await shop.held()
    stranger = {"order_id": hold["hold_id"], "order_token": "anything"}
    cancelled = await shop.act(stranger, "cancellation")
    assert cancelled.status_code == 404

    order = (await shop.order(hold["hold_id"])).json()
    assert (await shop.order(order["order_id"])).status_code == 404
    released = await shop.checkout.public.delete(f"/api/checkout/v1/holds/{order['order_id']}")
    assert released.status_code == 404
    assert (await shop.read(order))["state"] == "payment_pending"


async def test_nothing_is_refused_or_answered_by_what_was_foreseen(sqlite_shop: Shop) -> None:
    memory = Memory()
    changes = changes_over(memory, sqlite_shop)
    foreseen = a_sight()

    def refuse(sight: OrderSight | None) -> Change[str]:
        if sight is foreseen:
            raise Busy("as foreseen")
        return unchanged("looked")

    await changes.settled("refund", OrderLook("ord_1"), _foreseeing(foreseen))

    assert await changes.settled("refund", OrderLook("ord_1"), refuse) == "looked"
    assert await changes.seen(OrderLook("ord_1")) is not foreseen
    assert memory.looks == 3


async def test_of_what_was_foreseen_the_oldest_is_forgotten(sqlite_shop: Shop) -> None:
    memory = Memory()
    changes = changes_over(memory, sqlite_shop)
    for number in range(FORESEEN + 1):
        look = OrderLook(f"ord_{number}")
        await changes.settled("refund", look, _foreseeing(a_sight(), look.order_id))
    before = memory.looks

    for number, more in ((0, 1), (1, 1), (FORESEEN, 1)):
        await changes.settled("refund", OrderLook(f"ord_{number}"), _decide)
        assert memory.looks == before + more


async def test_a_purchase_sees_what_was_foreseen_and_looks_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[type] = []
    compared: list[type] = []
    for way in (PostgresqlLines, SqliteLines):

        async def look(self: Any, asked: Look[Any], *, real: Any = way.look) -> Any:
            looked.append(type(asked))
            return await real(self, asked)

        async def write(
            self: Any, change: Change[Any], *, real: Any = way.write, see: Any = way.look
        ) -> bool:
            done: bool = await real(self, change)
            if done and change.foreseen is not None:
                asked, seen = change.foreseen
                assert isinstance(asked, HoldLook | OrderLook)
                key = "" if seen.key is None else seen.key.key
                assert await see(self, replace(asked, key=key)) == seen
                compared.append(type(asked))
            return done

        monkeypatch.setattr(way, "look", look)
        monkeypatch.setattr(way, "write", write)

    await shop.confirmed()

    assert compared == [HoldLook, OrderLook, OrderLook]
    assert looked == [CarLook]


@pytest.fixture
async def lines(shop: Shop) -> AsyncIterator[Lines]:
    """The way to the running shop's database."""
    service = shop.checkout.service
    outbox = Outbox("checkout", service.database, OUTBOX, shop.clock)
    opened = lines_to(service.database, outbox)
    yield opened
    await opened.close()


async def test_what_a_rule_refuses_is_raised_and_nothing_is_written(
    shop: Shop, lines: Lines
) -> None:
    order = await shop.ordered()
    before = await shop.rows("SELECT version FROM cars ORDER BY car_id")

    def refuse(sight: OrderSight | None) -> Change[str]:
        raise LookupError(sight.order.state if sight else "")

    with pytest.raises(LookupError, match="payment_pending"):
        await changes_over(lines, shop).settled("refund", OrderLook(order["order_id"]), refuse)
    assert await shop.rows("SELECT version FROM cars ORDER BY car_id") == before


async def test_of_changes_to_one_car_that_saw_the_same_exactly_one_is_written(
    shop: Shop, lines: Lines
) -> None:
    order = await shop.ordered()
    sight = (await lines.look(OrderLook(order["order_id"]))).sight
    assert sight is not None
    changes = []
    for number in range(20):
        change: Change[None] = Change(sight.car, answer=None)
        change.set(sight.payment, payment_id=f"pay_{number}")
        change.set(sight.order, message=f"number {number}")
        changes.append(change)

    written = await asyncio.gather(*[lines.write(change) for change in changes])
    again = (await lines.look(OrderLook(order["order_id"]))).sight

    assert sorted(written) == [False] * 19 + [True]
    assert again is not None
    assert again.car.version == sight.car.version + 1
    winner = written.index(True)
    assert (again.payment.payment_id, again.order.message) == (f"pay_{winner}", f"number {winner}")


async def test_what_cannot_be_written_fails_alone(shop: Shop, lines: Lines) -> None:
    """One message's id on two orders at once, and two changes that have nothing to do with it."""
    orders = [await shop.ordered(f"car_{number}") for number in range(1, 5)]
    changes = []
    for number, order in enumerate(orders):
        sight = (await lines.look(OrderLook(order["order_id"]))).sight
        assert sight is not None
        change: Change[None] = Change(sight.car, answer=None)
        event_id = "evt_of_two" if number < 2 else f"evt_{number}"
        change.put(
            PAYMENT_EVENTS,
            event_id=event_id,
            provider="sandbox",
            order_id=order["order_id"],
            type="test",
            received_at=shop.clock.now(),
        )
        changes.append(change)

    written = await asyncio.gather(*[lines.write(change) for change in changes])

    assert (sum(written[:2]), written[2:]) == (1, [True, True])
    assert await shop.rows("SELECT COUNT(*) FROM payment_events") == [(3,)]


@pytest.mark.parametrize("taken", [False, True], ids=["a new key", "one that never finished"])
async def test_of_answers_under_one_key_exactly_one_is_kept_with_its_fact(
    shop: Shop, lines: Lines, *, taken: bool
) -> None:
    claim, now = Claim("ses_1/one key", "one request"), shop.clock.now()
    if taken:
        begun = unchanged(None)
        begun.bind(claim, None, now, "ord_1")
        assert await lines.write(begun)
    seen = await lines.look(KeyLook(claim.key))
    changes = []
    for number in range(20):
        change = unchanged(None)
        change.keep(claim, seen.key, now, StoredAnswer(409, "text/plain", b"%d" % number))
        change.say(EventContext(), HoldRefused("car_1", f"att_{number}"))
        changes.append(change)

    written = await asyncio.gather(*[lines.write(change) for change in changes])
    kept = (await lines.look(KeyLook(claim.key))).key

    assert sorted(written) == [False] * 19 + [True]
    assert kept is not None
    assert kept.body == b"%d" % written.index(True)
    assert (await shop.fact_types()).count("hold.refused") == 1
