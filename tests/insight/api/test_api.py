"""Insight's API: reports are exact, keys are needed, wrong input names its field."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.frame.sessions import COOKIE, Session
from app.frame.start.service import Service
from app.kernel.clock import rfc3339
from telemetry.catalogue.insight import DEPLOY_OUTCOME
from tests.builders.facts import (
    HUMAN,
    cancelled,
    confirmed,
    hold,
    purchase,
    refunded,
    released,
    returned,
    shopper,
    visit,
)
from tests.insight.conftest import World, run_job, total

REPORT = "/api/insight/v1/reports/funnel"
DAY = {"from": "2026-11-27T00:00:00Z", "to": "2026-11-28T00:00:00Z"}
KEY = {"authorization": "Bearer test-report_key"}


@asynccontextmanager
async def caller(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(service.api)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        yield client


async def test_the_funnel_report_is_exact_for_its_period_and_traffic(world: World) -> None:
    service = await world.replica()
    robot = shopper(3, traffic="synthetic")
    await world.state(
        [
            *purchase(HUMAN, "1"),
            *visit(shopper(2)),
            hold(shopper(2), "2"),
            *purchase(robot, "3"),
            replace(hold(shopper(4), "4"), after=90_000),
        ]
    )
    await run_job(service, "consume-")
    async with caller(service) as client:
        report = (await client.get(REPORT, params=DAY, headers=KEY)).json()
        robots = (await client.get(REPORT, params={**DAY, "traffic": "all"}, headers=KEY)).json()
    expected = {
        "from": "2026-11-27T00:00:00.000Z",
        "to": "2026-11-28T00:00:00.000Z",
        "traffic": "human",
        "market": "all",
        "complete": True,
        "kept_since": None,
        "as_of": report["as_of"],
        "sessions": 2,
        "engaged_sessions": 2,
        "converted_sessions": 1,
        "conversion": 0.5,
        "steps": {
            "session": 2,
            "car_view": 2,
            "hold": 2,
            "details": 1,
            "payment": 1,
            "order": 1,
        },
        "advice_steps": {
            "advice_start": 0,
            "advice_complete": 0,
            "match_view": 0,
            "hold": 0,
            "order": 0,
        },
        "checkouts": {
            "started": 2,
            "ordered": 1,
            "abandoned": 0,
            "sold_out": 0,
            "declined": 0,
            "expired": 0,
            "open": 1,
        },
        "orders": 1,
        "order_value": [{"amount": 48_990_000, "currency": "SEK"}],
        "order_value_lost": {"cancelled": [], "returned": [], "refunded": []},
        "net_order_value": [{"amount": 48_990_000, "currency": "SEK"}],
    }
    assert {name: report[name] for name in expected} == expected
    assert (robots["orders"], robots["sessions"]) == (2, 3)


async def test_a_late_payment_corrects_the_report_although_the_counter_cannot_go_down(
    world: World,
) -> None:
    service = await world.replica()
    await world.state([hold(HUMAN, "1"), released(HUMAN, "1", "expired")])
    await run_job(service, "consume-")
    await world.state([confirmed(HUMAN, "1", after=960)])
    await run_job(service, "consume-")
    async with caller(service) as client:
        report = (await client.get(REPORT, params=DAY, headers=KEY)).json()
    assert report["checkouts"]["ordered"] == 1
    assert report["checkouts"]["expired"] == 0
    assert total(service, "shop_checkouts_ended_total", result="expired") == 1
    for direction in ("up", "down"):
        moved = {"metric": "shop_checkouts_ended_total", "direction": direction}
        assert total(service, "ledger_restated_total", reason="late_payment", **moved) == 1


async def test_the_report_comes_as_csv(world: World) -> None:
    service = await world.replica()
    await world.state(purchase(HUMAN, "1"))
    await run_job(service, "consume-")
    async with caller(service) as client:
        answer = await client.get(REPORT, params={**DAY, "format": "csv"}, headers=KEY)
    assert answer.headers["content-type"].startswith("text/csv")
    lines = answer.text.splitlines()
    assert lines[0] == "name,value"
    assert "steps.order,1" in lines
    assert "order_value.SEK,48990000" in lines


async def test_the_report_says_what_of_its_order_value_is_left(world: World) -> None:
    service = await world.replica()
    sold = [(shopper(number), str(number)) for number in range(1, 6)]
    kept = replace(sold[0][0], market="FI", session_id="ses_6")
    finland = confirmed(kept, "6", price=31_000_00)
    finland = replace(finland, fact=replace(finland.fact, currency="EUR"))  # type: ignore[call-arg]
    given_up, back, paid_back = sold[1], sold[2], sold[3]
    await world.state(
        [
            *(each for one in sold for each in purchase(*one)),
            finland,
            cancelled(*given_up),
            refunded(*given_up),  # the deposit follows: it is lost once
            returned(*back),
            refunded(*back),
            refunded(*paid_back),
        ]
    )
    await run_job(service, "consume-")
    async with caller(service) as client:
        report = (await client.get(REPORT, params=DAY, headers=KEY)).json()
        csv = (await client.get(REPORT, params={**DAY, "format": "csv"}, headers=KEY)).text
    price = 48_990_000
    assert report["order_value"] == [
        {"amount": 31_000_00, "currency": "EUR"},
        {"amount": 5 * price, "currency": "SEK"},
    ]
    lost = [{"amount": price, "currency": "SEK"}]
    assert report["order_value_lost"] == {"cancelled": lost, "returned": lost, "refunded": lost}
    assert report["net_order_value"] == [
        {"amount": 31_000_00, "currency": "EUR"},
        {"amount": 2 * price, "currency": "SEK"},
    ]
    assert set(csv.splitlines()) >= {
        "order_value.SEK,244950000",
        "order_value_lost.cancelled.SEK,48990000",
        "order_value_lost.returned.SEK,48990000",
        "order_value_lost.refunded.SEK,48990000",
        "net_order_value.SEK,97980000",
        "net_order_value.EUR,3100000",
    }
    counted = {
        loss: total(service, "shop_order_value_lost_total", loss=loss, currency="SEK")
        for loss in ("cancelled", "returned", "refunded")
    }
    assert counted == {"cancelled": price, "returned": price, "refunded": price}
    assert total(service, "shop_order_value_lost_total") == 3 * price


async def test_a_report_needs_the_report_key(world: World) -> None:
    service = await world.replica()
    answers = []
    async with caller(service) as client:
        for authorization in ("", "Bearer guess", "Basic x", "Bearer", KEY["authorization"]):
            headers = {"authorization": authorization}
            answers.append((await client.get(REPORT, params=DAY, headers=headers)).status_code)
    assert answers == [401, 401, 401, 401, 200]


async def test_an_impossible_period_is_named(world: World) -> None:
    service = await world.replica()
    async with caller(service) as client:
        for since in (DAY["to"], "2020-01-01T00:00:00Z", "2026-11-27T00:00:00", "yesterday"):
            answer = await client.get(REPORT, params={**DAY, "from": since}, headers=KEY)
            assert answer.status_code == 422
            assert "from" in answer.json()["detail"]


def _checkout(service: Service) -> Starlette:
    """Checkout's orders: one that was bought, one that was not, each with its token."""

    async def read(request: Request) -> JSONResponse:
        order_id = request.path_params["order_id"]
        if request.headers["authorization"] != f"Bearer token-of-{order_id}":
            return JSONResponse({"type": "/problems/order-unknown"}, 404)
        zero = {"amount": 0, "currency": "SEK"}
        at = rfc3339(service.platform.clock.now())
        bought = {"state": "confirmed", "confirmed_at": at}
        return JSONResponse(
            {
                "order_id": order_id,
                "hold_id": "hld_1",
                "car_id": "car_1",
                "price": zero,
                "vat": zero,
                "deposit": zero,
                "created_at": at,
                **(bought if order_id == "ord_bought" else {"state": "payment_pending"}),
            }
        )

    return Starlette(routes=[Route("/api/checkout/v1/orders/{order_id}", read)])


