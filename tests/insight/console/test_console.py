"""The console: nothing without its password, everything in its place with it."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest

from app.frame.start.service import Service
from app.insight.console import pages
from app.insight.console.boards import read_board
from app.insight.console.doorkeeper import Doorkeeper
from app.insight.console.logins import EndedLogins
from app.insight.console.page import safe_next
from app.insight.ledger.invariants import INVARIANTS
from app.insight.settings import InsightSettings
from app.kernel.clock import rfc3339
from telemetry.tracing import traceparent_of
from tests.builders.facts import HUMAN, START, hold, purchase, shopper, visit
from tests.builders.platform import KEYS
from tests.insight.conftest import World, run_job

PASSWORD = "open sesame"
HTML = {"accept": "text/html"}
PAGES = (
    "/console",
    "/console/orders",
    "/console/orders/ord_1",
    "/console/traces",
    "/console/traces/" + "a" * 32,
    "/console/boards",
    "/console/boards/storefront",
    "/console/boards/storefront/panels/1",
    "/console/alerts",
    "/console/runbooks",
    "/console/runbooks/NoOrders",
    "/console/apis/checkout",
)


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "FAILURE_SECONDS", 0.0)


@asynccontextmanager
async def browser(
    service: Service, *, password: str | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser, logged in when a password is given."""
    transport = httpx.ASGITransport(service.api)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://shop", headers=HTML
    ) as client:
        if password is not None:
            answer = await client.post("/console/login", data={"password": password})
            assert answer.status_code == 303
        yield client


def basic(password: str, user: str = "console") -> dict[str, str]:
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"authorization": f"Basic {token}", "accept": "*/*"}


async def test_no_page_is_shown_without_the_password(world: World) -> None:
    service = await world.replica()
    async with browser(service) as client:
        for path in PAGES:
            seen = await client.get(path)
            script = await client.get(path, headers={"accept": "application/json"})
            to_login = (seen.status_code, seen.headers["location"].split("?")[0])
            assert to_login == (303, "/console/login")
            assert script.status_code == 401
            assert script.json()["type"] == "/problems/not-authorised"
            assert script.headers["www-authenticate"].startswith("Basic")


async def test_the_right_password_opens_the_page_that_was_asked_for(world: World) -> None:
    service = await world.replica()
    async with browser(service) as client:
        answer = await client.post(
            "/console/login", data={"password": PASSWORD, "next": "/console/orders"}
        )
        cookie = answer.headers["set-cookie"].lower()
        page = await client.get("/console/orders")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/orders")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert page.status_code == 200


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/console//evil", "/console/\\evil", "/elsewhere"],
)
def test_a_login_leads_nowhere_else(target: str) -> None:
    assert safe_next(target) == "/console"


async def test_a_script_may_send_the_password_with_each_request(world: World) -> None:
    service = await world.replica()
    async with browser(service) as client:
        right = await client.get("/console", headers=basic(PASSWORD))
        wrong = await client.get("/console", headers=basic("guess"))
        other = await client.get("/console", headers=basic(PASSWORD, user="root"))
    assert [right.status_code, wrong.status_code, other.status_code] == [200, 401, 401]


async def test_guessing_is_locked_out_even_from_the_right_password_and_then_let_in(
    world: World,
) -> None:
    service = await world.replica()
    async with browser(service) as client:
        guesses = [
            (await client.post("/console/login", data={"password": f"guess {n}"})).status_code
            for n in range(7)
        ]
        locked = await client.post("/console/login", data={"password": PASSWORD})
        world.clock.advance(seconds=61)
        opened = await client.post("/console/login", data={"password": PASSWORD})
    assert guesses == [401, 401, 401, 401, 401, 429, 429]
    assert locked.status_code == 429
    assert opened.status_code == 303


