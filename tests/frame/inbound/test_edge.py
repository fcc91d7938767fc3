"""Whatever is asked, and however: the edge answers in words, and the next caller loses nothing."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
import uvicorn
from fastapi import Body
from starlette.requests import Request
from starlette.types import ASGIApp

from app.contracts.client import segment
from app.contracts.wire import Identifier, Moment
from app.frame.data.database import Database
from app.frame.inbound.bodies import FORM_BYTES, BodyLimit
from app.frame.inbound.conditional import has_already
from app.frame.inbound.edge import MOST_COOKIE_BYTES, MOST_HEADER_BYTES, OURS
from app.frame.inbound.listening import Connection
from app.frame.platform import Platform
from app.frame.sessions import MAX_COOKIE_BYTES
from app.frame.start.server import _Server
from app.frame.start.service import assemble, new_api
from app.kernel.errors import NotFound
from app.storefront import cookies
from rigs.nginx import LocalGateway
from rigs.shop import SERVICES
from telemetry.testing import Signals


@pytest.fixture
def app(platform: Platform, signals: Signals, tmp_path: Path) -> ASGIApp:
    platform.settings.body_seconds = 1
    api = new_api(platform, name="advisor", title="test", prefix="/api/advisor")

    @api.get("/api/advisor/cars/{car_id}")
    async def car(car_id: Identifier) -> dict[str, str]:
        return {"car": car_id}

    @api.delete("/api/advisor/cars/{car_id}")
    async def gone(car_id: Identifier) -> None: ...

    @api.post("/api/advisor/echo")
    async def echo(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    @api.post("/api/advisor/broken")
    async def broken(number: Annotated[int, Body()] = 0) -> None:
        raise ZeroDivisionError("nobody foresaw it")

    @api.get("/api/advisor/cookies")
    async def seen(request: Request) -> dict[str, str]:
        return request.cookies

    @api.get("/api/advisor/at")
    async def at(moment: Moment) -> dict[str, str]:
        return {"moment": moment.isoformat()}

    async def nothing() -> None: ...

    service = assemble(
        "advisor",
        platform,
        signals.telemetry,
        database=Database(
            f"sqlite+aiosqlite:///{tmp_path}/advisor.db", telemetry=signals.telemetry
        ),
        api=api,
        migrate=nothing,
        larger_bodies={"/api/advisor/echo": 2 * FORM_BYTES},
    )
    return service.api


@pytest.fixture
async def client(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as opened:
        yield opened


@asynccontextmanager
async def listening(app: ASGIApp, *, idle_seconds: float = 0.0) -> AsyncIterator[_Server]:
    """The real server on a free port of loopback; `port` is added to it."""
    bound = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=Connection, log_config=None, lifespan="off", timeout_graceful_shutdown=5
    )
    server = _Server(config, idle_seconds=idle_seconds)
    server.port = bound.getsockname()[1]  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve([bound]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        await task


async def said(server: Any, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """The answer to raw bytes on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode().split("\r\n")
    headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    writer.close()
    return int(head[0].split()[1]), headers, body


@pytest.mark.parametrize(
    "odd",
    [
        *("%00", "%01", "%09", "%0d%0aX:y", "%3Flimit=1", "%F0%9F%98%80", "%ed%a0%80", "%c0%ae"),
        *("@", "a%20b", "%2e%2e", "-x", ".", "a%2500", "x" * 81),
    ],
)
async def test_what_cannot_be_an_identifier_is_404_and_says_so(
    client: httpx.AsyncClient, odd: str
) -> None:
    request = client.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=f"/api/advisor/cars/{odd}".encode())
    answer = await client.send(request)

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("car_1.a:b-c", "car_1.a:b-c"),
        ("a?limit=1", "a%3Flimit%3D1"),
        ("a/../b", "a%2F..%2Fb"),
        ("\x00", "%00"),
        ("é", "%C3%A9"),
        ("\ud800", "%3F"),
        ("a#b%20", "a%23b%2520"),
    ],
)
def test_a_segment_of_an_address_stays_one(text: str, quoted: str) -> None:
    assert segment(text) == quoted


@pytest.mark.parametrize("nothing", ["", ".", ".."])
def test_a_segment_that_no_quoting_saves_leads_nowhere(nothing: str) -> None:
    with pytest.raises(NotFound):
        segment(nothing)


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("2026-11-24T10:00:00+01:00", 200),
        ("9999-12-31T23:59:59-12:00", 422),
        ("0001-01-01T00:00:00+14:00", 422),
        ("2026-11-24T10:00:00", 422),
    ],
)
async def test_a_moment_outside_of_the_calendar_is_not_valid(
    client: httpx.AsyncClient, moment: str, status: int
) -> None:
    answer = await client.get("/api/advisor/at", params={"moment": moment})

    assert answer.status_code == status
    if status == 200:
        assert answer.json() == {"moment": "2026-11-24T09:00:00+00:00"}