async def test_only_who_has_bought_speaks_about_it_and_is_counted_once(world: World) -> None:
    service = await world.replica()
    world.services["checkout", False] = _checkout(service)
    good = {"order_id": "ord_bought", "touchpoint": "order", "csat": 5, "nps": 9, "market": "SE"}
    token = "token-of-ord_bought"
    told: list[tuple[dict[str, Any], str]] = [
        *[(good, token)] * 20,
        (good | {"csat": 1, "nps": 0}, token),
        (good, ""),
        (good, "token-of-ord_unpaid"),
        (good | {"order_id": "ord_unpaid"}, "token-of-ord_unpaid"),
        *((good | wrong, token) for wrong in ({"csat": 6}, {"touchpoint": "X;"}, {"market": None})),
        ({"order_id": "ord_bought", "touchpoint": "order", "market": "SE"}, token),
        ({"touchpoint": "order", "csat": 5, "market": "SE"}, token),
    ]
    async with caller(service) as client:
        answers = [
            (
                await client.post(
                    "/api/insight/v1/feedback",
                    json=body,
                    headers={"authorization": f"Bearer {proof}"} if proof else {},
                )
            ).status_code
            for body, proof in told
        ]
    await run_job(service, "consume-insight")

    assert answers == [204] * 21 + [401] * 3 + [422] * 5
    assert total(service, "shop_csat_responses_total") == 1
    assert total(service, "shop_csat_responses_total", score="5") == 1
    assert total(service, "shop_nps_responses_total") == 1
    assert total(service, "shop_nps_responses_total", group="promoter") == 1


