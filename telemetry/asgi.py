"""The one middleware at a service's edge: span, duration, active requests, access line, headers.

Everything is done in one pass over plain ASGI messages, because that is what was measured to be
affordable: attributes at span start, label children bound once, `traceparent` parsed by hand.

The application may leave three things in the scope for it: `vitrine.outcome` (an `Outcome`, else
the status decides), `vitrine.attributes` (a dict of business attributes for the span), and
`vitrine.route` (the route template, when it answers before any route was asked).
"""

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, Tracer
from structlog.typing import FilteringBoundLogger

from telemetry.catalogue import Outcome
from telemetry.catalogue.events import HTTP_REQUEST, UNHANDLED_EXCEPTION
from telemetry.catalogue.http import (
    HTTP_SERVER_ACTIVE_REQUESTS,
    HTTP_SERVER_REQUEST_DURATION,
    METHODS,
    UNMATCHED_ROUTE,
)
from telemetry.instruments import Instruments
from telemetry.logs import LOGGED_MARK, AccessLog
from telemetry.redaction import redact_mapping, redact_text
from telemetry.routes import route_template
from telemetry.tracing import CALLER, TraceMarks, context_from, span_context_from, traceparent_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# Under this key of the scope an application says how its request ended.
OUTCOME_KEY = "vitrine.outcome"
ATTRIBUTES_KEY = "vitrine.attributes"
_EXCHANGE_KEY = "vitrine.exchange"

_TRACE_HEADERS = frozenset(
    {b"traceparent", b"tracestate", b"baggage", b"b3"}
    | {b"x-b3-" + name for name in (b"traceid", b"spanid", b"parentspanid", b"sampled", b"flags")}
)

# nginx's number for "the client closed the connection before there was an answer".
CLIENT_CLOSED = 499
_KNOWN_METHODS = frozenset(METHODS)
# A route's failures are exported from zero as soon as the route is known: `increase()` misses the
# first step of a series, and the first failure is the one that an alert wants.
_FROM_ZERO = (Outcome.OK, Outcome.UNAVAILABLE, Outcome.FAULT)