async def test_head_is_get_without_a_body(client: httpx.AsyncClient, signals: Signals) -> None:
    head, get = await client.head("/api/advisor/cars/1"), await client.get("/api/advisor/cars/1")
    missing, wrong = (
        await client.head("/api/advisor/cars/@"),
        await client.head("/api/advisor/echo"),
    )

    def told(answer: httpx.Response) -> dict[str, str]:
        ours = ("x-trace-id", "traceparent")
        return {name: value for name, value in answer.headers.items() if name not in ours}

    assert (head.status_code, head.content, told(head)) == (200, b"", told(get))
    assert (missing.status_code, missing.content) == (404, b"")
    assert (wrong.status_code, wrong.content, wrong.headers["allow"]) == (405, b"", "OPTIONS, POST")
    methods = {line["http_request_method"] for line in signals.logged("http_request")}
    assert methods == {"HEAD", "GET"}


async def test_a_browser_that_shows_an_answer_of_an_api_runs_nothing_of_it(
    client: httpx.AsyncClient,
) -> None:
    answers = [await client.get("/api/advisor/cars/1"), await client.post("/api/advisor/broken")]
    own = await client.get("/api/advisor/docs")

    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "script-src 'self'" in own.headers["content-security-policy"]


async def test_every_address_says_what_it_offers(client: httpx.AsyncClient) -> None:
    wrong = await client.put("/api/advisor/cars/1")
    asked = await client.options("/api/advisor/cars/1")
    unknown = await client.options("/api/advisor/nothing")

    offered = "DELETE, GET, HEAD, OPTIONS"
    assert (wrong.status_code, wrong.headers["allow"]) == (405, offered)
    assert (asked.status_code, asked.headers["allow"], asked.content) == (204, offered, b"")
    assert unknown.status_code == 404


async def test_a_slash_too_many_leads_to_our_own_address(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/advisor/cars/1/?a=b", headers={"host": "evil.test"})
    foreign = await client.get("http://test//evil.test/")

    assert (answer.status_code, answer.headers["location"]) == (307, "/api/advisor/cars/1?a=b")
    assert foreign.status_code == 404


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        ("/api/advisor/broken", FORM_BYTES + 1, 413),
        ("/api/advisor/echo", FORM_BYTES + 1, 200),
        ("/api/advisor/echo", 2 * FORM_BYTES + 1, 413),
    ],
)
async def test_a_body_has_the_length_of_its_route_and_a_refusal_has_its_trace(
    client: httpx.AsyncClient, path: str, length: int, status: int, announced: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(2):
            yield b"x" * (length // 2)
        yield b"x" * (length % 2)

    body = b"x" * length if announced else pieces()
    answer = await client.post(path, content=body, headers={"content-type": "application/json"})

    assert answer.status_code == status
    if status == 413:
        told = answer.json()
        assert (told["type"], told["instance"]) == ("/problems/too-large", path)
        assert told["trace_id"] == answer.headers["x-trace-id"]
        assert "parts" not in told["detail"]


def test_feeds_may_be_longer_than_forms() -> None:
    limit = BodyLimit(lambda *_: asyncio.sleep(0), larger={"/feeds/": 10 * FORM_BYTES})

    assert [limit.most(path) for path in ("/feeds/a", "/orders")] == [10 * FORM_BYTES, FORM_BYTES]


@pytest.mark.parametrize(
    ("header", "has"),
    [
        ('W/"7-p"', True),
        ('"7-p"', True),
        ("*", True),
        ('"1", W/"7-p"', True),
        ('"7"', False),
        ("", False),
        ('"*"', False),
    ],
)
def test_a_tag_is_found_weak_strong_in_a_list_or_by_a_star(header: str, has: bool) -> None:
    assert has_already(header, 'W/"7-p"') is has


OTHERS = "_tracker=" + "x" * MOST_COOKIE_BYTES
SESSION = "vitrine_session=" + "s" * MAX_COOKIE_BYTES


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("vitrine_shop=se/sv; a=1", {"vitrine_shop": "se/sv", "a": "1"}),
        (f"{OTHERS}; vitrine_shop=se/sv", {"vitrine_shop": "se/sv"}),
        (
            f"{SESSION}; {OTHERS}; __Host-vitrine_console=1.a",
            {
                "vitrine_session": "s" * MAX_COOKIE_BYTES,
                "__Host-vitrine_console": "1.a",
            },
        ),
        (r'a="\"\"\""; vitrine_shop=se/sv', {"vitrine_shop": "se/sv"}),
        (r'vitrine_shop="\"\"\""; vitrine_consent=1', {"vitrine_consent": "1"}),
        (OTHERS, {}),
    ],
)
async def test_cookies_that_are_large_or_odd_are_dropped_and_ours_stay(
    client: httpx.AsyncClient, sent: str, kept: dict[str, str]
) -> None:
    answer = await client.get("/api/advisor/cookies", headers={"cookie": sent})

    assert answer.json() == kept


def test_no_cookie_of_ours_is_dropped() -> None:
    ours = [cookies.SHOP, cookies.CONSENT, cookies.HOLD, cookies.ADVICE, cookies.ORDER, SESSION]

    assert all(name.encode().startswith(OURS) for name in ours)


