"""Calls that leave a service: a client span, a `traceparent` for the other side, and a duration.

Wraps the `send` of one httpx client, or a transport that is called directly. The whole call is
measured, time-outs and refusals included, which event hooks would miss. Streaming a response's body
afterwards is not part of the span.
"""

import time
from types import TracebackType
from typing import Any, Self

import httpx
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from telemetry.catalogue import Outcome
from telemetry.catalogue.http import HTTP_CLIENT_REQUEST_DURATION, METHODS
from telemetry.catalogue.labels import PEERS, SERVICES
from telemetry.instruments import HistogramInstrument, Instruments
from telemetry.redaction import redact_text
from telemetry.tracing import TraceMarks, traceparent_of

PEER_EXTENSION = "vitrine.peer"
_KNOWN_METHODS = frozenset(METHODS)
_PEER_OF_PREFIX = {
    **{f"/api/{service}/": service for service in SERVICES},
    **{f"/internal/{service}/": service for service in SERVICES},
    "/sandbox": "sandbox",
}


def instrument_client(
    client: httpx.Client | httpx.AsyncClient,
    tracer: Tracer,
    instruments: Instruments,
    marks: TraceMarks,
) -> None:
    """Observe every request of a client; `marks` are for neighbours, who continue our traces.

    Doing it twice to one client does it once.
    """
    if getattr(client, "_vitrine_observed", False):
        return
    duration = instruments.histogram(HTTP_CLIENT_REQUEST_DURATION)
    if isinstance(client, httpx.AsyncClient):
        send_async = client.send

        async def observed_async(request: httpx.Request, **options: Any) -> httpx.Response:
            with observed_call(request, tracer, duration, marks) as call:
                call.response = await send_async(request, **options)
                return call.response

        client.send = observed_async  # type: ignore[method-assign]
    else:
        send = client.send

        def observed(request: httpx.Request, **options: Any) -> httpx.Response:
            with observed_call(request, tracer, duration, marks) as call:
                call.response = send(request, **options)
                return call.response

        client.send = observed  # type: ignore[method-assign]
    client._vitrine_observed = True  # type: ignore[union-attr]


def peer_of(request: httpx.Request) -> str:
    """The service a request goes to: what the caller named, or what the contract's paths say."""
    named = request.extensions.get(PEER_EXTENSION)
    if named in PEERS:
        return str(named)
    path = request.url.path
    for prefix, service in _PEER_OF_PREFIX.items():
        if path.startswith(prefix):
            return service
    return "stripe" if request.url.host.endswith(".stripe.com") else "other"


class observed_call:  # noqa: N801 - used like a function: `with observed_call(...) as call`
    """One call: a current client span, its `traceparent` in the request, its duration.

    Set `response` inside. What is raised instead is the call's outcome and goes on.
    """

    __slots__ = (
        "_context", "_duration", "_marks", "_peer", "_request", "_span", "_started", "_token",
        "_tracer", "response",
    )  # fmt: skip

    def __init__(
        self,
        request: httpx.Request,
        tracer: Tracer,
        duration: HistogramInstrument,
        marks: TraceMarks,
    ) -> None:
        self._request = request
        self._tracer = tracer
        self._duration = duration
        self._marks = marks
        self.response: httpx.Response | None = None

    def __enter__(self) -> Self:
        request = self._request
        url = request.url
        self._peer = peer = peer_of(request)
        method = request.method if request.method in _KNOWN_METHODS else "_OTHER"
        self._span = span = self._tracer.start_span(
            f"{method} {peer}",
            kind=SpanKind.CLIENT,
            attributes={
                "http.request.method": method,
                "server.address": url.host,
                "server.port": url.port or (443 if url.scheme == "https" else 80),
                "url.full": redact_text(_without_query(url)),
                "service.peer.name": peer,
            },
        )
        self._context = context = span.get_span_context()
        if context.is_valid:
            request.headers["traceparent"] = traceparent = traceparent_of(context)
            mark = self._marks.of(traceparent)
            if mark is not None:
                request.headers["tracestate"] = mark
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
        span, response, context = self._span, self.response, self._context
        if response is not None:
            span.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= 500:
                span.set_attribute("error.type", str(response.status_code))
                span.set_status(Status(StatusCode.ERROR))
        elif error is not None:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR, redact_text(str(error))))
        span.end()
        self._duration.observe(
            time.perf_counter() - self._started,
            exemplar_trace_id=f"{context.trace_id:032x}" if context.trace_flags.sampled else None,
            peer_service=self._peer,
            outcome=_outcome(response, error).value,
        )


def _outcome(response: httpx.Response | None, error: BaseException | None) -> Outcome:
    """How a call ended, seen from the caller."""
    if response is not None:
        return Outcome.from_status(response.status_code)
    return Outcome.UNAVAILABLE if isinstance(error, httpx.TransportError) else Outcome.FAULT


def _without_query(url: httpx.URL) -> str:
    """The address without its query and without who asks for it."""
    # `copy_with` parses the address anew, which costs more than the span.
    text = str(url)
    if url.userinfo or "#" in text:
        return str(url.copy_with(query=None, userinfo=b""))
    return text.partition("?")[0]
