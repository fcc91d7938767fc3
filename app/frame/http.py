"""Talking to another service: real HTTP, or the same client over an in-process transport.

The in-process transport keeps what a network has and httpx's own ASGI transport loses: a deadline
that really cuts off, and a fresh context on the other side (no context variable leaks across).
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import httpx
from starlette.types import ASGIApp, Message

from app.kernel.errors import CannotStart

CONNECT_SECONDS: Final = 1.0
READ_SECONDS: Final = 5.0
DEADLINE: Final = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS)
"""Defaults of Shopify's payments guide: 1 s to connect, 5 s to read or write."""


class NeighbourClient(httpx.AsyncClient):
    """A client for one service of ours: httpx without redirects, cookies and authentication.

    They are half of what a call costs, and a jar of cookies that all shoppers share would be wrong.
    """

    def __init__(
        self, base_url: str, transport: httpx.AsyncBaseTransport, *, timeout: httpx.Timeout
    ) -> None:
        super().__init__(base_url=base_url, transport=transport, timeout=timeout)
        self._neighbour = transport

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """The whole answer. Raises `TypeError` when a stream or redirects are asked for."""
        if options.get("stream") is True or options.get("follow_redirects") is True:
            raise TypeError("a neighbour's answer is read whole, and it redirects nobody")
        response = await self._neighbour.handle_async_request(request)
        response.request = request
        await response.aread()
        return response


class InProcessTransport(httpx.AsyncBaseTransport):
    """Carries requests to an ASGI application of this process.

    `application` is asked for at each request, so services may refer to each other in a circle.
    A request past its deadline raises `httpx.ReadTimeout`; the other side goes on, as a server
    across a network does.
    """

    def __init__(self, application: Callable[[], ASGIApp]) -> None:
        self._application = application
        self._running: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        """End what still runs: nobody is left to hear its answer."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        try:
            application = self._application()
        except CannotStart as error:
            raise httpx.ConnectError(str(error), request=request) from error
        exchange = _Exchange(body)
        task = asyncio.get_running_loop().create_task(
            _run(application, _scope(request), exchange), context=contextvars.Context()
        )
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(exchange.ended)
        deadline = request.extensions.get("timeout", {}).get("read")
        try:
            await asyncio.wait_for(exchange.complete.wait(), deadline)
        except TimeoutError:
            raise httpx.ReadTimeout(
                f"no answer from {request.url.path} within {deadline} s", request=request
            ) from None
        if exchange.failure is not None:
            raise httpx.RemoteProtocolError(
                f"{request.url.path} ended without an answer", request=request
            ) from exchange.failure
        return httpx.Response(
            exchange.status, headers=exchange.headers, stream=_Body(exchange.chunks)
        )


async def _run(application: ASGIApp, scope: dict[str, Any], exchange: _Exchange) -> None:
    await application(scope, exchange.receive, exchange.send)


class _Exchange:
    """One request and its answer, as ASGI's receive and send."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.chunks: list[bytes] = []
        self.failure: BaseException | None = None
        self.complete = asyncio.Event()

    async def receive(self) -> Message:
        if self._body is None:
            await self.complete.wait()
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            self.chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                self.complete.set()

    def ended(self, task: asyncio.Task[None]) -> None:
        if self.complete.is_set():
            if not task.cancelled():
                task.exception()  # looked at: the answer was sent, the server has logged it
            return
        cancelled = task.cancelled()
        self.failure = (
            asyncio.CancelledError()
            if cancelled
            else task.exception() or RuntimeError("no response was completed")
        )
        self.complete.set()


class _Body(httpx.AsyncByteStream):
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def _scope(request: httpx.Request) -> dict[str, Any]:
    path = request.url.raw_path.split(b"?")[0]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(key.lower(), value) for key, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": path,
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": ("127.0.0.1", 0),
        "root_path": "",
    }
