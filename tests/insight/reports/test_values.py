"""Reports of a scripted week have the numbers that were worked out by hand, on both databases."""

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
    refused,
    released,
    shopper,
    submitted,
    visit,
)
from tests.insight.conftest import World, run_job

REPORTS = "/api/insight/v1/reports/"
WEEK = {"from": "2026-11-23T00:00:00Z", "to": "2026-11-30T00:00:00Z"}
KEY = {"authorization": "Bearer test-report_key"}
DAY = 86_400.0


async def asked(service: Service, report: str, **query: str) -> httpx.Response:
    transport = httpx.ASGITransport(service.api)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return await client.get(f"{REPORTS}{report}", params=query, headers=KEY)


async def told(world: World, stated: list[Stated]) -> Service:
    service = await world.replica()
    await world.state(stated)
    await run_job(service, "consume-")
    world.clock.advance(minutes=31)
    await run_job(service, "close-sessions")
    return service


def later(stated: list[Stated], days: float) -> list[Stated]:
    return [replace(one, after=one.after + days * DAY) for one in stated]


def known(number: int, visitor: str, **changes: object) -> Any:
    return shopper(number, visitor_id=visitor, **changes)


def _shopping() -> list[Stated]:
    """Six visits of three known and two unknown people; three orders, two races and an end."""
    finn = known(3, "vis_b", market="FI", device="desktop")
    priced = [submitted(shopper(4), "4", price=700), confirmed(shopper(4), "4", price=700)]
    return [
        *visit(known(1, "vis_a"), ("home", "car")),
        *later(purchase(known(2, "vis_a"), "2"), 1),  # she comes back, and buys
        *visit(finn),
        *visit(shopper(4), ("home", "car")),
        hold(shopper(4), "4"),
        *priced,
        cancelled(shopper(4), "4"),
        refused(finn, "3"),
        *visit(known(5, "vis_c")),
        hold(known(5, "vis_c"), "5"),
        released(known(5, "vis_c"), "5", "abandoned"),
        *visit(shopper(6)),
        Stated("storefront", facts.BrowserCrashed("1.0.0", "ses_6"), shopper(6), 5),
    ]


async def test_the_funnel_has_every_number_of_the_scripted_week(world_on_each: World) -> None:
    service = await told(world_on_each, _shopping())
    report = (await asked(service, "funnel", **WEEK, by="market", steps="car_view,order")).json()

    total = report["total"]
    assert total["sessions"] == 6
    assert total["views"] == 2 + 3 + 1 + 2 + 1 + 1
    assert total["visitors"] == {
        "visitors": 3,
        "sessions": 4,
        "share_of_sessions": 4 / 6,
        "converted_30_days": 1,
        "conversion_30_days": 1 / 3,
    }
    assert total["bounce"] == 1 / 6
    assert total["crash_free_sessions"] == 5 / 6
    assert total["checkouts"] == {
        "started": 4,
        "ordered": 2,
        "abandoned": 1,
        "sold_out": 1,
        "declined": 0,
        "expired": 0,
        "open": 0,
    }
    assert total["abandonment"] == {
        "rate": 1 / 3,
        "unfinished": 1,
        "abandoned": 1 / 3,
        "declined": 0.0,
        "expired": 0.0,
    }
    assert total["average_order_value"] == [{"amount": 48_990_700 / 2, "currency": "SEK"}]
    assert total["median_order_value"] == [{"amount": 700, "currency": "SEK"}]
    assert total["order_value_lost"]["cancelled"] == [{"amount": 700, "currency": "SEK"}]
    assert total["order_seconds"] == {"n": 2, "p50": 21.0, "p95": 21.0}
    assert total["asked_steps"] == {
        "car_view": {"sessions": 4, "of_step_before": None},  # who held a car has seen it
        "order": {"sessions": 2, "of_step_before": 0.5},
    }
    rows = {row["market"]: row for row in report["rows"]}
    assert {market: row["sessions"] for market, row in rows.items()} == {"FI": 1, "SE": 5}
    assert rows["FI"]["visitors"]["visitors"] == 1
    assert rows["FI"]["order_seconds"] == {"n": 0, "p50": None, "p95": None}