async def test_only_a_counted_visit_speaks_about_advice_and_about_its_own(world: World) -> None:
    service = await world.replica()
    platform, now = service.platform, int(world.clock.now().timestamp())
    advised = Session(
        session_id="ses_1", started_at=now, seen_at=now, market="SE", language="sv", advice="adv_1"
    )

    def cookie(**changes: Any) -> dict[str, str]:
        session = replace(advised, **changes)
        return {"cookie": f"{COOKIE}={platform.sessions.encode(session)}"}

    good = {"advice_id": "adv_1", "touchpoint": "advice", "csat": 4}
    told: list[tuple[dict[str, Any], dict[str, str]]] = [
        (good, cookie()),
        (good, {}),
        (good | {"market": "SE"}, {}),
        (good, cookie(counted=False)),
        (good, cookie(rated=True)),
        (good, cookie(advice="adv_2")),
        (good, cookie(advice="")),
        *((good | wrong, cookie()) for wrong in ({"nps": 9}, {"order_id": "ord_1"})),
    ]
    async with caller(service) as client:
        answers = [
            (await client.post("/api/insight/v1/feedback", json=body, headers=headers)).status_code
            for body, headers in told
        ]
    async with service.database.read() as connection:
        rows = await connection.execute(text("SELECT type, data FROM outbox"))
        stated = [(kind, json.loads(data)["advice_id"]) for kind, data in rows]

    assert answers == [204, 422, *[401] * 5, 422, 422]
    assert stated == [("storefront.feedback.given", "adv_1")]


async def test_feedback_waits_for_checkout(world: World) -> None:
    service = await world.replica()
    body = {"order_id": "ord_bought", "touchpoint": "order", "csat": 5, "market": "SE"}
    async with caller(service) as client:
        answer = await client.post(
            "/api/insight/v1/feedback", json=body, headers={"authorization": "Bearer a-token"}
        )

    assert answer.status_code == 503


async def test_a_deployment_is_counted_for_whoever_has_the_delivery_key(world: World) -> None:
    service = await world.replica()
    body = {"service": "checkout", "revision": "abc123", "outcome": "succeeded"}
    address = "/api/insight/v1/deployments"
    async with caller(service) as client:
        refused = await client.post(address, json=body)
        key = {"authorization": "Bearer test-delivery_key"}
        told = await client.post(address, json=body, headers=key)
        unknown = await client.post(address, json=body | {"service": "billing"}, headers=key)
    await run_job(service, "consume-insight")
    assert [refused.status_code, told.status_code, unknown.status_code] == [401, 204, 422]
    assert total(service, "delivery_deployments_total", service="checkout", kind="planned") == 1
    assert total(service, "delivery_deployments_total") == 1


async def test_every_way_in_which_a_roll_out_ends_can_be_told(world: World) -> None:
    service = await world.replica()
    async with caller(service) as client:
        answers = [
            await client.post(
                "/api/insight/v1/deployments",
                json={"service": "checkout", "revision": "abc123", "outcome": outcome},
                headers={"authorization": "Bearer test-delivery_key"},
            )
            for outcome in DEPLOY_OUTCOME.values or ()
        ]
    await run_job(service, "consume-insight")
    assert [answer.status_code for answer in answers] == [204, 204, 204]
    assert {
        outcome: total(service, "delivery_deployments_total", outcome=outcome)
        for outcome in DEPLOY_OUTCOME.values or ()
    } == {"succeeded": 1, "failed": 1, "rolled_back": 1}
