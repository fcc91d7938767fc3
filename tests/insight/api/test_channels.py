"""Results by channel group: exact, and in sum the funnel report's."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import Any

from sqlalchemy import update

from app.insight.models import ORDERS, SESSIONS
from app.kernel.channels import CHANNEL_GROUPS
from tests.builders.facts import (
    HUMAN,
    Stated,
    confirmed,
    hold,
    purchase,
    shopper,
    submitted,
    visit,
)
from tests.insight.api.test_api import DAY, KEY, REPORT, caller
from tests.insight.conftest import World, run_job

CHANNELS = "/api/insight/v1/reports/channels"
SUMS = ("sessions", "engaged_sessions", "converted_sessions", "orders")


def _day() -> list[Stated]:
    """Eight visits: of the group's own, without a group, of a robot, from another market."""
    finn, robot = shopper(5, market="FI"), shopper(6, traffic="bot")
    bare = replace(HUMAN, session_id="", channel="api")
    back = shopper(7)  # came by search, and once more by a letter
    return [
        *purchase(HUMAN, "1", channel_group="email", utm_source="letter", utm_medium="email"),
        *visit(shopper(2), channel_group="email"),
        *visit(shopper(3), channel_group="paid_search"),
        *visit(shopper(4)),
        *purchase(finn, "5", channel_group="ai_assistant", utm_source="chatgpt.com"),
        *visit(robot, channel_group="referral"),
        *visit(back, ("home", "car"), channel_group="organic_search"),
        hold(back, "7"),
        submitted(back, "7", price=1_000, channel_group="email"),
        confirmed(back, "7", price=1_000),
        submitted(bare, "8", price=2_000),  # an order without a session
        confirmed(bare, "8", price=2_000),
    ]


def _row(group: str, *counts: int, conversion: float | None, value: int = 0) -> dict[str, Any]:
    return {
        "channel_group": group,
        **dict(zip(SUMS, counts, strict=True)),
        "conversion": conversion,
        "order_value": [{"amount": value, "currency": "SEK"}] if value else [],
    }


async def test_each_session_and_order_is_in_one_group_on_both_databases(
    world_on_each: World,
) -> None:
    service = await world_on_each.replica()
    await world_on_each.state(_day())
    await run_job(service, "consume-")
    async with caller(service) as client:
        body = (await client.get(CHANNELS, params=DAY, headers=KEY)).json()

    rows = body.pop("channels")
    assert [row["channel_group"] for row in rows] == list(CHANNEL_GROUPS)
    assert [row for row in rows if row["sessions"] or row["orders"]] == [
        _row("paid_search", 1, 0, 0, 0, conversion=0.0),
        _row("ai_assistant", 1, 1, 1, 1, conversion=1.0, value=48_990_000),
        _row("organic_search", 1, 1, 1, 0, conversion=1.0),
        _row("email", 2, 1, 1, 2, conversion=0.5, value=48_991_000),
        _row("unassigned", 1, 0, 0, 1, conversion=0.0, value=2_000),
    ]
    assert body == {
        "from": "2026-11-27T00:00:00.000Z",
        "to": "2026-11-28T00:00:00.000Z",
        "traffic": "human",
        "market": "all",
        "complete": True,
        "kept_since": None,
        "as_of": body["as_of"],
        "filters": {"traffic": "human"},
        "by": [],
        "total": {
            "sessions": 6,
            "engaged_sessions": 3,
            "converted_sessions": 3,
            "conversion": 0.5,
            "orders": 4,
            "order_value": [{"amount": 97_983_000, "currency": "SEK"}],
        },
    }


async def test_the_parts_sum_to_the_funnel_whatever_is_asked(world: World) -> None:
    service = await world.replica()
    await world.state(_day())
    await run_job(service, "consume-")
    async with service.database.transaction() as transaction:  # as the version before booked them
        before = {"channel_group": None, "utm_source": None, "utm_medium": None}
        one = update(SESSIONS).where(SESSIONS.c.session_id == "ses_3")
        await transaction.execute(one.values(before))
        await transaction.execute(update(ORDERS).where(ORDERS.c.order_id == "ord_5").values(before))
    asked = [
        {**DAY, **more}
        for more in (
            {},
            {"traffic": "all"},
            {"traffic": "bot"},
            {"market": "FI"},
            {"to": "2026-11-27T09:00:01Z"},
        )
    ]
    async with caller(service) as client:
        pairs = [
            [
                (await client.get(path, params=each, headers=KEY)).json()
                for path in (REPORT, CHANNELS)
            ]
            for each in asked
        ]
    for funnel, channels in pairs:
        rows, total = channels["channels"], channels["total"]
        whole = {name: funnel[name] for name in (*SUMS, "conversion", "order_value")}
        assert total == whole
        assert {name: sum(row[name] for row in rows) for name in SUMS} == {
            name: funnel[name] for name in SUMS
        }


async def test_the_report_comes_as_csv_with_a_line_for_all(world: World) -> None:
    service = await world.replica()
    await world.state(_day())
    await run_job(service, "consume-")
    async with caller(service) as client:
        answer = await client.get(CHANNELS, params={**DAY, "format": "csv"}, headers=KEY)
        stranger = await client.get(CHANNELS, params=DAY)

    assert stranger.status_code == 401
    assert answer.headers["content-type"].startswith("text/csv")
    head, *lines = list(csv.reader(answer.text.splitlines()))
    assert head == ["channel_group", *SUMS[:3], "conversion", "orders", "order_value.SEK"]
    assert [line[0] for line in lines] == [*CHANNEL_GROUPS, "total"]
    assert lines[13] == ["email", "2", "1", "1", "0.5", "2", "48991000"]
    assert lines[-1] == ["total", "6", "3", "3", "0.5", "4", "97983000"]
