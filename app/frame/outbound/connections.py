"""HTTP to a neighbour on kept connections, without what a public client needs.

Calls between services are plain HTTP/1.1 with small bodies. httpx's own transport spends most of
its time on what they do not have (several async libraries, streaming, protocol negotiation): three
quarters of such a call, which was a third of what an order cost (docs/decisions/0008). Whatever is
not plain HTTP goes through httpx's transport.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict, deque
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import httptools
import httpx

from app.frame.outbound.http import Answer, Carrier, Header, Seconds
from telemetry.outbound import Destination

MOST_CONNECTIONS: Final = 100
IDLE_SECONDS: Final = 4.0
"""uvicorn closes a connection that was idle for five seconds: we stop using it before."""

Origin = tuple[str, int]


class KeptConnections(Carrier):
    """At most `MOST_CONNECTIONS` at once; deadlines are the request's own."""

    def __init__(self) -> None:
        self._idle: dict[Origin, deque[_Connection]] = defaultdict(deque)
        self._places = asyncio.Semaphore(MOST_CONNECTIONS)

    async def carry(
        self, to: Destination, headers: Sequence[Header], body: bytes, seconds: Seconds
    ) -> Answer:
        if to.url.scheme != "http" or to.method == "HEAD":
            return await self._by_httpx(to, headers, body, seconds)
        data = _head(to, headers) + body
        if self._places.locked():
            try:
                await asyncio.wait_for(self._places.acquire(), seconds.get("pool"))
            except TimeoutError:
                raise httpx.PoolTimeout("too many calls at once") from None
        else:
            await self._places.acquire()
        try:
            return await self._exchange((to.url.host, to.url.port or 80), data, seconds)
        finally:
            self._places.release()

    async def _by_httpx(
        self, to: Destination, headers: Sequence[Header], body: bytes, seconds: Seconds
    ) -> Answer:
        request = httpx.Request(
            to.method, to.url, headers=headers, content=body, extensions={"timeout": seconds}
        )
        try:
            response = await self._rest.handle_async_request(request)
        except (FileNotFoundError, ssl.SSLError) as error:
            raise httpx.ConnectError(
                f"SSL_CERT_FILE or SSL_CERT_DIR cannot be used: {error}"
            ) from error
        try:
            chunks = [chunk async for chunk in response.aiter_raw()]
        finally:
            await response.aclose()
        return Answer(response.status_code, response.headers.raw, b"".join(chunks))

    @cached_property
    def _rest(self) -> httpx.AsyncHTTPTransport:
        """Made when first needed: it reads certificates, and the environment says from where."""
        return httpx.AsyncHTTPTransport()

    async def _exchange(self, origin: Origin, data: bytes, seconds: Seconds) -> Answer:
        idle = self._idle[origin]
        connection = _usable(idle) or await _opened(origin, seconds.get("connect"))
        try:
            answer = await connection.exchange(data, seconds.get("read"))
        except BaseException:
            connection.close()
            raise
        if connection.kept:
            idle.append(connection)
        else:
            connection.close()
        return answer

    async def aclose(self) -> None:
        for idle in self._idle.values():
            while idle:
                idle.pop().close()
        if "_rest" in self.__dict__:
            await self._rest.aclose()


def _usable(idle: deque[_Connection]) -> _Connection | None:
    """The connection that was used last, if any is still good."""
    now = asyncio.get_running_loop().time()
    while idle:
        connection = idle.pop()
        if not connection.closed and now - connection.used_at < IDLE_SECONDS:
            return connection
        connection.close()
    return None


async def _opened(origin: Origin, seconds: float | None) -> _Connection:
    try:
        async with asyncio.timeout(seconds):
            _, connection = await asyncio.get_running_loop().create_connection(_Connection, *origin)
    except TimeoutError:
        raise httpx.ConnectTimeout("no connection in time") from None
    except OSError as error:
        raise httpx.ConnectError(str(error)) from error
    return connection


def _head(to: Destination, headers: Sequence[Header]) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (to.method.encode(), to.url.raw_path)]
    lines += [b"%s: %s" % header for header in headers]
    head = b"\r\n".join(lines)
    if head.count(b"\r") >= len(lines) or head.count(b"\n") >= len(lines) or b"\0" in head:
        raise httpx.LocalProtocolError("a header would end where it must not")
    return head + b"\r\n\r\n"


class _Connection(asyncio.Protocol):
    """One connection and the response that is being read from it."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[Header] = []
        self.chunks: list[bytes] = []
        self.kept = False
        self.closed = False
        self.used_at = 0.0
        self._parser: Any = None
        self._transport: asyncio.Transport | None = None
        self._complete: asyncio.Future[None] | None = None

    async def exchange(self, data: bytes, seconds: float | None) -> Answer:
        """Send a request; the response when it is complete, within so many seconds."""
        if self.closed or self._transport is None:
            raise httpx.ReadError("the connection was closed")
        loop = asyncio.get_running_loop()
        self.status, self.headers, self.chunks, self.kept = 0, [], [], False
        self._parser = httptools.HttpResponseParser(self)
        self._complete = loop.create_future()
        self._transport.write(data)
        deadline = None if seconds is None else loop.call_later(seconds, self._late)
        try:
            await self._complete
        finally:
            if deadline is not None:
                deadline.cancel()
        self.used_at = loop.time()
        return Answer(self.status, self.headers, b"".join(self.chunks))

    def close(self) -> None:
        self.closed = True
        if self._transport is not None:
            self._transport.close()

    # --- asyncio's callbacks ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            self.close()  # somebody speaks who was not asked
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(f"not an HTTP response: {error}"))
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._fail(
            httpx.ReadError(str(error))
            if error
            else httpx.RemoteProtocolError("the connection ended before the response")
        )

    def _late(self) -> None:
        self._fail(httpx.ReadTimeout("no answer in time"))

    def _fail(self, error: Exception) -> None:
        if self._complete is not None and not self._complete.done():
            self._complete.set_exception(error)

    # --- the parser's callbacks ---------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.chunks.append(body)

    def on_message_complete(self) -> None:
        if self.status < 200:  # 100 Continue and its like come before the response
            self.headers = []
            return
        self.kept = self._parser.should_keep_alive()
        self._parser = None
        if self._complete is not None and not self._complete.done():
            self._complete.set_result(None)
