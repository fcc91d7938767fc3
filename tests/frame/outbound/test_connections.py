"""Kept connections behave as httpx's own transport does, when the other side misbehaves too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from app.frame.outbound import connections
from app.frame.outbound.connections import KeptConnections
from app.frame.outbound.http import Answer, NeighbourClient

pytestmark = pytest.mark.integration

Answering = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Neighbour:
    """A server that reads whole requests; counts the connections that it was asked for."""

    def __init__(self, answer: Answering) -> None:
        self._answer = answer
        self.connections = 0
        self.seen: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length:")
                    ),
                    0,
                )
                self.seen.append(head + await reader.readexactly(length))
                await self._answer(self.seen[-1], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


def _client(url: str) -> NeighbourClient:
    return NeighbourClient(url, KeptConnections(), timeout=httpx.Timeout(0.5))


@asynccontextmanager
async def _neighbour(answer: Answering) -> AsyncIterator[tuple[Neighbour, NeighbourClient]]:
    neighbour = Neighbour(answer)
    server = await asyncio.start_server(neighbour.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = _client(f"http://127.0.0.1:{port}")
    try:
        yield neighbour, client
    finally:
        await client.aclose()
        server.close()


async def _ok(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


async def test_a_connection_is_used_again_and_several_at_once_get_their_own() -> None:
    async with _neighbour(_ok) as (neighbour, client):
        for _ in range(3):
            assert (await client.get("/")).text == "ok"
        assert neighbour.connections == 1

        answers = await asyncio.gather(*[client.post("/", content=b"x" * n) for n in range(5)])

    assert [answer.text for answer in answers] == ["ok"] * 5
    assert neighbour.connections == 5


async def test_a_request_arrives_whole() -> None:
    async with _neighbour(_ok) as (neighbour, client):
        await client.post("/a%20b?c=%26", content="å".encode(), headers={"X-Of": "me"})

    (seen,) = neighbour.seen
    head, body = seen.split(b"\r\n\r\n")
    assert head.startswith(b"POST /a%20b?c=%26 HTTP/1.1\r\n")
    assert b"\r\nX-Of: me" in head
    assert body == "å".encode()


async def test_a_request_that_is_asked_directly_is_these_headers_and_no_others() -> None:
    async with _neighbour(_ok) as (neighbour, client):
        to = client.to("POST", "/a%20b?c=%26")
        answers = [
            await client.ask(to, [(b"host", b"me"), (b"content-length", b"2")], body, {"read": 0.5})
            for body in (b"ab", b"cd")
        ]

    assert answers == [Answer(200, [(b"content-length", b"2")], b"ok")] * 2
    head = b"POST /a%20b?c=%26 HTTP/1.1\r\nhost: me\r\ncontent-length: 2\r\n\r\n"
    assert (neighbour.seen, neighbour.connections) == ([head + b"ab", head + b"cd"], 1)


async def test_more_calls_than_connections_wait_for_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 2)
    async with _neighbour(_ok) as (neighbour, client):
        answers = await asyncio.gather(*[client.get("/") for _ in range(6)])
        assert [answer.text for answer in answers] == ["ok"] * 6
        assert neighbour.connections == 2

    async with _neighbour(_silence) as (_, client):
        client.timeout = httpx.Timeout(0.5, pool=0.05)
        ends = await asyncio.gather(*[client.get("/") for _ in range(3)], return_exceptions=True)
    assert [type(end) for end in ends] == [httpx.ReadTimeout, httpx.ReadTimeout, httpx.PoolTimeout]


async def test_an_answer_in_chunks_is_whole() -> None:
    async def chunks(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await writer.drain()
        writer.write(b"2\r\nde\r\n0\r\n\r\n")

    async with _neighbour(chunks) as (_, client):
        answer = await client.get("/")

    assert (answer.status_code, answer.text) == (201, "abcde")


async def test_a_connection_that_the_other_side_closes_is_not_used_again() -> None:
    async def once(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK.replace(b"200 OK\r\n", b"200 OK\r\nconnection: close\r\n"))
        writer.close()

    async with _neighbour(once) as (neighbour, client):
        assert [(await client.get("/")).text for _ in range(2)] == ["ok", "ok"]

    assert neighbour.connections == 2


async def _silence(_: bytes, writer: asyncio.StreamWriter) -> None:
    await writer.drain()


async def _hang_up(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal")
    writer.close()


async def _nonsense(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HELLO\r\n\r\n")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (_silence, httpx.ReadTimeout),
        (_hang_up, httpx.RemoteProtocolError),
        (_nonsense, httpx.RemoteProtocolError),
    ],
)
async def test_a_bad_answer_raises_what_httpx_raises(
    answer: Answering, error: type[Exception]
) -> None:
    async with _neighbour(answer) as (_, client):
        with pytest.raises(error):
            await client.get("/")


async def test_a_header_cannot_become_a_second_request() -> None:
    async with _neighbour(_ok) as (neighbour, client):
        with pytest.raises(httpx.LocalProtocolError):
            await client.get("/", headers={"x-key": "a\r\n\r\nDELETE / HTTP/1.1"})

        assert neighbour.connections == 0


async def test_nobody_there_is_a_connect_error() -> None:
    async with _neighbour(_ok) as (_, client):
        gone = str(client.base_url)
    async with _client(gone) as late:
        with pytest.raises(httpx.ConnectError):
            await late.get("/")
