"""One connection of a caller: uvicorn's, with an end to whatever its caller keeps open.

A connection that we end while a request is on its way costs somebody that request. So a process
that stops lets its idle connections be (the gateway gives them up after four seconds, and uvicorn
after five), and says `Connection: close` in the answer to whatever still comes.

Deadlines cost a request nothing: once a second the server asks every connection whether it is
where it was a second before.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from enum import Enum
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from app.frame.inbound.admission import Admission, Entry
from app.frame.inbound.bodies import BODY_SECONDS, LATE, LATEST_SECONDS
from app.frame.inbound.edge import MOST_HEADER_BYTES
from app.frame.inbound.overload import RETRY_AFTER_SECONDS
from app.frame.inbound.problems import MEDIA_TYPE

LAST_WORD_SECONDS: Final = 2
"""How long an application has to refuse a body that is late, before the connection just ends."""

UNWANTED_SECONDS: Final = 10.0
"""How long the rest of a body is read and thrown away after its request was answered."""

_EIGHT_BIT: Final = re.compile(rb"[\x80-\xff]")

FULL: Final = {
    Entry.NETWORK_FULL: (
        429,
        "too-many-requests",
        "Too much at once",
        "Your address has too many connections open. Please try again in a moment.",
    ),
    Entry.HOUSE_FULL: (
        503,
        "overloaded",
        "The shop is very busy",
        "The shop has too many connections open. Please try again in a moment.",
    ),
}
"""Status, code, title and detail for those who may not stay."""


class Stage(Enum):
    """Whom a connection waits for, and for what."""

    HEAD = "a request"
    BODY = "the rest of a request"
    ANSWER = "us"
    UNREAD = "somebody to read what was sent"


class Connection(HttpToolsProtocol):
    """Understands addresses in raw UTF-8 (as some clients send them) by quoting them."""

    _between = True
    """Whether the next byte begins a request."""
    _head_bytes = 0
    _draining = False
    _entry = Entry.ADMITTED
    _seen: tuple[Stage, RequestResponseCycle | None] | None = None
    _age = 0
    """Seconds in which nothing was brought to its end."""

    def __init__(self, *args: Any, admission: Admission | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self._admission = admission or Admission()

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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._entry = self._admission.enter(self._address)
        if self._entry is Entry.ENDED:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._admission.leave(self._address)
        super().connection_lost(exc)

    def grow_older(self) -> None:
        """Called once a second: end what has taken too long."""
        seen = (self._stage(), self.cycle)
        if seen != self._seen:
            self._seen, self._age = seen, 0
            return
        self._age += 1
        stage = seen[0]
        if stage is Stage.UNREAD and self._age >= self._admission.unread_seconds:
            self.transport.abort()
        elif stage is Stage.HEAD and self._age >= self._admission.head_seconds:
            self._end_of_patience()
        elif stage is Stage.BODY:
            allowed: float = self.scope.get(BODY_SECONDS, LATEST_SECONDS)  # type: ignore[assignment]
            self._hurry(self._age - (min(allowed, UNWANTED_SECONDS) if self.idle else allowed))

    def _stage(self) -> Stage:
        if self.transport.get_write_buffer_size():
            return Stage.UNREAD
        if self._head_bytes < 0 and not self._between:
            return Stage.BODY
        return Stage.HEAD if self.idle else Stage.ANSWER

    def _end_of_patience(self) -> None:
        if self._head_bytes > 0 and not self.transport.is_closing():
            self._refuse(408, "too-slow", "The request came too slowly", "headers: not in time.")
        else:
            self.transport.close()

    def _hurry(self, late: float) -> None:
        """Let the application refuse a body that is so many seconds late, or end it ourselves."""
        if late >= LAST_WORD_SECONDS:
            self.transport.abort()
        elif late >= 0:
            self.scope[LATE] = True  # type: ignore[typeddict-unknown-key]
            self.cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        if self._entry is not Entry.ADMITTED:
            if not self.transport.is_closing():
                self._refuse(*FULL[self._entry], retry_after_seconds=RETRY_AFTER_SECONDS)
            return
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
        self._between = False

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

    def _refuse(
        self, status: int, code: str, title: str, detail: str, *, retry_after_seconds: int = 0
    ) -> None:
        """A problem document for what is no request, and the end of the connection."""
        trace_id = secrets.token_hex(16)
        again = {"retry_after_seconds": retry_after_seconds} if retry_after_seconds else {}
        problem = {
            "type": f"/problems/{code}",
            "title": title,
            "status": status,
            "detail": detail,
            "instance": "/",
            "trace_id": trace_id,
            **again,
        }
        body = orjson.dumps(problem)
        head = (
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            + "".join(f"retry-after: {seconds}\r\n" for seconds in again.values())
            + f"x-trace-id: {trace_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()
