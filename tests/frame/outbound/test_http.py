"""The in-process transport behaves as a network does."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from app.frame.outbound.http import InProcessTransport, NeighbourClient
from app.kernel.errors import CannotStart

COLOUR = contextvars.ContextVar("COLOUR", default="none")
START = {"type": "http.response.start", "status": 200, "headers": []}


def _client(app: ASGIApp) -> NeighbourClient:
    return _reaching(lambda: app)


def _reaching(application: Callable[[], ASGIApp]) -> NeighbourClient:
    return NeighbourClient(
        "http://other", InProcessTransport(application), timeout=httpx.Timeout(0.2)
    )


async def test_a_request_arrives_whole_and_its_answer_comes_back() -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(scope)
        body = (await receive())["body"]
        await send({**START, "status": 201, "headers": [(b"x-colour", b"red")]})
        await send({"type": "http.response.body", "body": body[:3], "more_body": True})
        await send({"type": "http.response.body", "body": body[3:]})

    async with _client(app) as client:
        answer = await client.post("/a%20b?c=%26", content=b"abcdef", headers={"X-Of": "me"})

    assert (answer.status_code, answer.content, answer.headers["x-colour"]) == (
        201,
        b"abcdef",
        "red",
    )
    assert (seen["method"], seen["path"], seen["raw_path"], seen["query_string"]) == (
        "POST",
        "/a b",
        b"/a%20b",
        b"c=%26",
    )
    assert (b"x-of", b"me") in seen["headers"]


async def test_an_application_that_never_answers_is_cut_off_at_the_deadline(
    no_task_left: None,
) -> None:
    cancelled = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with _client(app) as client:
        with pytest.raises(httpx.ReadTimeout, match=r"no answer from other within 0\.2 s"):
            await client.get("/slow")
        assert not cancelled.is_set()  # as a server across a network, it goes on

    assert cancelled.is_set()  # and ends with its client


async def test_an_answer_that_stops_half_way_is_a_protocol_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ZeroDivisionError

    async with _client(app) as client:
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await client.get("/")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_an_application_that_returns_without_an_answer_is_a_protocol_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        return

    async with _client(app) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")


async def test_no_context_variable_leaks_to_the_other_side() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(COLOUR.get())
        COLOUR.set("green")
        await send(START)
        await send({"type": "http.response.body"})

    token = COLOUR.set("red")
    async with _client(app) as client:
        await client.get("/")
    after = COLOUR.get()
    COLOUR.reset(token)

    assert (seen, after) == (["none"], "red")


async def test_work_after_the_answer_still_happens(no_task_left: None) -> None:
    done = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.body"})
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        done.set()

    async with _client(app) as client:
        assert (await client.get("/")).status_code == 200
        await done.wait()


async def test_a_service_without_an_address_cannot_be_connected_to() -> None:
    def missing() -> ASGIApp:
        raise CannotStart("SANDBOX_URL is not set")

    async with _reaching(missing) as client:
        with pytest.raises(httpx.ConnectError, match="SANDBOX_URL is not set") as caught:
            await client.get("/cars")
    assert caught.value.request.url.path == "/cars"


async def test_a_neighbour_is_sent_whole_bodies_and_answers_with_one(
    no_task_left: None,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("nobody is called")

    async def parts() -> AsyncIterator[bytes]:
        yield b"half"

    async with _client(app) as client:
        with pytest.raises(TypeError, match="told the length"):
            await client.post("/", content=parts())
        with pytest.raises(TypeError, match="read whole"):
            async with client.stream("GET", "/"):
                raise AssertionError("no stream")