async def test_a_forged_or_old_cookie_opens_nothing(world: World) -> None:
    service = await world.replica()
    async with browser(service, password=PASSWORD) as client:
        good = client.cookies["vitrine_console"]
        expires, _, signature = good.partition(".")
        later = f"{int(expires) + 1}.{signature}"
        seen = [(await client.get("/console")).status_code]
        for cookie in (later, f"{expires}.", "x.y", "é.ö"):
            client.cookies.clear()
            raw = [(b"cookie", b"vitrine_console=" + cookie.encode()), (b"accept", b"text/html")]
            answer = await client.get("/console", headers=raw)
            seen.append(answer.status_code)
        world.clock.advance(hours=13)
        old = await client.get("/console", headers={"cookie": f"vitrine_console={good}", **HTML})
        seen.append(old.status_code)
    assert seen == [200, 303, 303, 303, 303, 303]


async def test_a_logout_ends_the_login_at_every_replica_and_no_other_login(world: World) -> None:
    one, other = await world.replica(), await world.replica()
    async with browser(one, password=PASSWORD) as client, browser(one, password=PASSWORD) as second:
        kept = {"cookie": f"vitrine_console={client.cookies['vitrine_console']}", **HTML}
        left = await client.post("/console/logout")
        again = await client.post("/console/logout", headers=kept)
        still = (await second.get("/console")).status_code
    async with browser(other) as client:
        old = await client.get("/console", headers=kept)
        report = await client.get(
            "/api/insight/v1/reports/funnel",
            params={"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"},
            headers=kept,
        )
    assert (left.status_code, again.status_code, still) == (303, 303, 200)
    assert "max-age=0" in left.headers["set-cookie"].lower()
    assert (old.status_code, report.status_code) == (303, 401)


async def test_reached_by_https_the_cookie_is_of_this_host_only(world: World) -> None:
    service = await world.replica()
    doorkeepers = {
        secure: Doorkeeper(
            PASSWORD, "key", world.clock, EndedLogins(service.database), secure=secure
        )
        for secure in (False, True)
    }
    names = {secure: each.cookie_name for secure, each in doorkeepers.items()}
    value = doorkeepers[True].cookie()

    assert names == {False: "vitrine_console", True: "__Host-vitrine_console"}
    assert await doorkeepers[True].knows({"__Host-vitrine_console": value})
    assert not await doorkeepers[True].knows({"vitrine_console": value})


async def test_who_is_no_proxy_is_locked_out_whatever_addresses_it_claims(world: World) -> None:
    service = await world.replica()
    transport = httpx.ASGITransport(service.api, client=("203.0.113.5", 4000))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        guesses = [
            (
                await client.post(
                    "/console/login",
                    data={"password": f"guess {n}"},
                    headers={"x-forwarded-for": f"198.51.100.{n}"},
                )
            ).status_code
            for n in range(7)
        ]
    assert guesses == [401, 401, 401, 401, 401, 429, 429]


async def test_the_overview_shows_the_funnel_and_the_last_order(world: World) -> None:
    service = await world.replica()
    await world.state([*purchase(HUMAN, "1"), *visit(shopper(2)), hold(shopper(2), "2")])
    await run_job(service, "consume-")
    async with browser(service, password=PASSWORD) as client:
        page = (await client.get("/console")).text
        synthetic = (await client.get("/console?traffic=synthetic")).text
        fragment = (await client.get("/console?fragment=1")).text
    assert (
        "Purchase funnel: Visits 2, Saw a car 2, Held it 2, Gave details 1, Paid 1, Ordered 1"
        in page
    )
    assert "50.0\u00a0%" in page
    assert "/console/orders/ord_1" in page
    assert f"{len(INVARIANTS)} of {len(INVARIANTS)} hold" in page
    assert "/console/orders/ord_1" not in synthetic
    assert fragment.lstrip().startswith("<div data-live")
    assert "/console/orders/ord_1" in fragment


async def test_an_orders_page_shows_every_span_of_its_traces_and_of_those_linked(
    world: World,
) -> None:
    service = await world.replica()
    tracer = service.telemetry.tracer
    with tracer.start_as_current_span("POST /api/checkout/v1/orders") as request:
        with tracer.start_as_current_span("INSERT orders"):
            pass
        context = request.get_span_context()
    stated = [
        one
        if one.fact.TYPE != "checkout.order.submitted"
        else type(one)(
            one.source,
            one.fact,
            shopper(1, traceparent=traceparent_of(context)),
            one.after,
        )
        for one in purchase(HUMAN, "1")
    ]
    await world.state(stated)
    await run_job(service, "consume-")
    world.traces.flush()
    async with browser(service, password=PASSWORD) as client:
        page = (await client.get("/console/orders/ord_1")).text
        trace = await client.get(f"/console/traces/{context.trace_id:032x}")
    names = [name.strip() for name in re.findall(r"<b>([^<]+)", page)]
    assert names.index("POST /api/checkout/v1/orders") < names.index("INSERT orders")
    assert names.index("INSERT orders") < names.index("process checkout")
    assert "not kept" in page
    assert trace.status_code == 200


