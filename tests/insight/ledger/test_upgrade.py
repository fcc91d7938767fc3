"""A ledger of the version before goes on: its rows become entries, and its numbers balance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData

import app.insight
from app.frame.data.database import Database
from app.frame.data.migrations import migrate
from app.insight.ledger.invariants import violations
from app.insight.ledger.periods import Period
from app.insight.ledger.projections import Projection
from app.insight.ledger.readings import Readings
from app.insight.ledger.store import Store
from app.insight.models import METADATA
from app.kernel.clock import ManualClock
from tests.builders.facts import HUMAN, START, Writer, cancelled, purchase, shopper

SE = {
    "market": "SE",
    "channel": "web",
    "device": "phone",
    "entry": "direct",
    "traffic": "human",
}
API = SE | {"channel": "api", "device": "unknown"}
PRICE = 48_990_000


def _session(number: int, *, bought: bool) -> dict[str, Any]:
    return {
        "session_id": f"ses_{number}",
        **SE,
        "started_at": START,
        "first_seen": START,
        "last_seen": START,
        "views": 2,
        "key_event": bought,
        "ordered": bought,
        "advised": False,
        "engaged": True,
        "converted": bought,
    }


def _steps(subject: str, segment: dict[str, str], *steps: str) -> list[dict[str, Any]]:
    return [
        {"subject": subject, "funnel": "shop", "step": step, "at": START, **segment}
        for step in steps
    ]


def _once(subject: str, step: str) -> dict[str, Any]:
    return {"subject": subject, "funnel": "once", "step": step, "at": START, **SE}


def _checkout(name: str, segment: dict[str, str], counted_as: str, result: str) -> dict[str, Any]:
    return {
        "checkout_id": name,
        **segment,
        "started_at": START,
        "ended_at": START,
        "counted_as": counted_as,
        "result": result,
        "trace_id": "",
    }


def _order(name: str, segment: dict[str, str], state: str, **more: Any) -> dict[str, Any]:
    return {
        "order_id": name,
        "hold_id": f"hld_{name}",
        "car_id": f"car_{name}",
        "model_id": "norrsken",
        **segment,
        "state": state,
        "provider": "sandbox",
        "price": PRICE,
        "currency": "SEK",
        "campaign": "black-week",
        "release": "",
        "submitted_at": START,
        "confirmed_at": START,
        "order_seconds": 21.0,
        "confirmation_seconds": 0.8,
        "submitted_trace": "",
        "payment_trace": "",
        "confirmed_trace": "",
        **more,
    }


BUYING = ("session", "car_view", "hold", "details", "payment", "order")
ROWS: dict[str, list[dict[str, Any]]] = {
    "sessions": [_session(1, bought=True), _session(2, bought=False)],
    "steps": [
        *_steps("ses_1", SE, *BUYING),
        *_steps("ses_2", SE, "session", "hold"),
        *_steps("hld_3", API, "hold", "details", "order"),
        _once("3", "cancelled"),
        _once("3", "lost"),
        _once("1", "feedback"),
        _once("ses_2", "crash"),
    ],
    "checkouts": [
        _checkout("hld_1", SE, "ordered", "ordered"),
        _checkout("hld_2", SE, "expired", "expired"),
        _checkout("hld_3", API, "expired", "ordered"),
    ],
    "orders": [
        _order("1", SE, "confirmed"),
        _order("2", SE, "expired", confirmed_at=None, ended_at=START),
        _order("3", API, "refunded", ended_at=START + timedelta(days=1)),
    ],
}


def _counted(metric: str, value: int, segment: dict[str, str], part: str = "", **own: str) -> Any:
    labels = orjson.dumps(segment | own, option=orjson.OPT_SORT_KEYS).decode()
    return {"metric": metric, "labels": labels, "part": part, "value": value}


COUNTERS = [
    _counted("shop_sessions_total", 2, SE),
    _counted("shop_sessions_engaged_total", 2, SE),
    _counted("shop_sessions_converted_total", 1, SE),
    *(_counted("shop_funnel_steps_total", 1, SE, step=each) for each in BUYING[3:]),
    _counted("shop_funnel_steps_total", 2, SE, step="session"),
    _counted("shop_funnel_steps_total", 1, SE, step="car_view"),
    _counted("shop_funnel_steps_total", 2, SE, step="hold"),
    *(_counted("shop_funnel_steps_total", 1, API, step=each) for each in ("hold", "order")),
    _counted("shop_checkouts_started_total", 2, SE),
    _counted("shop_checkouts_started_total", 1, API),
    _counted("shop_checkouts_ended_total", 1, SE, result="ordered"),
    _counted("shop_checkouts_ended_total", 1, SE, result="expired"),
    _counted("shop_checkouts_ended_total", 1, API, result="expired"),
    *(_counted("shop_orders_total", 1, segment) for segment in (SE, API)),
    *(_counted("shop_order_value_total", PRICE, each, currency="SEK") for each in (SE, API)),
    _counted("shop_order_value_lost_total", PRICE, API, currency="SEK", loss="cancelled"),
    _counted("shop_orders_cancelled_total", 1, API),
    *(_counted("shop_order_duration_seconds", 1, each, "30.0") for each in (SE, API)),
    *(_counted("shop_order_duration_seconds", 21_000_000, each, "sum") for each in (SE, API)),
    *(_counted("shop_confirmation_duration_seconds", 1, each, "1.0") for each in (SE, API)),
    *(_counted("shop_confirmation_duration_seconds", 800_000, each, "sum") for each in (SE, API)),
    *(_counted("shop_campaign_orders_total", 1, e, campaign="black-week") for e in (SE, API)),
    _counted("shop_csat_responses_total", 1, SE, score="5"),
]


async def _before(database: Database) -> None:
    """The ledger as the version before left it."""
    known = MetaData()

    def run(connection: Connection) -> None:
        config = Config()
        migrations = Path(app.insight.__file__).parent / "migrations"
        config.set_main_option("script_location", str(migrations))
        config.attributes["connection"] = connection
        config.attributes["metadata"] = METADATA
        command.upgrade(config, "0006")
        known.reflect(connection)

    async with database.transaction() as transaction:
        await transaction.run_sync(run)
        for name, rows in {**ROWS, "counters": COUNTERS}.items():
            for row in rows:
                naive = database.dialect == "sqlite"
                stored = {
                    key: value.replace(tzinfo=None) if naive and hasattr(value, "tzinfo") else value
                    for key, value in row.items()
                }
                await transaction.execute(known.tables[name].insert().values(**stored))


async def test_a_ledger_of_before_balances_and_goes_on(new_database: Callable[[str], str]) -> None:
    database = Database(new_database("insight"))
    clock = ManualClock(START + timedelta(days=2))
    store = Store(database)
    projection = Projection(store, clock, lambda: 0.0)
    readings = Readings(store)
    try:
        await _before(database)
        await migrate(database, "insight", METADATA)
        assert await projection.restate() > 0
        assert await projection.restate() == 0

        assert violations(await readings.totals()) == []
        day = Period(START - timedelta(hours=1), START + timedelta(hours=1))
        shop = await readings.shop(day)
        assert (shop.sessions, shop.converted, shop.orders) == (2, 1, 2)
        assert shop.steps == dict(zip(BUYING, (2, 2, 2, 1, 1, 1), strict=True))
        assert shop.ends == {"ordered": 2, "expired": 1}
        assert shop.order_value_lost["cancelled"] == {"SEK": PRICE}
        _, restated = await store.exported()
        assert restated["shop_csat_responses_total", "down", "rules"] == 1
        assert restated["shop_checkouts_ended_total", "up", "rules"] == 1
        assert not [key for key in restated if key[0] == "shop_orders_total"]

        writer = Writer()
        told = writer.events([cancelled(HUMAN, "1"), *purchase(shopper(9), "9")])
        told[0] = replace(told[0], data={**told[0].data, "order_id": "1"})
        async with store.writing() as transaction:
            await projection.apply(transaction, told)
        assert violations(await readings.totals()) == []
        shop = await readings.shop(day)
        assert (shop.sessions, shop.orders) == (3, 3)
        assert shop.order_value_lost["cancelled"] == {"SEK": 2 * PRICE}
    finally:
        await database.close()
