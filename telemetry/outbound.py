"""Calls that leave a service: a client span, a `traceparent` for the other side, and a duration.

Wraps the `send` of one httpx client, or whatever else calls `with observe(destination)`. The whole
call is measured, time-outs and refusals included, which event hooks would miss. Streaming a
response's body afterwards is not part of the span.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from telemetry.catalogue import Outcome
from telemetry.catalogue.http import METHODS
from telemetry.catalogue.labels import PEERS, SERVICES
from telemetry.instruments import HistogramInstrument
from telemetry.redaction import redact_text
from telemetry.tracing import TraceMarks, traceparent_of

PEER_EXTENSION = "vitrine.peer"
_KNOWN_METHODS = frozenset(METHODS)
_PEER_OF_PREFIX = {
    **{f"/api/{service}/": service for service in SERVICES},
    **{f"/internal/{service}/": service for service in SERVICES},
    "/sandbox": "sandbox",
}

_NAMED = re.compile(r"((?:/api/[a-z]+|/sandbox)/v1/[a-z-]+/)[^/]+")
"""What a contract's path names: a caller may have typed it, and a hold's id opens the hold."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A method at an address, and what every call to it tells. Made once, it may be called often.

    `peer` is the service behind it; `name` and `attributes` are its span's.
    """

    method: str
    url: httpx.URL
    peer: str
    name: str
    attributes: Mapping[str, str | int]

    @classmethod
    def of(cls, method: str, url: httpx.URL, named: object = None) -> Self:
        """Where a request goes; `named` is the peer that the caller names, if it does."""
        peer = str(named) if named in PEERS else _peer_of(url)
        known = method if method in _KNOWN_METHODS else "_OTHER"
        attributes: dict[str, str | int] = {
            "http.request.method": known,
            "server.address": url.host,
            "server.port": url.port or (443 if url.scheme == "https" else 80),
            "url.full": redact_text(_NAMED.sub(r"\1*", _without_query(url))),
            "service.peer.name": peer,
        }
        return cls(method, url, peer, f"{known} {peer}", attributes)


def instrument_client(client: httpx.Client | httpx.AsyncClient, observe: "Observe") -> None:
    """Observe every request of a client. Doing it twice to one client does it once."""
    if getattr(client, "_vitrine_observed", False):
        return
    if isinstance(client, httpx.AsyncClient):
        send_async = client.send

        async def observed_async(request: httpx.Request, **options: Any) -> httpx.Response:
            with observe(_destination(request)) as call:
                request.headers.update(call.headers)
                response = await send_async(request, **options)
                call.status = response.status_code
                return response

        client.send = observed_async  # type: ignore[method-assign]
    else:
        send = client.send

        def observed(request: httpx.Request, **options: Any) -> httpx.Response:
            with observe(_destination(request)) as call:
                request.headers.update(call.headers)
                response = send(request, **options)
                call.status = response.status_code
                return response

        client.send = observed  # type: ignore[method-assign]
    client._vitrine_observed = True  # type: ignore[union-attr]


class observed_call:  # noqa: N801 - used like a function: `with observed_call(...) as call`
    """One call: a current client span, its `traceparent` in `headers` to send, its duration.

    `marks` are for neighbours, who continue our traces. Set `status` to the answer's inside. What
    is raised instead is the call's outcome and goes on.
    """

    __slots__ = (
        "_context", "_duration", "_marks", "_span", "_started", "_to", "_token", "_tracer",
        "headers", "status",
    )  # fmt: skip

    def __init__(
        self,
        to: Destination,
        tracer: Tracer,
        duration: HistogramInstrument,
        marks: TraceMarks,
    ) -> None:
        self._to = to
        self._tracer = tracer
        self._duration = duration
        self._marks = marks
        self.headers: list[tuple[bytes, bytes]] = []
        self.status = 0

    def __enter__(self) -> Self:
        to = self._to
        self._span = span = self._tracer.start_span(
            to.name, kind=SpanKind.CLIENT, attributes=to.attributes
        )
        self._context = context = span.get_span_context()
        if context.is_valid:
            traceparent = traceparent_of(context)
            self.headers.append((b"traceparent", traceparent.encode()))
            mark = self._marks.of(traceparent)
            if mark is not None:
                self.headers.append((b"tracestate", mark.encode()))
        self._started = time.perf_counter()
        self._token = otel_context.attach(trace.set_span_in_context(span))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        otel_context.detach(self._token)
        span, status, context = self._span, self.status, self._context
        if status:
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_attribute("error.type", str(status))
                span.set_status(Status(StatusCode.ERROR))
        elif error is not None:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR, redact_text(str(error))))
        span.end()
        self._duration.observe(
            time.perf_counter() - self._started,
            exemplar_trace_id=f"{context.trace_id:032x}" if context.trace_flags.sampled else None,
            peer_service=self._to.peer,
            outcome=_outcome(status, error).value,
        )


Observe = Callable[[Destination], observed_call]
"""Observes the calls of one client."""


def _destination(request: httpx.Request) -> Destination:
    return Destination.of(request.method, request.url, request.extensions.get(PEER_EXTENSION))


def _peer_of(url: httpx.URL) -> str:
    """The service at an address, as the contract's paths say."""
    path = url.path
    for prefix, service in _PEER_OF_PREFIX.items():
        if path.startswith(prefix):
            return service
    return "stripe" if url.host.endswith(".stripe.com") else "other"


def _outcome(status: int, error: BaseException | None) -> Outcome:
    """How a call ended, seen from the caller; a `status` of 0 is no answer."""
    if status:
        return Outcome.from_status(status)
    return Outcome.UNAVAILABLE if isinstance(error, httpx.TransportError) else Outcome.FAULT


def _without_query(url: httpx.URL) -> str:
    """The address without its query and without who asks for it."""
    # `copy_with` parses the address anew, which costs more than the span.
    text = str(url)
    if url.userinfo or "#" in text:
        return str(url.copy_with(query=None, userinfo=b""))
    return text.partition("?")[0]
