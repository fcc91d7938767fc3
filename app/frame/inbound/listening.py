"""One connection of a caller: uvicorn's, with an end to headers, our refusals, and a last answer.

A connection that we end while a request is on its way costs somebody that request. So a process
that stops lets its idle connections be (the gateway gives them up after four seconds, and uvicorn
after five), and says `Connection: close` in the answer to whatever still comes.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

import orjson
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from app.frame.inbound.edge import MOST_HEADER_BYTES
from app.frame.inbound.problems import MEDIA_TYPE

_EIGHT_BIT: Final = re.compile(rb"[\x80-\xff]")


class Connection(HttpToolsProtocol):
    """Understands addresses in raw UTF-8 (as some clients send them) by quoting them."""

    _between = True
    """Whether the next byte begins a request."""
    _head_bytes = 0
    _draining = False

    @property
    def idle(self) -> bool:
        """Kept by its caller, without a request."""
        cycle: RequestResponseCycle | None = self.cycle  # None until the first request
        return cycle is None or cycle.response_complete

    def drain(self) -> None:
        """Keep the connection for nobody after the answer that is under way or comes next."""
        self._draining = True
        if not self.idle:
            self.cycle.keep_alive = False

    def data_received(self, data: bytes) -> None:
        if self._between and not data.isascii():
            line, end, rest = data.partition(b"\r\n")
            data = _EIGHT_BIT.sub(lambda found: b"%%%02X" % found[0][0], line) + end + rest
        self._between = False
        super().data_received(data)
        if self._head_bytes < 0 or self.transport.is_closing():
            return
        self._head_bytes += len(data)  # the headers are not at their end yet
        if self._head_bytes > 2 * MOST_HEADER_BYTES:
            self._refuse(431, "too-large", "The request is too large", "headers: too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._head_bytes = -1
        super().on_headers_complete()
        if self._draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._between = True

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "malformed-request", "The request could not be read", msg)

    def _refuse(self, status: int, code: str, title: str, detail: str) -> None:
        """A problem document for what is no request, and the end of the connection."""
        trace_id = secrets.token_hex(16)
        problem = {
            "type": f"/problems/{code}",
            "title": title,
            "status": status,
            "detail": detail,
            "instance": "/",
            "trace_id": trace_id,
        }
        body = orjson.dumps(problem)
        head = (
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            f"x-trace-id: {trace_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()
