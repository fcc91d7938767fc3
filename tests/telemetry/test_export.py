"""Spans leave for a collector in batches, redacted, and whatever is lost is counted."""

import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from telemetry.bootstrap import start_telemetry
from telemetry.catalogue.frame import APP_INFO, TELEMETRY_SPANS_DROPPED
from telemetry.export import SpanQueue
from telemetry.instruments import MetricRegistry
from telemetry.testing import capture


class Collector(SpanExporter):
    """Keeps what it is given; can be told to fail or to wait."""

    def __init__(self, fail: Exception | None = None) -> None:
        self.spans: list[ReadableSpan] = []
        self.fail = fail
        self.closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.fail is not None:
            raise self.fail
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.closed = True


def finished(count: int) -> list[ReadableSpan]:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    spans: list[ReadableSpan] = []
    for number in range(count):
        span = tracer.start_span(f"span-{number}", attributes={"note": "a@b.se"})
        span.end()
        assert isinstance(span, ReadableSpan)
        spans.append(span)
    return spans


def test_queued_spans_are_redacted_and_delivered_before_it_stops() -> None:
    drops: list[tuple[str, int]] = []
    collector = Collector()
    queue = SpanQueue(collector, lambda reason, spans: drops.append((reason, spans)))
    for span in finished(3):
        queue.on_end(span)
    queue.shutdown()
    assert [span.name for span in collector.spans] == ["span-0", "span-1", "span-2"]
    assert [dict(span.attributes or {}) for span in collector.spans] == [{"note": "[redacted]"}] * 3
    assert (drops, collector.closed) == ([], True)


def test_a_full_queue_drops_and_counts() -> None:
    drops: list[tuple[str, int]] = []
    entered, leave = threading.Event(), threading.Event()

    class Stuck(Collector):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            entered.set()
            leave.wait(timeout=20)
            return super().export(spans)

    collector = Stuck()
    queue = SpanQueue(collector, lambda reason, spans: drops.append((reason, spans)), queue_spans=2)
    first, *rest = finished(5)
    queue.on_end(first)
    flusher = threading.Thread(target=queue.force_flush)
    flusher.start()
    assert entered.wait(timeout=20)
    for span in rest:
        queue.on_end(span)
    leave.set()
    flusher.join()
    queue.shutdown()
    assert drops == [("queue_full", 1), ("queue_full", 1)]
    assert [span.name for span in collector.spans] == ["span-0", "span-1", "span-2"]


def test_a_collector_that_fails_costs_spans_and_nothing_else() -> None:
    drops: list[tuple[str, int]] = []
    queue = SpanQueue(
        Collector(ConnectionError("gone")), lambda reason, spans: drops.append((reason, spans))
    )
    for span in finished(2):
        queue.on_end(span)
    assert queue.force_flush()
    queue.shutdown()
    assert drops == [("export_failed", 2)]


class OtlpReceiver(BaseHTTPRequestHandler):
    """The one request of the OTLP/HTTP protocol that matters here."""

    received: ClassVar[list[tuple[str, bytes, str]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append((self.path, body, self.headers["content-encoding"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def collector_address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), OtlpReceiver)
    OtlpReceiver.received.clear()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.integration
def test_a_collector_receives_otlp_over_http(collector_address: str) -> None:
    import gzip

    telemetry = start_telemetry(
        service="checkout",
        registry=MetricRegistry(),
        otlp_endpoint=collector_address,
        version="1.2.3",
        revision="abc",
        environment="test",
    )
    with telemetry.tracer.start_as_current_span("order", attributes={"customer.email": "a@b.se"}):
        pass
    telemetry.flush()
    telemetry.shutdown()
    ((path, body, encoding),) = OtlpReceiver.received
    assert (path, encoding) == ("/v1/traces", "gzip")
    message = ExportTraceServiceRequest.FromString(gzip.decompress(body))
    (resource,) = message.resource_spans
    told = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert told["service.name"] == "checkout"
    assert told["deployment.environment.name"] == "test"
    (span,) = resource.scope_spans[0].spans
    assert span.name == "order"
    assert [(pair.key, pair.value.string_value) for pair in span.attributes] == [
        ("customer.email", "[redacted]")
    ]


def test_a_service_states_its_version_and_its_drops_from_zero() -> None:
    with capture("checkout", version="1.2.3", revision="abc") as signals:
        assert signals.value(APP_INFO, version="1.2.3", revision="abc") == 1
        assert signals.value(TELEMETRY_SPANS_DROPPED, reason="queue_full") == 0
