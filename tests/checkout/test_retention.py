"""What came to nothing leaves checkout after its time; what was bought or paid never does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from app.checkout.change import Change, Changes
from app.checkout.settings import CheckoutSettings
from app.kernel.clock import ManualClock
from app.kernel.errors import Unavailable
from tests.builders.shop import DECLINED, PAYS, Shop, open_shop
from tests.proofs.interruptions import Fuse, counting_sqlite


async def sizes(shop: Shop) -> dict[str, int]:
    tables = ("customers", "payments", "orders", "holds", "payment_events", "idempotency")
    return {
        table: (await shop.rows(f"SELECT COUNT(*) FROM {table}"))[0][0]  # noqa: S608
        for table in tables
    }


async def retain(shop: Shop, *, after_days: float) -> None:
    shop.clock.advance(seconds=after_days * 86_400)
    await shop.checkout.job("retention")()


async def came_to_nothing(shop: Shop, car_id: str = "car_1") -> dict[str, Any]:
    """An order whose card was refused and whose hold then ran out."""
    order = await shop.ordered(car_id)
    await shop.pay(order, DECLINED)
    shop.clock.advance(minutes=16)
    await shop.checkout.job("sweep")()
    return order


async def test_an_order_that_came_to_nothing_loses_its_customer_then_leaves_with_all_it_has(
    shop: Shop,
) -> None:
    order = await came_to_nothing(shop)

    await retain(shop, after_days=29)
    assert await sizes(shop) == {
        **dict.fromkeys(("customers", "payments", "orders", "holds", "payment_events"), 1),
        "idempotency": 0,
    }
    await retain(shop, after_days=1)
    assert (await sizes(shop))["customers"] == 0
    assert (await shop.fact_types())[-1] == "customer.erased"
    assert (await shop.read(order))["state"] == "declined"
    await retain(shop, after_days=150)

    assert await sizes(shop) == dict.fromkeys(await sizes(shop), 0)
    assert await shop.broken_invariants() == {}
    assert (await shop.hold()).status_code == 201


async def test_what_was_bought_or_paid_stays_whatever_became_of_it(shop: Shop) -> None:
    bought = await shop.confirmed("car_1")
    withdrawn = await shop.confirmed("car_2")
    await shop.act(withdrawn, "cancellation")
    too_late = await shop.ordered("car_3")
    shop.clock.advance(minutes=16)
    await shop.checkout.job("sweep")()
    await shop.withdraw_car("car_3")
    await shop.pay(too_late, PAYS)
    await shop.checkout.job("refunds")()

    for days in (31, 200, 400):
        await retain(shop, after_days=days)

    assert [(await shop.read(each))["state"] for each in (bought, withdrawn, too_late)] == [
        *("confirmed", "refunded", "refunded"),
    ]
    assert await sizes(shop) == {
        **dict.fromkeys(("customers", "payments", "orders", "holds"), 3),
        **dict.fromkeys(("payment_events", "idempotency"), 0),
    }
    assert await shop.broken_invariants() == {}


async def test_holds_that_nobody_ordered_leave_and_no_running_one_does(shop: Shop) -> None:
    given_back = await shop.held("car_1")
    path = f"/api/checkout/v1/holds/{given_back['hold_id']}"
    await shop.checkout.public.delete(path)
    await shop.held("car_2")
    shop.clock.advance(minutes=16)
    await shop.checkout.job("sweep")()
    await retain(shop, after_days=31)
    assert (await sizes(shop))["holds"] == 0

    running = await shop.held("car_3")
    await retain(shop, after_days=0.001)
    assert await shop.rows("SELECT hold_id FROM holds") == [(running["hold_id"],)]


WAITING = {
    "work": (
        "INSERT INTO work (kind, item_id, attempts, since, due_at)"
        " SELECT 'reconcile', order_id, 3, created_at, created_at FROM orders"
    ),
    "idempotency": (
        "INSERT INTO idempotency (key, fingerprint, resource_id, created_at, locked_until)"
        " SELECT 'k', 'f', order_id, created_at, created_at FROM orders"
    ),
}


@pytest.mark.parametrize("table", WAITING)
async def test_an_order_that_somebody_may_still_ask_about_stays(
    sqlite_shop: Shop, table: str
) -> None:
    shop = sqlite_shop
    await came_to_nothing(shop)
    await retain(shop, after_days=31)
    await shop.damage(
        WAITING[table],
        f"CREATE TRIGGER stays BEFORE DELETE ON {table} BEGIN SELECT RAISE(IGNORE); END",
    )
    await retain(shop, after_days=150)
    assert (await sizes(shop))["orders"] == 1

    await shop.damage("DROP TRIGGER stays", f"DELETE FROM {table}")  # noqa: S608
    await retain(shop, after_days=0)
    assert (await sizes(shop))["orders"] == 0


async def test_a_late_message_about_an_order_that_has_left_is_told_to_somebody(shop: Shop) -> None:
    order = await came_to_nothing(shop)
    (declined,) = await shop.sent_webhooks()
    for days in (31, 150):
        await retain(shop, after_days=days)

    message = orjson.loads(declined)
    paid = {
        **message,
        "event_id": "wh_late",
        "type": "payment.succeeded",
        "payment": {**message["payment"], "state": "succeeded"},
    }
    answers = [await shop.webhook(body) for body in (declined, orjson.dumps(paid))]

    assert [each.json() for each in answers] == [{"result": "ignored"}, {"result": "unknown_order"}]
    told = {"service": "checkout", "provider": "sandbox", "result": "unknown_order"}
    assert shop.metric("checkout_webhooks_total", **told) == 1
    assert (await sizes(shop))["payment_events"] == 0
    gone = await shop.checkout.public.get(
        f"/api/checkout/v1/orders/{order['order_id']}",
        headers={"authorization": f"Bearer {order['order_token']}"},
    )
    assert (gone.status_code, gone.json()["type"]) == (404, "/problems/order-unknown")


async def test_money_that_comes_while_an_order_is_leaving_is_told_to_somebody(shop: Shop) -> None:
    """Whoever decided about the order as it was has to look again, and finds none."""
    order = await shop.ordered()
    shop.clock.advance(minutes=16)
    await shop.checkout.job("sweep")()
    await retain(shop, after_days=31)
    shop.clock.advance(days=150)
    changes = next(
        owner
        for hook in shop.checkout.service.close
        if isinstance(owner := getattr(hook, "__self__", None), Changes)
    )
    lines: Any = changes._lines
    write: Callable[[Change[Any]], Awaitable[bool]] = lines.write

    async def outrun(change: Change[Any]) -> bool:
        lines.write = write
        await shop.checkout.job("retention")()
        return await write(change)

    lines.write = outrun
    await shop.pay(order, PAYS)

    told = {"service": "checkout", "provider": "sandbox", "result": "unknown_order"}
    assert shop.metric("checkout_webhooks_total", **told) == 1
    assert await sizes(shop) == dict.fromkeys(await sizes(shop), 0)
    assert await shop.broken_invariants() == {}


@pytest.mark.parametrize("after", [False, True], ids=["before_it", "right_after_it"])
async def test_broken_off_at_any_statement_everything_holds(
    tmp_path: Path, clock: ManualClock, *, after: bool
) -> None:
    fuse = Fuse()
    with counting_sqlite(fuse):
        async with open_shop(tmp_path, clock, {}) as shop:
            await came_to_nothing(shop)
            await shop.confirmed("car_2")
            for days in (31, 150):
                shop.clock.advance(days=days)
                statement, blown = 0, True
                while blown:
                    statement += 1
                    fuse.arm(statement, after=after)
                    try:
                        await shop.checkout.job("retention")()
                    except Unavailable:
                        pass
                    finally:
                        fuse.disarm()
                    blown = fuse.blown
                    assert await shop.broken_invariants() == {}, f"broken off at {statement}"
            assert (await sizes(shop))["orders"] == 1
            assert statement > 8


async def test_over_five_hundred_days_only_what_was_bought_adds_up(sqlite_shop: Shop) -> None:
    shop, grown = sqlite_shop, []
    for number in range(13):
        shop.clock.advance(days=40)
        await shop.list_car(f"bought_{number}")
        await shop.confirmed(f"bought_{number}")
        await came_to_nothing(shop)
        await shop.checkout.job("retention")()
        bought = dict.fromkeys(("customers", "payments", "orders", "holds"), number + 1)
        found = await sizes(shop)
        grown.append({table: size - bought.get(table, 0) for table, size in found.items()})

    most = {"customers": 1, "payments": 5, "orders": 5, "holds": 5}
    assert grown[5:] == [{**most, "payment_events": 10, "idempotency": 4}] * 8
    assert await shop.broken_invariants() == {}


# --- orders of one hold ----------------------------------------------------------------------


async def test_a_hold_takes_so_many_orders_and_no_more(shop: Shop) -> None:
    hold = await shop.held()
    orders = [(await shop.order(hold["hold_id"])) for _ in range(20)]
    refused = await shop.order(hold["hold_id"], key='"one too many"')
    again = await shop.order(hold["hold_id"], key='"one too many"')

    assert {each.status_code for each in orders} == {201}
    assert (refused.status_code, refused.json()["type"], refused.json()["car_id"]) == (
        *(409, "/problems/too-many-orders"),
        "car_1",
    )
    assert (again.content, again.headers["idempotency-replayed"]) == (refused.content, "true")
    assert (await sizes(shop))["orders"] == 20
    await shop.pay(orders[-1].json(), PAYS)
    assert (await shop.read(orders[-1].json()))["state"] == "confirmed"
    assert await shop.broken_invariants() == {}


# --- what is kept of a refusal ---------------------------------------------------------------


async def test_a_lost_race_is_kept_without_the_cars_like_it_and_told_again_with_them(
    shop: Shop,
) -> None:
    await shop.held()
    lost = await shop.hold(key='"too late"')
    again = await shop.hold(key='"too late"')

    ((kept,),) = await shop.rows("SELECT body FROM idempotency WHERE status = 409")
    assert orjson.loads(bytes(kept))["similar_cars"] == []
    assert len(kept) < 500 < len(lost.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.content) == (409, lost.content)


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "why"),
    [
        ({"customers_days": 6}, "greater than or equal to 7"),
        ({"orders_days": 29}, "greater than or equal to 30"),
        ({"customers_days": 200}, None),
        ({"customers_days": 60, "orders_days": 40}, "at least CHECKOUT_CUSTOMERS_DAYS"),
        ({"holds_days": 0}, "greater than or equal to 1"),
    ],
)
def test_what_would_leave_too_early_is_refused(days: dict[str, int], why: str | None) -> None:
    with pytest.raises(ValidationError, match=why or "CHECKOUT_CUSTOMERS_DAYS"):
        CheckoutSettings(**days)  # type: ignore[arg-type]