async def test_a_period_is_compared_with_the_one_before_by_day(world_on_each: World) -> None:
    visits = [visit(shopper(number)) for number in range(1, 8)]
    service = await told(
        world_on_each,
        [each for one in visits[:2] for each in one]
        + [each for one in visits[2:] for each in later(one, 7)],
    )
    week = {"from": "2026-12-04T00:00:00Z", "to": "2026-12-05T00:00:00Z"}
    before = {"from": "2026-11-27T00:00:00Z", "to": "2026-11-28T00:00:00Z"}
    seven = {"from": "2026-11-30T00:00:00Z", "to": "2026-12-07T00:00:00Z"}
    report = (await asked(service, "funnel", **seven, by="day", compare="previous")).json()
    assert report["compared_with"] == {
        "from": "2026-11-23T00:00:00.000Z",
        "to": "2026-11-30T00:00:00.000Z",
        "complete": True,
    }
    assert [row["day"] for row in report["rows"]] == ["2026-12-04"]
    row = report["rows"][0]
    assert (row["sessions"], row["before"]["sessions"]) == (5, 2)
    assert row["change"]["sessions"] == {"absolute": 3, "relative": 1.5}
    assert report["total"]["change"]["sessions"] == row["change"]["sessions"]
    alone = (await asked(service, "funnel", **before)).json()["total"]
    year = (await asked(service, "funnel", **week, compare="year")).json()["total"]
    assert row["before"] == alone
    assert year["change"]["sessions"] == {"absolute": 5, "relative": None}
    sheet = await asked(service, "funnel", **seven, by="day", compare="previous", format="csv")
    head, line, whole = sheet.text.splitlines()
    cells = dict(zip(head.split(","), line.split(","), strict=True))
    assert cells["change.sessions.absolute"] == "3"
    assert cells["before.sessions"] == "2"
    assert whole.startswith("total,5,")


async def test_cohorts_retain_and_withhold_and_orders_come_back(world_on_each: World) -> None:
    stated: list[Stated] = []
    for number in range(1, 8):  # seven come first on Friday
        stated += visit(known(number, f"vis_{number}"))
    for number in range(1, 6):  # five of them come back on the sixth day
        stated += later(visit(known(number + 10, f"vis_{number}")), 6)
    stated += later(visit(known(30, "vis_7")), 0.5)  # half a day on is no coming back
    stated += later(visit(known(31, "vis_6")), 20)
    stated += later(visit(known(40, "vis_new")), 7)  # a cohort of one
    for number in range(41, 45):  # and one of four
        stated += later(visit(known(number, f"vis_{number}")), 14)
    for number in (51, 52, 53):
        stated += purchase(shopper(number), str(number))
    for number in (51, 52):
        handed = facts.CarHandedOver(f"ord_{number}", f"car_{number}")
        stated.append(Stated("checkout", handed, HUMAN, 9 * DAY))
    back = facts.OrderReturned("ord_51", "car_51", "changed_mind")
    stated.append(Stated("checkout", back, HUMAN, 12 * DAY))
    service = await told(world_on_each, stated)
    month = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-31T00:00:00Z"}
    report = (await asked(service, "cohorts", **month)).json()

    rows = {row["cohort"]: row for row in report["rows"]}
    first = rows["2026-11-23"]["visitors"]
    assert (first["size"], first["churn"]) == (7, None)
    assert first["d7"] == {"retained": 5, "retention": 5 / 7, "over": True}
    assert first["d28"] == {"retained": 6, "retention": 6 / 7, "over": False}
    assert rows["2026-11-30"]["visitors"]["size"] is None
    assert rows["2026-11-30"]["visitors"]["withheld"] is True
    assert rows["2026-12-07"]["visitors"]["d7"]["withheld"] is True
    assert report["total"]["visitors"]["size"] == 12
    orders = rows["2026-11-23"]["orders"]
    assert {name: orders[name] for name in ("orders", "delivered", "returned")} == {
        "orders": 3,
        "delivered": 2,
        "returned": 1,
    }
    assert (orders["return_rate"], orders["may_still_return"]) == (0.5, 1)
    assert orders["returned_value_share"] == {"SEK": 0.5}


async def test_satisfaction_has_n_and_an_interval(world_on_each: World) -> None:
    answers = [(5, 10), (4, 9), (4, 8), (2, 3)]
    service = await told(
        world_on_each,
        [
            Stated(
                "storefront",
                facts.FeedbackGiven("order", csat, nps, order_id=f"ord_{number}"),
                shopper(number),
                number,
            )
            for number, (csat, nps) in enumerate(answers, start=1)
        ],
    )
    total = (await asked(service, "satisfaction", **WEEK)).json()["total"]
    csat, nps = total["csat"], total["nps"]
    assert (csat["n"], csat["csat"]) == (4, 0.75)
    # Wilson's interval for 3 of 4, from Agresti and Coull's form of it.
    assert (round(csat["low"], 4), round(csat["high"], 4)) == (0.3006, 0.9544)
    assert (nps["n"], nps["nps"]) == (4, 25.0)
    margin = 100 * 1.959963984540054 * ((0.75 - 0.25**2) / 4) ** 0.5
    assert (nps["low"], nps["high"]) == pytest.approx((25 - margin, 100))