async def test_an_unknown_order_and_an_unknown_trace_are_explained_to_people(world: World) -> None:
    service = await world.replica()
    async with browser(service, password=PASSWORD) as client:
        order = await client.get("/console/orders/ord_nobody")
        trace = await client.get(f"/console/traces/{'0' * 32}")
    assert order.status_code == trace.status_code == 404
    assert "not in the ledger" in order.text
    assert "was not kept" in trace.text


async def test_a_boards_panel_asks_only_the_boards_own_query(world: World) -> None:
    service = await world.replica()
    board = read_board(InsightSettings().boards, "storefront")
    panel = f"/console/boards/storefront/panels/{board.panels[0].number}"
    async with browser(service, password=PASSWORD) as client:
        client.headers["accept"] = "application/json"
        answers = {
            query: (await client.get(panel + query)).status_code
            for query in (
                "",
                "?query=up",
                "?expr=up",
                "?var-traffic=human%22%7D%20or%20up",
                "?var-job=x",
                "?range=9y",
            )
        }
        missing = await client.get("/console/boards/storefront/panels/99999")
        nothing = await client.get(panel)
    assert answers == {
        "": 503,
        "?query=up": 403,
        "?expr=up": 403,
        "?var-traffic=human%22%7D%20or%20up": 403,
        "?var-job=x": 403,
        "?range=9y": 403,
    }
    assert missing.status_code == 404
    assert "INSIGHT_PROMETHEUS_URL" in nothing.json()["detail"]


async def test_alertmanagers_notifications_become_the_alerts_history(world: World) -> None:
    service = await world.replica()
    alert = {
        "status": "firing",
        "labels": {"alertname": "NoOrders", "severity": "page", "service": "checkout"},
        "annotations": {"summary": "Nobody has ordered a car for an hour."},
        "startsAt": rfc3339(START),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "f1",
    }
    ended = alert | {"status": "resolved", "endsAt": rfc3339(START + timedelta(minutes=4))}
    internal = httpx.ASGITransport(service.internal)
    address = "/internal/insight/alerts"
    key = {"authorization": f"Bearer {KEYS['alert_key']}"}
    async with (
        httpx.AsyncClient(
            transport=internal, base_url="http://insight", headers=key
        ) as alertmanager,
        browser(service, password=PASSWORD) as client,
    ):
        told = await alertmanager.post(address, json={"alerts": [alert]})
        firing = (await client.get("/console/alerts")).text
        await alertmanager.post(address, json={"alerts": [ended]})
        resolved = (await client.get("/console/alerts")).text
    assert told.json() == {"stored": 1}
    assert "1 firing now" in firing
    assert "Nothing fires now" in resolved
    assert "Nobody has ordered a car for an hour." in resolved
    assert "4\u00a0min" in resolved


async def test_pages_allow_no_script_or_style_but_our_own(world: World) -> None:
    service = await world.replica()
    await world.state(purchase(HUMAN, "1"))
    await run_job(service, "consume-")
    async with browser(service, password=PASSWORD) as client:
        seen = [await client.get(path) for path in PAGES[:3]]
    for answer in seen:
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"\sstyle=|\son\w+=|<script>|<style", answer.text)


async def test_only_bundled_files_are_served_as_assets(world: World) -> None:
    service = await world.replica()
    async with browser(service) as client:
        answers = [
            (await client.get(f"/console/static/{name}")).status_code
            for name in ("nothing.css", "manifest.json", "%2e%2e%2fsetup.py", "..%2F..%2Fkeys.json")
        ]
    assert answers == [404, 404, 404, 404]