class ObservedApp:
    """An ASGI application whose every HTTP request is measured, traced and logged.

    With `own_spans` false the spans come from elsewhere (the contrib instrumentation), which
    hands them over by `leave_span`; everything else is the same.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        tracer: Tracer,
        instruments: Instruments,
        log: FilteringBoundLogger,
        access_log: AccessLog,
        marks: TraceMarks,
        own_spans: bool = True,
    ) -> None:
        self.app = app
        self._marks = marks
        self._tracer = tracer
        self._log = log
        self._access_log = access_log
        self._own_spans = own_spans
        self._duration = instruments.histogram(HTTP_SERVER_REQUEST_DURATION)
        self._active = 0
        instruments.gauge(HTTP_SERVER_ACTIVE_REQUESTS).follow(lambda: self._active)
        self._known_routes: set[tuple[str, str]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        claimed, vouched = self._claimed(scope["headers"])
        caller = None if vouched else span_context_from(claimed)
        exchange = _Exchange(scope, receive, send, caller, describe_early=not self._own_spans)
        token = None
        if self._own_spans:
            parent = context_from(claimed if vouched else None)
            span = self._tracer.start_span(
                exchange.method,
                context=parent,
                kind=SpanKind.SERVER,
                attributes=exchange.start_attributes(),
                record_exception=False,
            )
            exchange.adopt(span)
            token = otel_context.attach(trace.set_span_in_context(span, parent))
        else:
            # The contrib instrumentation believes whatever header it finds.
            kept = (b"traceparent", claimed.encode("latin-1")) if vouched and claimed else None
            scope["headers"] = [
                *(pair for pair in scope["headers"] if pair[0] not in _TRACE_HEADERS),
                *((kept,) if kept else ()),
            ]
            scope[_EXCHANGE_KEY] = exchange
        self._active += 1
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            exchange.error = error
            raise
        finally:
            self._active -= 1
            self._finish(exchange)
            if token is not None:
                exchange.span.end()
                otel_context.detach(token)

    def _claimed(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[str | None, bool]:
        """The caller's `traceparent`, and whether it is a neighbour's (see `TraceMarks`)."""
        parents = [value for key, value in headers if key == b"traceparent"]
        if len(parents) != 1:
            return None, False
        claimed = bytes(parents[0]).decode("latin-1")
        states = [bytes(value).decode("latin-1") for key, value in headers if key == b"tracestate"]
        return claimed, len(states) == 1 and self._marks.vouch_for(claimed, states[0])

    def _finish(self, exchange: "_Exchange") -> None:
        seconds = time.perf_counter() - exchange.started
        exchange.conclude()
        method, route, outcome = exchange.method, exchange.route, exchange.outcome
        if (method, route) not in self._known_routes:
            self._known_routes.add((method, route))
            for known in _FROM_ZERO:
                self._duration.touch(http_request_method=method, http_route=route, outcome=known)
        self._duration.observe(
            seconds,
            exemplar_trace_id=exchange.trace_id if exchange.sampled else None,
            http_request_method=method,
            http_route=route,
            outcome=outcome,
        )
        fields: dict[str, Any] = {
            "http_request_method": method,
            "http_route": route,
            "status": exchange.status,
            "outcome": outcome,
            "duration_seconds": round(seconds, 6),
        }
        if exchange.trace_id:
            # Given by hand, because in contrib mode the span is no longer current here.
            fields["trace_id"] = exchange.trace_id
            fields["span_id"] = exchange.span_id
        if exchange.disconnected:
            fields["client_disconnected"] = True
        if isinstance(exchange.error, Exception):
            self._log.error(
                UNHANDLED_EXCEPTION.name,
                exc_info=exchange.error,
                **{name: fields[name] for name in fields if name != "duration_seconds"},
            )
            # Servers log what leaves an application once more: StdlibRoute skips it by this mark.
            setattr(exchange.error, LOGGED_MARK, True)
        self._access_log.write(outcome.log_level, HTTP_REQUEST.name, fields)


def leave_span(span: Span, scope: Scope) -> None:
    """What the contrib instrumentation does with its new span: hand it to the exchange."""
    exchange: _Exchange = scope[_EXCHANGE_KEY]
    exchange.adopt(span)


class _Exchange:
    """One request and its response, as far as the middleware needs to remember them."""

    __slots__ = (
        "_caller", "_describe_early", "_receive", "_send", "_traceparent", "disconnected", "error",
        "method", "outcome", "responded", "route", "sampled", "scope", "span", "span_id", "started",
        "status", "trace_id",
    )  # fmt: skip

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        caller: SpanContext | None,
        *,
        describe_early: bool,
    ) -> None:
        # The contrib instrumentation ends its span with the response, before we finish.
        self._describe_early = describe_early
        self.scope = scope
        self._receive = receive
        self._send = send
        self._caller = caller
        self.span: Span = trace.INVALID_SPAN
        self.trace_id = self.span_id = ""
        self.sampled = False
        self.started = time.perf_counter()
        method = str(scope["method"]).upper()
        self.method = method if method in _KNOWN_METHODS else "_OTHER"
        self.status = 0
        self.outcome = Outcome.FAULT
        self.route = UNMATCHED_ROUTE
        self.error: BaseException | None = None
        self.disconnected = False
        self.responded = False

    def adopt(self, span: Span) -> None:
        """Take the server span: ours, or the one that the contrib instrumentation made."""
        self.span = span
        context = span.get_span_context()
        if context.is_valid:
            self.sampled = context.trace_flags.sampled
            self._traceparent = traceparent_of(context)
            _, self.trace_id, self.span_id, _ = self._traceparent.split("-")
        if self._caller is not None:
            span.add_link(self._caller, CALLER)
            span.set_attribute("vitrine.caller.trace_id", f"{self._caller.trace_id:032x}")

    def start_attributes(self) -> dict[str, Any]:
        """What is known before the application runs, but who asks and for which address.

        Both may name a person; the route's template, known later, says what was asked for.
        """
        scope = self.scope
        attributes: dict[str, Any] = {
            "http.request.method": self.method,
            "url.scheme": scope.get("scheme", "http"),
            "network.protocol.version": scope.get("http_version", "1.1"),
        }
        server = scope.get("server")
        if server:
            attributes["server.address"] = server[0]
            if server[1] is not None:
                attributes["server.port"] = server[1]
        return attributes

    async def receive(self) -> Message:
        """Pass a message on; a disconnect before the end of the response is remembered."""
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self.responded:
            self.disconnected = True
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on; the first one gets the headers that lead to the trace."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.trace_id:
                message = {
                    **message,
                    "headers": [
                        *message.get("headers", ()),
                        (b"x-trace-id", self.trace_id.encode()),
                        (b"traceparent", self._traceparent.encode()),
                    ],
                }
            if self._describe_early:
                self.conclude()
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.responded = True
            if self._describe_early:
                self.conclude()
        await self._send(message)

    def conclude(self) -> None:
        """Decide route, status and outcome from what is known by now, and tell the span."""
        if self.error is not None and not isinstance(self.error, Exception):
            # Cancelled: nobody waits for this answer any more.
            self.disconnected = True
        if self.status == 0:
            gone = self.disconnected and not isinstance(self.error, Exception)
            self.status = CLIENT_CLOSED if gone else 500
        self.route = route_template(self.scope)
        if isinstance(self.error, Exception):
            self.outcome = Outcome.FAULT
        else:
            stated = self.scope.get(OUTCOME_KEY)
            self.outcome = Outcome(stated) if stated else Outcome.from_status(self.status)
        span = self.span
        if span.is_recording():
            self._describe(span)

    def _describe(self, span: Span) -> None:
        attributes: dict[str, Any] = {
            "http.response.status_code": self.status,
            "vitrine.outcome": str(self.outcome),
        }
        if self.route == UNMATCHED_ROUTE:
            span.update_name(self.method)
        else:
            attributes["http.route"] = self.route
            span.update_name(f"{self.method} {self.route}")
        if self.disconnected:
            attributes["vitrine.client_disconnected"] = True
        if self.status >= 500 and self.outcome is not Outcome.SHED:
            attributes["error.type"] = str(self.status)
            span.set_status(Status(StatusCode.ERROR))
        if isinstance(self.error, Exception):
            attributes["error.type"] = type(self.error).__qualname__
            span.set_status(Status(StatusCode.ERROR, redact_text(str(self.error))))
            span.record_exception(self.error)
        business = self.scope.get(ATTRIBUTES_KEY)
        if business:
            attributes.update(redact_mapping(business))
        span.set_attributes(attributes)
