"""What a report said stays askable, and what became another number says why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.contracts import events as facts
from app.frame.start.service import Service
from tests.builders.facts import (
    HUMAN,
    Stated,
    cancelled,
    confirmed,
    hold,
    purchase,
    released,
    shopper,
    submitted,
    visit,
)
from tests.insight.conftest import World, exported, run_job

REPORTS = "/api/insight/v1/reports/"
DAY = {"from": "2026-11-27T00:00:00Z", "to": "2026-11-28T00:00:00Z"}
KEY = {"authorization": "Bearer test-report_key"}
NAMES = (
    *("funnel", "markets", "channels", "cohorts", "customers"),
    *("experience", "satisfaction", "advice"),
)
FORMS = [(name, form) for name in NAMES for form in ("json", "csv")]
WEEK = 7 * 86_400.0


async def asked(service: Service, report: str, **query: str) -> httpx.Response:
    transport = httpx.ASGITransport(service.api)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return await client.get(f"{REPORTS}{report}", params=DAY | query, headers=KEY)


async def monday(world: World) -> tuple[Service, dict[tuple[str, str], httpx.Response]]:
    """The reports of a day as they are when everything of it seems to have been told."""
    service = await world.replica()
    await world.state(
        [
            *purchase(HUMAN, "1"),
            *visit(shopper(2)),
            hold(shopper(2), "2"),
            submitted(shopper(2), "2"),
            released(shopper(2), "2", "expired"),
            *visit(shopper(3), ("home", "cars", "car")),
        ]
    )
    await run_job(service, "consume-")
    return service, {(name, form): await asked(service, name, format=form) for name, form in FORMS}


async def later(world: World, service: Service) -> None:
    """A week on: a cancelled order, a program found out; and told late, a visit and a payment."""
    await world.state([*visit(shopper(4)), confirmed(shopper(2), "2", late=True)])
    suspected = facts.SessionSuspected("ses_3", "pace")
    await world.state(
        [
            replace(cancelled(HUMAN, "1"), after=WEEK),
            Stated("storefront", suspected, shopper(3), WEEK),
        ]
    )
    await run_job(service, "consume-")


async def test_last_mondays_reports_are_the_same_bytes_a_week_later(world_on_each: World) -> None:
    service, before = await monday(world_on_each)
    as_of = before["funnel", "json"].json()["as_of"]
    await later(world_on_each, service)

    for (name, form), old in before.items():
        again = await asked(service, name, format=form, as_of=as_of)
        assert again.content == old.content
        now = await asked(service, name, format=form)
        moved = now.content != old.content
        assert moved or name not in ("funnel", "channels")


async def test_what_moved_says_what_it_was_what_it_is_and_why(world_on_each: World) -> None:
    service, before = await monday(world_on_each)
    known_at = before["funnel", "json"].json()["as_of"]
    await later(world_on_each, service)
    now = (await asked(service, "funnel")).json()

    report = (await asked(service, "restatements", known_at=known_at)).json()
    sheet = (await asked(service, "restatements", known_at=known_at, format="csv")).text

    moved = {(each["measure"], each["label"]): each for each in report["restated"]}
    expected: dict[tuple[str, str], dict[str, Any]] = {
        ("session", ""): {"was": 3, "is": 3, "because": {"late": 1, "suspect": -1}},
        ("step.car_view", "car_view"): {"was": 3, "is": 2, "because": {"suspect": -1}},
        ("checkout_end", "expired"): {"was": 1, "is": 0, "because": {"late_payment": -1}},
        ("checkout_end", "ordered"): {"was": 1, "is": 2, "because": {"late_payment": 1}},
        ("order", ""): {"was": 1, "is": 2, "because": {"late": 1}},
        ("order_value_lost", "SEK|cancelled"): {
            "was": 0,
            "is": 48_990_000,
            "because": {"late": 48_990_000},
        },
    }
    for cell, row in expected.items():
        assert {name: moved[cell][name] for name in row} == row, cell
    assert now["checkouts"]["ordered"] == moved["checkout_end", "ordered"]["is"]
    assert now["orders"] == moved["order", ""]["is"]
    assert "checkout_end,expired,1,0,late_payment,-1\n" in sheet
    assert (await asked(service, "restatements", known_at=now["as_of"])).json()["restated"] == []


async def test_counters_stay_as_first_booked_and_what_moved_stands_beside_them(
    world: World,
) -> None:
    service, _ = await monday(world)
    counted = exported(service, lambda name: name.startswith("shop_"))
    await later(world, service)
    await run_job(service, "ledger-snapshot")
    after = exported(service, lambda name: name.startswith("shop_"))
    assert all(after.get(name, 0) >= value for name, value in counted.items())

    moved = exported(service, lambda name: name == "ledger_restated_total")
    assert {
        tuple(value for _, value in labels): amount
        for (_, labels), amount in moved.items()
        if dict(labels)["metric"] in ("shop_sessions_total", "shop_checkouts_ended_total")
    } == {
        ("down", "shop_sessions_total", "suspect"): 1,
        ("up", "shop_sessions_total", "suspect"): 1,
        ("down", "shop_checkouts_ended_total", "late_payment"): 1,
        ("up", "shop_checkouts_ended_total", "late_payment"): 1,
    }


@pytest.mark.parametrize("as_of", ["yesterday", "2026-11-27", "2026-11-27T10:00:00"])
async def test_a_moment_that_is_none_is_refused_and_named(world: World, as_of: str) -> None:
    service = await world.replica()
    answer = await asked(service, "funnel", as_of=as_of)
    assert answer.status_code == 422
    assert "as_of" in answer.text