@pytest.mark.integration
async def test_a_fault_is_answered_logged_once_and_ends_no_connection(
    app: ASGIApp, signals: Signals
) -> None:
    async with listening(app) as server, httpx.AsyncClient(trust_env=False) as browser:
        base = f"http://127.0.0.1:{server.port}"  # type: ignore[attr-defined]
        answers = [await browser.post(f"{base}/api/advisor/broken", json=1) for _ in range(3)]
        answers.append(
            await browser.post(f"{base}/api/advisor/broken", content=b"x" * (FORM_BYTES + 1))
        )
        answers.append(await browser.get(f"{base}/api/advisor/cars/1"))
        ports = {
            each.extensions["network_stream"].get_extra_info("client_addr") for each in answers
        }

    assert [each.status_code for each in answers] == [500, 500, 500, 413, 200]
    assert len(ports) == 1
    assert len(signals.logged("unhandled_exception")) == 3


async def too_slow(port: int, path: str) -> list[bytes]:
    """How callers are answered who never send their bodies; as many others give up under way."""
    slow = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx".encode()
    said = []
    for _ in range(4):
        _, left = await asyncio.open_connection("127.0.0.1", port)
        left.write(slow)
        await left.drain()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(slow)
        said.append((await reader.readuntil(b"\r\n"))[:12])
        for each in (left, writer):
            each.close()
    return said


@pytest.mark.integration
async def test_behind_the_gateway_no_request_fails_because_of_its_predecessor(
    app: ASGIApp, tmp_path: Path
) -> None:
    large = b"x" * (FORM_BYTES - 1)
    async with listening(app) as server, httpx.AsyncClient(trust_env=False) as shopper:
        services = dict.fromkeys(SERVICES, f"127.0.0.1:{server.port}")  # type: ignore[attr-defined]
        gateway = LocalGateway(tmp_path / "gateway", services=services)
        await asyncio.to_thread(gateway.start)
        try:
            base = f"{gateway.url}/api/advisor"
            statuses, rounds = [], 0
            stranger = asyncio.create_task(too_slow(gateway.port, "/api/advisor/echo"))
            while rounds < 8 or not stranger.done():
                rounds += 1
                for path, body in (
                    ("/broken", b"1"),
                    ("/echo", large),
                    ("/cars/1", large),  # answered before its body is read
                    ("/echo", b""),
                    ("/nothing", large),
                    ("/echo", large),
                ):
                    statuses.append((await shopper.post(base + path, content=body)).status_code)
        finally:
            await asyncio.to_thread(gateway.stop)

    assert statuses == [500, 200, 405, 200, 404, 200] * rounds
    assert stranger.result() == [b"HTTP/1.1 408"] * 4


GET = b"GET /api/advisor/cars/1 HTTP/1.1\r\n"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET + b"Host: a\r\n\r\n", 200),
        (GET + b"Host: a\r\nHost: b\r\n\r\n", 400),
        (GET + b"\r\n", 400),
        (b"GET /api/advisor/cars/1 HTTP/1.0\r\n\r\n", 200),
        (GET + b"Host: a\r\nCookie: " + b"a" * (MOST_HEADER_BYTES + 1) + b"\r\n\r\n", 431),
        (GET + b"Host: a\r\nCookie: " + b"a" * (2 * MOST_HEADER_BYTES), 431),
        (b"GET /api/advisor/at?moment=\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 422),
        ("GET /api/advisor/cars/å HTTP/1.1\r\nHost: a\r\n\r\n".encode(), 404),
        (b"GET /api/advisor/cars/1 HTTP/1.1\r\nHost: a\r\nX-Y: caf\xc3\xa9 \xff\r\n\r\n", 200),
        (b"nonsense\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 204),
    ],
)
async def test_odd_requests_are_answered_with_problem_documents(
    app: ASGIApp, request_: bytes, status: int
) -> None:
    async with listening(app) as server:
        answer = await said(server, request_)

    assert (answer[0], len(answer[1]["x-trace-id"])) == (status, 32)
    if status >= 400:
        assert answer[1]["content-type"] == "application/problem+json"
        assert json.loads(answer[2])["trace_id"] == answer[1]["x-trace-id"]


@pytest.mark.integration
async def test_who_stops_answers_what_still_comes_and_says_that_it_is_the_last(
    app: ASGIApp,
) -> None:
    async with listening(app, idle_seconds=10) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)  # type: ignore[attr-defined]
        ask = GET + b"Host: a\r\n\r\n"
        writer.write(ask)
        first = await reader.readuntil(b'{"car":"1"}')
        server.should_exit = True
        while server.servers[0].is_serving():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        writer.write(ask)  # it was on its way when we stopped
        second = await reader.read()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)  # type: ignore[attr-defined]
        writer.close()

    assert [b"200 OK" in each for each in (first, second)] == [True, True]
    assert [b"connection: close" in each for each in (first, second)] == [False, True]
