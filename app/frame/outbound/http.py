"""Talking to another service: real HTTP, or the same client over an in-process transport.

The in-process transport keeps what a network has and httpx's own ASGI transport loses: a deadline
that really cuts off, and a fresh context on the other side (no context variable leaks across).
"""

from __future__ import annotations

import asyncio
import contextvars
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
from starlette.types import ASGIApp, Message

from app.kernel.errors import CannotStart
from telemetry.outbound import Destination, Observe

CONNECT_SECONDS: Final = 1.0
READ_SECONDS: Final = 5.0
DEADLINE: Final = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS)
"""Defaults of Shopify's payments guide: 1 s to connect, 5 s to read or write."""


Header = tuple[bytes, bytes]
Seconds = Mapping[str, float | None]
"""Deadlines by phase (`connect`, `read`, `pool`), as `httpx.Timeout.as_dict` has them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP response."""

    status: int
    headers: list[Header]
    body: bytes


class Carrier(httpx.AsyncBaseTransport, ABC):
    """Carries whole requests to a neighbour and whole answers back."""

    @abstractmethod
    async def carry(
        self, to: Destination, headers: Sequence[Header], body: bytes, seconds: Seconds
    ) -> Answer:
        """The answer to one request, whose headers are complete.

        Raises what httpx's transports raise: `ConnectError`, `ConnectTimeout`, `ReadTimeout`,
        `PoolTimeout`, `ReadError`, `RemoteProtocolError`, `LocalProtocolError`.
        """


class NeighbourClient(httpx.AsyncClient):
    """A client for one service of ours: httpx without redirects, cookies and authentication.

    They are half of what a call costs, and a jar of cookies that all shoppers share would be wrong.
    Who asks often at one address (`to`) calls `ask`: all of a call but httpx's own objects.
    """

    def __init__(
        self,
        base_url: str,
        carrier: Carrier,
        *,
        timeout: httpx.Timeout,
        observe: Observe | None = None,
    ) -> None:
        super().__init__(base_url=base_url, transport=carrier, timeout=timeout)
        self._carrier = carrier
        self._observe = observe

    def to(self, method: str, path: str) -> Destination:
        return Destination.of(method, httpx.URL(str(self.base_url).rstrip("/") + path))

    async def ask(
        self, to: Destination, headers: Sequence[Header], body: bytes, seconds: Seconds
    ) -> Answer:
        """The whole answer to a request with these headers and no others; see `Carrier.carry`."""
        if self._observe is None:
            return await self._carrier.carry(to, headers, body, seconds)
        with self._observe(to) as call:
            answer = await self._carrier.carry(to, [*headers, *call.headers], body, seconds)
            call.status = answer.status
        return answer

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """The whole answer. Raises `TypeError` when a stream or redirects are asked for."""
        if options.get("stream") is True or options.get("follow_redirects") is True:
            raise TypeError("a neighbour's answer is read whole, and it redirects nobody")
        if "transfer-encoding" in request.headers:
            raise TypeError("a neighbour is told the length of what it is sent")
        try:
            answer = await self.ask(
                Destination.of(request.method, request.url),
                request.headers.raw,
                await request.aread(),
                request.extensions.get("timeout", {}),
            )
        except httpx.RequestError as error:
            error.request = request
            raise
        response = httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=httpx.ByteStream(answer.body),
            request=request,
        )
        response.read()
        return response


class InProcessTransport(Carrier):
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

    async def carry(
        self, to: Destination, headers: Sequence[Header], body: bytes, seconds: Seconds
    ) -> Answer:
        try:
            application = self._application()
        except CannotStart as error:
            raise httpx.ConnectError(str(error)) from error
        exchange = _Exchange(body)
        task = asyncio.get_running_loop().create_task(
            _run(application, _scope(to, headers), exchange), context=contextvars.Context()
        )
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(exchange.ended)
        deadline = seconds.get("read")
        try:
            await asyncio.wait_for(exchange.complete.wait(), deadline)
        except TimeoutError:
            raise httpx.ReadTimeout(f"no answer from {to.peer} within {deadline} s") from None
        if exchange.failure is not None:
            raise httpx.RemoteProtocolError(
                f"{to.peer} ended without an answer"
            ) from exchange.failure
        return Answer(exchange.status, exchange.headers, b"".join(exchange.chunks))


async def _run(application: ASGIApp, scope: dict[str, Any], exchange: _Exchange) -> None:
    await application(scope, exchange.receive, exchange.send)


class _Exchange:
    """One request and its answer, as ASGI's receive and send."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self.status = 500
        self.headers: list[Header] = []
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


def _scope(to: Destination, headers: Sequence[Header]) -> dict[str, Any]:
    url = to.url
    # For whom we ask: in one process nobody needs to be trusted to say so.
    asked_for = next((value for name, value in headers if name == b"x-forwarded-for"), b"127.0.0.1")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": to.method,
        "headers": [(key.lower(), value) for key, value in headers],
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.split(b"?")[0],
        "query_string": url.query,
        "server": (url.host, url.port),
        "client": (asked_for.decode("latin-1"), 0),
        "root_path": "",
    }
