"""A lean HTTP/1.1 client: one keep-alive connection, one request at a time, nothing to spare.

httpx needs several times the CPU of what it would measure here; the load generator must never be
what is slow. It reads what uvicorn and nginx send: a status line and a body with Content-Length.
"""

import asyncio
from dataclasses import dataclass
from typing import Self


class ConnectionLost(Exception):
    """The server closed the connection before its answer was complete."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """One connection; `request` sends bytes made by `render` and waits for the answer."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._received = bytearray()
        self._waiting: asyncio.Future[Answer] | None = None

    @classmethod
    async def open(cls, host: str, port: int) -> Self:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, host, port)
        return connection

    async def request(self, rendered: bytes) -> Answer:
        """Raises `ConnectionLost`."""
        if self._transport is None:
            raise ConnectionLost
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(rendered)
        return await self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionLost())

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _content_length(self._received[:end].lower())
        if len(self._received) < end + 4 + length:
            return
        answer = Answer(int(self._received[9:12]), bytes(self._received[end + 4 :]))
        self._received.clear()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)


def render(path: str, body: bytes, headers: str) -> bytes:
    """A POST as bytes. `headers` are complete lines, each ended with CRLF."""
    return (
        f"POST {path} HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n{headers}\r\n"
    ).encode() + body


def _content_length(head: bytearray) -> int:
    at = head.find(b"content-length:")
    if at < 0:
        return 0
    end = head.find(b"\r\n", at)
    return int(head[at + 15 : end if end >= 0 else len(head)])
