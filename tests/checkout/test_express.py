"""The express lane does what the careful path does, and steps aside for everything else."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from app.checkout.store import Store
from app.checkout.store_postgresql import arguments_of
from app.kernel.clock import ManualClock
from tests.builders.shop import PAYS, Shop, open_shop
from tests.conftest import NewDatabase

TABLES = {
    "cars": "car_id",
    "holds": "created_at, hold_id",
    "orders": "created_at, order_id",
    "payments": "created_at, order_id",
    "payment_events": "received_at, event_id",
    "idempotency": "created_at, key",
    "outbox": "id",
    "(SELECT order_id, email_index FROM customers) AS found": "order_id",
}
"""What a purchase writes, and an order that two shops agree on. Customers are sealed: never the
same bytes twice."""

_FRESH = re.compile(
    r"\b(hld|ord|evt|pay|wh)_[0-9a-z]{26}|00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]|[0-9a-f]{64}"
)


async def _everything(shop: Shop) -> str:
    """All rows, with whatever is drawn afresh replaced by its order of appearance.

    How often a car's version went up is its lane's own business: it comes last, and is left out.
    """
    shown = [
        repr(row[:-1] if table == "cars" else row)
        for table, order in TABLES.items()
        for row in await shop.rows(f"SELECT * FROM {table} ORDER BY {order}")  # noqa: S608
    ]
    names: dict[str, str] = {}
    return _FRESH.sub(
        lambda found: names.setdefault(found[0], f"<{found[1] or 'drawn'} {len(names)}>"),
        "\n".join(shown),
    )


async def _purchase(shop: Shop) -> None:
    hold = (await shop.hold(key='"hold-key-1"')).json()
    shop.clock.advance(seconds=20)
    order = (await shop.order(hold["hold_id"], key='"order-key-1"')).json()
    shop.clock.advance(seconds=40)
    await shop.pay(order, PAYS)


async def test_both_lanes_leave_the_same_rows_and_facts(
    tmp_path: Path,
    clock: ManualClock,
    new_database: NewDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = {}
    for lane in ("true", "false"):
        monkeypatch.setenv("CHECKOUT_EXPRESS", lane)
        databases = {name: new_database(f"{name}_{lane}") for name in ("checkout", "sandbox")}
        beginning = ManualClock(clock.now())
        async with open_shop(tmp_path / lane, beginning, databases) as shop:
            await _purchase(shop)
            left[lane] = await _everything(shop)

    assert left["true"].splitlines() == left["false"].splitlines()
    assert "order.confirmed" in left["true"]


async def test_a_common_purchase_never_needs_the_careful_path(
    tmp_path: Path,
    clock: ManualClock,
    new_database: NewDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    databases = {name: new_database(name) for name in ("checkout", "sandbox")}
    async with open_shop(tmp_path, clock, databases) as shop:

        def begin(_: Store) -> Any:
            raise AssertionError("the careful path was taken")

        monkeypatch.setattr(Store, "begin", begin)
        await _purchase(shop)

        assert await shop.fact_types() == [
            *("hold.placed", "car.state_changed", "order.submitted"),
            *("payment.attempted", "order.confirmed", "car.state_changed"),
        ]
        assert await shop.car() == "reserved"
        assert await shop.broken_invariants() == {}


PURCHASE = [
    *("hold.placed", "car.state_changed"),
    "order.submitted",
    *("payment.attempted", "order.confirmed", "car.state_changed"),
]


async def test_sixteen_shoppers_of_sixteen_cars_all_succeed_at_once(
    tmp_path: Path, clock: ManualClock, new_database: NewDatabase
) -> None:
    databases = {name: new_database(name) for name in ("checkout", "sandbox")}
    async with open_shop(tmp_path, clock, databases, cars=16) as shop:

        async def buy(number: int) -> dict[str, Any]:
            address = {"x-forwarded-for": f"203.0.113.{number}"}
            hold = (await shop.hold(f"car_{number}", **address)).json()
            order: dict[str, Any] = (await shop.order(hold["hold_id"], headers=address)).json()
            await shop.pay(order, PAYS)
            return await shop.read(order)

        orders = await asyncio.gather(*[buy(number) for number in range(1, 17)])

        assert [order["state"] for order in orders] == ["confirmed"] * 16
        positions = [event.position for event in await shop.facts()]
        assert positions == list(range(1, 16 * 6 + 1))
        cars = {order["order_id"]: order["car_id"] for order in orders}
        of_one_car: dict[str, list[str]] = {}
        for event in await shop.facts():
            car = event.data.get("car_id") or cars[event.data["order_id"]]
            of_one_car.setdefault(car, []).append(event.type.removeprefix("checkout."))
        assert list(of_one_car.values()) == [PURCHASE] * 16
        assert await shop.broken_invariants() == {}


async def test_a_key_that_two_requests_race_with_holds_one_car_only(shop: Shop) -> None:
    answers = await asyncio.gather(
        *[shop.hold(f"car_{1 + number % 2}", key='"one-key-for-two"') for number in range(8)]
    )

    assert sorted({answer.status_code for answer in answers}) == [201, 422]
    assert await shop.rows("SELECT COUNT(*) FROM holds") == [(1,)]


async def test_a_webhook_that_arrives_eight_times_at_once_is_applied_once(shop: Shop) -> None:
    order = await shop.ordered()
    await shop.pay(order, PAYS)
    (body,) = await shop.sent_webhooks()
    fresh = body.replace(b'"event_id":"wh_', b'"event_id":"wx_')

    answers = await asyncio.gather(*[shop.webhook(fresh) for _ in range(8)])

    results = sorted(answer.json()["result"] for answer in answers)
    assert results == ["applied"] + ["duplicate"] * 7
    assert (await shop.fact_types()).count("order.confirmed") == 1


async def test_a_lane_that_fails_is_told_and_the_shop_goes_on(shop: Shop, lane: str) -> None:
    if shop.checkout.service.database.dialect == "sqlite" or lane == "careful":
        return  # nothing of SQLite's lane can fail that the careful path does not need too
    await shop.damage("ALTER FUNCTION room_for_hold RENAME TO gone")

    answer = await shop.hold()

    assert answer.status_code == 201
    failed = shop.metric(
        "checkout_express_effects_total", service="checkout", effect="place_hold", result="failed"
    )
    assert failed == 1


def test_the_lane_connects_with_the_options_of_the_pool() -> None:
    url = "postgresql+asyncpg://shop:p%40ss@db:5433/checkout?ssl=require"

    assert arguments_of(f"{url}&prepared_statement_cache_size=0") == {
        "host": "db",
        "port": 5433,
        "user": "shop",
        "password": "p@ss",
        "database": "checkout",
        "ssl": "require",
    }
