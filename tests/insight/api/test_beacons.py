"""Browsers may send anything: it is kept, refused or dropped, and never breaks us."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contracts.events import BrowserCrashed, PageViewed, WebVitalMeasured
from app.frame.sessions import COOKIE, Session
from app.insight.api.beacons import Heard, heard, page_of
from telemetry.catalogue.insight import GRADES
from tests.builders.facts import HUMAN, visit
from tests.insight.conftest import World, run_job, total

EVENTS = "/api/insight/v1/events"


def vital(name: str, value: Any, path: str = "/cars/car_1") -> dict[str, Any]:
    return {"type": "browser.web_vital", "name": name, "value": value, "path": path, "delta": 1}


def test_milliseconds_become_seconds_and_paths_become_pages() -> None:
    beacons = [
        vital("LCP", 1234.5),
        vital("CLS", 0.07, "/"),
        vital("FCP", 650, "/sv/cars"),
        vital("TTFB", 80),
        {"type": "page_view", "path": "/sv/cars"},
        {"type": "browser.crash", "name": "TypeError", "path": "/"},
    ]
    assert heard(beacons, session_id="ses_1", release="1.0") == Heard(
        facts=(
            WebVitalMeasured("LCP", 1.2345, "car"),
            WebVitalMeasured("CLS", 0.07, "home"),
            WebVitalMeasured("FCP", 0.65, "cars"),
            WebVitalMeasured("TTFB", 0.08, "car"),
            PageViewed("cars"),
            BrowserCrashed("1.0", "ses_1"),
        ),
        accepted=6,
        rejected=0,
    )


@pytest.mark.parametrize(
    "beacon",
    [
        vital("LCP", -1),
        vital("LCP", float("nan")),
        vital("INP", 1e12),
        vital("FCP", 121_000),
        vital("TTFB", -0.1),
        vital("FID", 10),
        vital("LCP", "fast"),
        vital("LCP", 1, "x" * 501),
        {"type": "purchase"},
        {},
    ],
)
def test_what_cannot_be_right_is_rejected_alone(beacon: dict[str, Any]) -> None:
    found = heard([beacon, vital("LCP", 100)], session_id="ses_1", release="")
    assert (found.accepted, found.rejected, len(found.facts)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/", "home"),
        ("/en", "home"),
        ("/sv/se/cars", "cars"),
        ("/cars/car_1?x=1", "car"),
        ("/advisor/people", "advisor"),
        ("/orders/ord_1", "confirmation"),
        ("/wp-admin", "other"),
    ],
)
def test_a_path_is_one_of_few_pages(path: str, page: str) -> None:
    assert page_of(path) == page


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "name", "value", "path", "x"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)
NEARLY = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["browser.web_vital", "browser.crash", "page_view"]) | JSON,
        "name": st.sampled_from(["LCP", "INP", "CLS", "FCP", "TTFB"]) | JSON,
        "value": st.floats() | st.integers() | JSON,
        "path": st.text() | JSON,
    }
)


@settings(max_examples=150, deadline=None)
@given(st.lists(NEARLY | st.dictionaries(st.text(max_size=8), JSON, max_size=4), max_size=50))
def test_whatever_comes_every_beacon_is_accepted_or_rejected(beacons: list[dict[str, Any]]) -> None:
    found = heard(beacons, session_id="ses_1", release="")
    assert found.accepted + found.rejected == len(beacons)
    assert all(isinstance(fact.TYPE, str) for fact in found.facts)


def consenting(world: World, analytics: bool | None) -> Session:
    now = int(world.clock.now().timestamp())
    return Session(
        session_id="ses_9",
        started_at=now,
        seen_at=now,
        market="SE",
        language="sv",
        device="phone",
        analytics=analytics,
    )


async def test_beacons_count_only_with_consent(world: World) -> None:
    service = await world.replica()
    body = {"events": [vital("LCP", 900), vital("FID", 1)]}
    transport = httpx.ASGITransport(service.api)
    answers = []
    for analytics in (None, False, True):
        cookie = service.platform.sessions.encode(consenting(world, analytics))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://shop", cookies={COOKIE: cookie}
        ) as client:
            answers.append((await client.post(EVENTS, json=body)).status_code)
    assert answers == [204, 204, 202]
    await run_job(service, "consume-insight")
    assert total(service, "browser_lcp_seconds_count") == 1
    assert total(service, "insight_beacons_total", result="no_consent") == 4
    assert total(service, "insight_beacons_total", result="accepted") == 1
    assert total(service, "insight_beacons_total", result="rejected") == 1


async def test_one_browser_floods_no_number(world: World) -> None:
    service = await world.replica()
    slow = [vital(name, 9_000) for name in ("LCP", "INP", "FCP", "TTFB")] + [vital("CLS", 9)]
    views = [{"type": "page_view", "path": "/se/en/cars/car_1"}] * 2
    crash = [{"type": "browser.crash", "path": "/"}] * 3
    session = consenting(world, True)
    statuses = []
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(service.api),
        base_url="http://shop",
        cookies={COOKIE: service.platform.sessions.encode(session)},
    ) as client:
        for _ in range(12):
            body = {"events": [*slow, *views, *crash]}
            statuses.append((await client.post(EVENTS, json=body)).status_code)
        world.clock.advance(seconds=60)
        statuses.append((await client.post(EVENTS, json={"events": slow})).status_code)
        uncounted = replace(session, session_id="ses_10", counted=False)
        client.cookies[COOKIE] = service.platform.sessions.encode(uncounted)
        statuses.append((await client.post(EVENTS, json={"events": slow})).status_code)
    await world.state(visit(replace(HUMAN, session_id=session.session_id)))
    await run_job(service, "consume-")

    assert statuses == [202] * 10 + [429] * 2 + [202, 204]
    counted = {name: total(service, f"{name}_count") for name in GRADES}
    assert set(counted.values()) == {2}  # a minute later it may be another view of the page
    assert total(service, "client_sessions_crashed_total") == 1
    assert total(service, "shop_funnel_steps_total", step="car_view") == 1
    assert total(service, "insight_beacons_total", result="uncounted") == 5 * 9 + 5


BROKEN_BODIES = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"events": 1}',
    b'{"events": [1]}',
    b'{"events": [' + b'{"type":"page_view"},' * 60 + b'{"type":"page_view"}]}',
    b'{"events": [{"type": "browser.web_vital", "name": "LCP", "value": 1e999}]}',
    b'{"events": [{"type": "browser.web_vital", "name": "CLS", "value": ' + b"9" * 5000 + b"}]}",
    b'{"events": [{"type": "page_view", "path": "\\ud800"}]}',
    b'{"events": ' + b"[" * 2000 + b"]" * 2000 + b"}",
    b"\xff\xfe",
)


async def test_no_body_is_our_fault(world: World) -> None:
    service = await world.replica()
    session = replace(consenting(world, True), seen_at=2**33)
    cookie = service.platform.sessions.encode(session)
    transport = httpx.ASGITransport(service.api, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport,
        base_url="http://shop",
        cookies={COOKIE: cookie},
        headers={"content-type": "application/json"},
    ) as client:
        for body in BROKEN_BODIES:
            answer = await client.post(EVENTS, content=body)
            assert answer.status_code in (202, 400, 422), body[:60]
            if answer.status_code != 202:
                assert orjson.loads(answer.content)["type"].startswith("/problems/")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 204),
        ("text/plain;charset=UTF-8", 204),
        ("application/x-www-form-urlencoded;charset=UTF-8", 204),
        (None, 204),
        ("image/png", 400),
    ],
)
async def test_a_beacon_is_json_whatever_the_browser_calls_it(
    world: World, kind: str | None, status: int
) -> None:
    service = await world.replica()
    transport = httpx.ASGITransport(service.api)
    headers = {"content-type": kind} if kind else {}
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        answer = await client.post(EVENTS, content=b'{"events":[]}', headers=headers)

    assert answer.status_code == status
