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
from functools import cached_property
from typing import Any, Final

import httptools
import httpx

MOST_CONNECTIONS: Final = 100
IDLE_SECONDS: Final = 4.0
"""uvicorn closes a connection that was idle for five seconds: we stop using it before."""

Origin = tuple[str, int]


class KeptConnections(httpx.AsyncBaseTransport):
    """At most `MOST_CONNECTIONS` at once; deadlines are the request's own.

    Raises what httpx's transport raises: `ConnectError`, `ConnectTimeout`, `ReadTimeout`,
    `PoolTimeout`, `ReadError`, `RemoteProtocolError`.
    """

    def __init__(self) -> None:
        self._idle: dict[Origin, deque[_Connection]] = defaultdict(deque)
        self._places = asyncio.Semaphore(MOST_CONNECTIONS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        plain = request.url.scheme == "http" and request.method != "HEAD"
        if not plain or "transfer-encoding" in request.headers:
            try:
                return await self._rest.handle_async_request(request)
            except (FileNotFoundError, ssl.SSLError) as error:
                raise httpx.ConnectError(
                    f"SSL_CERT_FILE or SSL_CERT_DIR cannot be used: {error}", request=request
                ) from error
        seconds: dict[str, float | None] = request.extensions.get("timeout", {})
        head = _head(request)
        body = await request.aread()
        try:
            await asyncio.wait_for(self._places.acquire(), seconds.get("pool"))
        except TimeoutError:
            raise httpx.PoolTimeout("too many calls at once", request=request) from None
        try:
            return await self._exchange(request, head + body, seconds)
        finally:
            self._places.release()

    @cached_property
    def _rest(self) -> httpx.AsyncHTTPTransport:
        """Made when first needed: it reads certificates, and the environment says from where."""
        return httpx.AsyncHTTPTransport()

    async def _exchange(
        self, request: httpx.Request, data: bytes, seconds: dict[str, float | None]
    ) -> httpx.Response:
        origin = (request.url.host, request.url.port or 80)
        idle = self._idle[origin]
        connection = _usable(idle) or await _opened(origin, request, seconds.get("connect"))
        try:
            async with asyncio.timeout(seconds.get("read")):
                await connection.exchange(data)
        except TimeoutError:
            connection.close()
            raise httpx.ReadTimeout("no answer in time", request=request) from None
        except BaseException:
            connection.close()
            raise
        if connection.kept:
            idle.append(connection)
        else:
            connection.close()
        return httpx.Response(
            connection.status,
            headers=connection.headers,
            stream=httpx.ByteStream(b"".join(connection.chunks)),
        )

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


async def _opened(origin: Origin, request: httpx.Request, seconds: float | None) -> _Connection:
    try:
        async with asyncio.timeout(seconds):
            _, connection = await asyncio.get_running_loop().create_connection(_Connection, *origin)
    except TimeoutError:
        raise httpx.ConnectTimeout("no connection in time", request=request) from None
    except OSError as error:
        raise httpx.ConnectError(str(error), request=request) from error
    return connection


def _head(request: httpx.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    if any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines):
        raise httpx.LocalProtocolError("a header would end where it must not", request=request)
    return b"\r\n".join(lines) + b"\r\n\r\n"


class _Connection(asyncio.Protocol):
    """One connection and the response that is being read from it."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.chunks: list[bytes] = []
        self.kept = False
        self.closed = False
        self.used_at = 0.0
        self._parser: Any = None
        self._transport: asyncio.Transport | None = None
        self._complete: asyncio.Future[None] | None = None

    async def exchange(self, data: bytes) -> None:
        """Send a request; returns when its response is complete."""
        if self.closed or self._transport is None:
            raise httpx.ReadError("the connection was closed")
        self.status, self.headers, self.chunks, self.kept = 0, [], [], False
        self._parser = httptools.HttpResponseParser(self)
        self._complete = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        await self._complete
        self.used_at = asyncio.get_running_loop().time()

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
