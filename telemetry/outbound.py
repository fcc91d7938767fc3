"""Calls that leave a service: a client span, a `traceparent` for the other side, and a duration.

Wraps the `send` of one httpx client. The whole call is measured, time-outs and refusals included,
which event hooks would miss. Streaming a response's body afterwards is not part of the span.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from telemetry.catalogue import Outcome
from telemetry.catalogue.http import HTTP_CLIENT_REQUEST_DURATION, METHODS
from telemetry.catalogue.labels import PEERS, SERVICES
from telemetry.instruments import HistogramInstrument, Instruments
from telemetry.redaction import redact_text
from telemetry.tracing import traceparent_of

PEER_EXTENSION = "vitrine.peer"
_KNOWN_METHODS = frozenset(METHODS)
_PEER_OF_PREFIX = {
    **{f"/api/{service}/": service for service in SERVICES},
    **{f"/internal/{service}/": service for service in SERVICES},
    "/sandbox": "sandbox",
}


def instrument_client(
    client: httpx.Client | httpx.AsyncClient, tracer: Tracer, instruments: Instruments
) -> None:
    """Observe every request of a client. Doing it twice to one client does it once."""
    if getattr(client, "_vitrine_observed", False):
        return
    duration = instruments.histogram(HTTP_CLIENT_REQUEST_DURATION)
    if isinstance(client, httpx.AsyncClient):
        send_async = client.send

        async def observed_async(request: httpx.Request, **options: Any) -> httpx.Response:
            with _call(request, tracer, duration) as call:
                call.response = await send_async(request, **options)
                return call.response

        client.send = observed_async  # type: ignore[method-assign]
    else:
        send = client.send

        def observed(request: httpx.Request, **options: Any) -> httpx.Response:
            with _call(request, tracer, duration) as call:
                call.response = send(request, **options)
                return call.response

        client.send = observed  # type: ignore[method-assign]
    client._vitrine_observed = True  # type: ignore[union-attr]


def peer_of(request: httpx.Request) -> str:
    """The service a request goes to: what the caller named, or what the contract's paths say."""
    named = request.extensions.get(PEER_EXTENSION)
    if named in PEERS:
        return str(named)
    for prefix, service in _PEER_OF_PREFIX.items():
        if request.url.path.startswith(prefix):
            return service
    return "stripe" if request.url.host.endswith(".stripe.com") else "other"


class _Call:
    """One call in progress."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.response: httpx.Response | None = None

    def outcome(self, error: BaseException | None) -> Outcome:
        """How the call ended, seen from the caller."""
        if self.response is not None:
            return Outcome.from_status(self.response.status_code)
        return Outcome.UNAVAILABLE if isinstance(error, httpx.TransportError) else Outcome.FAULT


@contextmanager
def _call(
    request: httpx.Request, tracer: Tracer, duration: HistogramInstrument
) -> Generator[_Call, None, None]:
    peer = peer_of(request)
    method = request.method if request.method in _KNOWN_METHODS else "_OTHER"
    url = request.url
    span = tracer.start_span(
        f"{method} {peer}",
        kind=SpanKind.CLIENT,
        attributes={
            "http.request.method": method,
            "server.address": url.host,
            "server.port": url.port or (443 if url.scheme == "https" else 80),
            "url.full": redact_text(str(url.copy_with(query=None, userinfo=b""))),
            "service.peer.name": peer,
        },
    )
    context = span.get_span_context()
    if context.is_valid:
        request.headers["traceparent"] = traceparent_of(context)
    call = _Call(span)
    started = time.perf_counter()
    error: BaseException | None = None
    try:
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            yield call
    except BaseException as raised:
        error = raised
        raise
    finally:
        outcome = call.outcome(error)
        if call.response is not None:
            span.set_attribute("http.response.status_code", call.response.status_code)
            if call.response.status_code >= 500:
                span.set_attribute("error.type", str(call.response.status_code))
                span.set_status(Status(StatusCode.ERROR))
        elif error is not None:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR, redact_text(str(error))))
        span.end()
        duration.observe(
            time.perf_counter() - started,
            exemplar_trace_id=f"{context.trace_id:032x}" if context.trace_flags.sampled else None,
            peer_service=peer,
            outcome=outcome.value,
        )
