"""Whatever a caller keeps open has a count per caller and an end; who is quick notices nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.frame.data.database import Database
from app.frame.inbound.admission import SPARE, Admission, Entry
from app.frame.inbound.bodies import BYTES_IN_TIME, FEED_BYTES, BodyLimit
from app.frame.inbound.listening import Connection
from app.frame.platform import Platform
from app.frame.start.server import _Server
from app.frame.start.service import assemble, new_api
from rigs.ports import LOOPBACK
from telemetry.testing import Signals

ECHO = b"POST /api/advisor/echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
LARGE = 40_000_000


@pytest.fixture
def app(platform: Platform, signals: Signals, tmp_path: Path) -> ASGIApp:
    """One place only, and a second for a body."""
    platform.settings.body_seconds = 1
    api = new_api(platform, name="advisor", title="test", prefix="/api/advisor")

    @api.post("/api/advisor/echo")
    async def echo(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    @api.post("/api/advisor/feeds/a")
    async def feed(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    @api.get("/api/advisor/large")
    async def large() -> Response:
        return Response(bytes(LARGE))

    async def nothing() -> None: ...

    return assemble(
        "advisor",
        platform,
        signals.telemetry,
        database=Database(
            f"sqlite+aiosqlite:///{tmp_path}/advisor.db", telemetry=signals.telemetry
        ),
        api=api,
        migrate=nothing,
        places=2,  # browsing may fill three quarters
        larger_bodies={"/api/advisor/feeds/": FEED_BYTES},
    ).api


@asynccontextmanager
async def listening(app: ASGIApp, **rules: Any) -> AsyncIterator[int]:
    """The port of the real server."""
    admission = Admission(**{"head_seconds": 1, "unread_seconds": 1, **rules})
    config = uvicorn.Config(
        app,
        http=partial(Connection, admission=admission),  # type: ignore[arg-type]
        ws="none",
        port=0,
        host=LOOPBACK,
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    server = _Server(config, idle_seconds=0)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        Caller.forget_all()
        server.should_exit = True
        await task


class Caller:
    """A connection that sends and reads as it is told."""

    opened: ClassVar[list[Caller]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.opened.append(self)

    @classmethod
    async def to(cls, port: int) -> Caller:
        return cls(*await asyncio.open_connection(LOOPBACK, port))

    @classmethod
    def forget_all(cls) -> None:
        while cls.opened:
            cls.opened.pop()._writer.close()

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head[1:] if line)}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body

    async def end(self) -> bytes:
        """What is said until the connection ends."""
        try:
            return await asyncio.wait_for(self._reader.read(), 30)
        except ConnectionResetError:
            return b""


async def quick(port: int) -> int:
    caller = await Caller.to(port)
    caller.send(ECHO % 3 + b"abc")
    status, _, body = await caller.answer()
    return status if body == b'{"length":3}' else 0


@pytest.mark.integration
async def test_who_never_sends_the_body_takes_no_place_and_is_told_that_it_is_late(
    app: ASGIApp, signals: Signals
) -> None:
    async with listening(app) as port:
        slow = [await Caller.to(port) for _ in range(20)]
        for each in slow:
            each.send(ECHO % 1000 + b"a")
        others = [await quick(port) for _ in range(5)]
        said = [await each.answer() for each in slow]
        rest = [await each.end() for each in slow]

    assert others == [200] * 5
    assert {(status, headers["connection"]) for status, headers, _ in said} == {(408, "close")}
    assert set(rest) == {b""}
    problem = json.loads(said[0][2])
    assert {name: problem[name] for name in ("type", "title", "status", "detail", "instance")} == {
        "type": "/problems/too-slow",
        "title": "The request came too slowly",
        "status": 408,
        "detail": "body: not whole within 1 seconds.",
        "instance": "/api/advisor/echo",
    }


@pytest.mark.integration
async def test_a_body_in_drops_has_no_more_time_than_one_that_never_comes(app: ASGIApp) -> None:
    async with listening(app) as port:
        caller = await Caller.to(port)
        caller.send(ECHO % 1000)
        answer = asyncio.create_task(caller.answer())
        while not answer.done():
            caller.send(b"a")
            await asyncio.sleep(0.1)
        assert answer.result()[0] == 408
        await caller.end()


@pytest.mark.integration
async def test_a_larger_body_has_more_time_and_is_late_in_the_end() -> None:
    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = Response(str(len(await Request(scope, receive).body())))
        except HTTPException as error:
            answer = Response(error.detail, error.status_code, error.headers)
        await answer(scope, receive, send)

    limit = BodyLimit(reading, seconds=0.1, larger={"/feeds/": 16 * BYTES_IN_TIME})
    late = b"POST /feeds/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
    async with listening(limit) as port:
        form, feed = await Caller.to(port), await Caller.to(port)
        form.send(ECHO % 1000)
        feed.send(late)
        assert (await form.answer())[0] == 408
        feed.send(b"a" * 1000)
        assert (await feed.answer())[::2] == (200, b"1000")
        feed.send(late)
        assert (await feed.answer())[::2] == (408, b"body: not whole within 1.6 seconds.")


@pytest.mark.integration
@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX: "])
async def test_headers_have_an_end(app: ASGIApp, sent: bytes) -> None:
    async with listening(app) as port:
        caller = await Caller.to(port)
        caller.send(sent)
        said = await caller.end()

    assert said[:12] == (b"HTTP/1.1 408" if sent else b"")
    assert (b"connection: close" in said) is bool(sent)


@pytest.mark.integration
async def test_what_is_sent_between_requests_keeps_no_connection(app: ASGIApp) -> None:
    async with listening(app) as port:
        caller = await Caller.to(port)
        caller.send(ECHO % 3 + b"abc")
        assert (await caller.answer())[0] == 200
        ended = asyncio.create_task(caller.end())
        while not ended.done():
            caller.send(b"\r\n")
            await asyncio.sleep(0.1)
        assert b"200" not in ended.result()


@pytest.mark.integration
async def test_a_body_that_nobody_wants_has_an_end_too(app: ASGIApp) -> None:
    async with listening(app) as port:
        caller = await Caller.to(port)
        caller.send(ECHO % 10**9)
        assert (await caller.answer())[0] == 413
        ended = asyncio.create_task(caller.end())
        while not ended.done():
            caller.send(b"a" * 1000)
            await asyncio.sleep(0.1)
        assert ended.result() == b""


@pytest.mark.integration
async def test_an_answer_that_nobody_reads_ends(app: ASGIApp) -> None:
    async with listening(app, most_of_one=1) as port:
        caller = await Caller.to(port)
        caller.send(b"GET /api/advisor/large HTTP/1.1\r\nHost: a\r\n\r\n")
        # There is room for one: as long as the next one is told so, the first is still there.
        while await quick(port) != 200:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.1)
        assert len(await caller.end()) < LARGE


@pytest.mark.integration
async def test_a_caller_has_so_many_connections_and_the_next_one_is_told_why(app: ASGIApp) -> None:
    async with listening(app, most_of_one=3) as port:
        friends = [await Caller.to(port) for _ in range(3)]
        for each in friends:
            each.send(ECHO % 3 + b"abc")
        assert [(await each.answer())[0] for each in friends] == [200] * 3
        crowd = [await Caller.to(port) for _ in range(SPARE + 5)]
        for each in crowd:
            each.send(b"GET /api/advisor/large HTTP/1.1\r\nHost: a\r\n\r\n")
        said = [await each.end() for each in crowd]
        for each in friends:
            await each.end()
        assert await quick(port) == 200

    assert [each[:12] for each in said] == [b"HTTP/1.1 429"] * SPARE + [b""] * 5
    assert all(b"retry-after: 2\r\n" in each for each in said[:SPARE])


@pytest.mark.integration
async def test_who_speaks_for_many_may_have_as_many_as_there_is_room_for(app: ASGIApp) -> None:
    async with listening(
        app, most_of_one=1, most=4, for_many=lambda host: host == LOOPBACK
    ) as port:
        callers = [await Caller.to(port) for _ in range(5)]
        for each in callers:
            each.send(ECHO % 3 + b"abc")
        assert [(await each.answer())[0] for each in callers] == [200] * 4 + [503]


@pytest.mark.integration
async def test_nobody_slips_out_of_sight_by_an_upgrade(app: ASGIApp) -> None:
    async with listening(app) as port:
        caller = await Caller.to(port)
        caller.send(
            b"GET /api/advisor/echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade:"
            b" websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: YWFhYWFhYWFhYWFhYWFhYQ==\r\n\r\n"
        )
        assert (await caller.answer())[0] == 405


def test_who_leaves_makes_room_and_is_forgotten() -> None:
    admission = Admission(most_of_one=1)
    met = [admission.enter("2001:db8::1"), admission.enter("2001:db8::2")]
    for _ in met:
        admission.leave("2001:db8::3")

    assert met == [Entry.ADMITTED, Entry.NETWORK_FULL]
    assert admission == Admission(most_of_one=1, _refused=1)