async def test_experience_is_exact_by_page_and_device(world_on_each: World) -> None:
    values = [0.5, 1.0, 2.5, 2.6, 4.0, 12.0, 1.2, 0.9]
    service = await told(
        world_on_each,
        [
            Stated(
                "storefront", facts.WebVitalMeasured("LCP", value, "car"), shopper(number), number
            )
            for number, value in enumerate(values)
        ],
    )
    report = (await asked(service, "experience", **WEEK)).json()
    row = next(row for row in report["rows"] if row["page"] == "car")
    assert row["device"] == "phone"
    assert row["LCP"] == {
        "n": 8,
        "p75": 2.6,  # six of eight do not exceed it
        "rating": "needs_improvement",
        "good": 5,
        "poor": 1,
    }
    assert row["apdex"] == (5 + 2 / 2) / 8
    assert row["INP"]["n"] == 0


async def test_behind_each_cell_are_its_subjects_and_their_events(world_on_each: World) -> None:
    stated = [each for n in range(1, 7) for each in purchase(shopper(n), str(n))]
    service = await told(world_on_each, stated)
    query = {**WEEK, "measure": "order", "limit": "4"}
    first = (await asked(service, "entries", **query)).json()
    rest = (await asked(service, "entries", **query, cursor=first["next_cursor"])).json()
    subjects = [item["subject"] for page in (first, rest) for item in page["items"]]
    assert (first["count"], sorted(subjects)) == (6, [f"ord_{n}" for n in range(1, 7)])
    assert rest["next_cursor"] is None

    told_of = (await asked(service, "subjects/ord_1")).json()["events"]
    assert [each["type"] for each in told_of] == [
        "checkout.order.submitted",
        "checkout.payment.attempted",
        "checkout.order.confirmed",
    ]
    visited = (await asked(service, "subjects/ses_1")).json()["events"]
    assert [each["at"] for each in visited] == sorted(each["at"] for each in visited)
    assert len(visited) >= len(told_of) + 4
    assert (await asked(service, "subjects/ord_99")).status_code == 404
    few = await asked(service, "entries", **WEEK, measure="order", market="FI")
    assert (few.json()["count"], few.json()["items"]) == (0, [])


async def test_fewer_than_five_are_withheld(world: World) -> None:
    stated = [each for n in range(1, 5) for each in purchase(shopper(n), str(n))]
    service = await told(world, stated)
    page = (await asked(service, "entries", **WEEK, measure="order")).json()
    assert (page["count"], page["items"], page["withheld"]) == (None, [], True)
    assert (await asked(service, "funnel", **WEEK)).json()["orders"] == 4


@pytest.mark.parametrize(
    ("report", "wrong"),
    [
        ("funnel", {"colour": "red"}),
        ("funnel", {"by": "market,colour"}),
        ("funnel", {"by": "market,market"}),
        ("funnel", {"steps": "car_view"}),
        ("funnel", {"steps": "order,sale"}),
        ("funnel", {"compare": "decade"}),
        ("funnel", {"from": "0001-01-01T00:00:00Z", "to": "0001-01-02T00:00:00Z"}),
        ("channels", {"steps": "car_view,order"}),
        ("cohorts", {"cohort": "day"}),
        ("customers", {"by": "day"}),
        ("markets", {"market": "XX"}),
        ("restatements", {"known_at": "2026-11-27T00:00:00Z", "by": "market"}),
        ("entries", {"measure": "sale"}),
        ("entries", {"measure": "visitor", "label": "vis_1"}),
        ("entries", {"measure": "order", "cursor": "x"}),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(
    world: World, report: str, wrong: dict[str, str]
) -> None:
    service = await world.replica()
    answer = await asked(service, report, **{**WEEK, **wrong})
    assert answer.status_code == 422
    named = "label" if "label" in wrong else list(wrong)[-1]
    assert named in answer.json()["detail"]


async def test_a_day_is_the_markets_own_and_has_25_hours_in_autumn(world_on_each: World) -> None:
    """Over two nights of daylight saving; each market by its own clocks."""
    start = -33 * DAY - 9 * 3_600  # 2026-10-25T00:00Z, in whose night the clocks go back
    moments = {-7_201: "2026-10-24", -7_200: "2026-10-25", 82_799: "2026-10-25"}
    moments |= {82_800: "2026-10-26"}
    stated = [
        replace(one, after=start + seconds)
        for number, seconds in enumerate(moments, start=1)
        for one in visit(shopper(number))[:1]
    ]
    stated += [replace(one, after=start - 7_201) for one in visit(shopper(9, market="FI"))[:1]]
    world_on_each.clock.advance(seconds=start - 10_000)
    service = await told(world_on_each, stated)
    period = {"from": "2026-10-20T00:00:00Z", "to": "2026-11-20T00:00:00Z"}
    report = (await asked(service, "funnel", **period, by="day,market")).json()
    assert {(row["day"], row["market"]): row["sessions"] for row in report["rows"]} == {
        ("2026-10-24", "SE"): 1,
        ("2026-10-25", "FI"): 1,
        ("2026-10-25", "SE"): 2,
        ("2026-10-26", "SE"): 1,
    }
