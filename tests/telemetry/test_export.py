"""Spans leave for a collector in batches, redacted, and whatever is lost is counted."""

import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from rigs.processes import wait_until
from telemetry.bootstrap import start_telemetry
from telemetry.catalogue.frame import APP_INFO, TELEMETRY_SPANS_DROPPED
from telemetry.environment import Export, export_from
from telemetry.export import SHUTDOWN_SECONDS, OtlpExporter, SpanQueue, TryLater
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


def test_a_busy_collector_gets_the_spans_after_the_pause_it_asked_for() -> None:
    drops: list[tuple[str, int]] = []

    class Busy(Collector):
        busy = True

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            if self.busy:
                raise TryLater(0.5)
            return super().export(spans)

    collector = Busy()
    queue = SpanQueue(collector, lambda reason, spans: drops.append((reason, spans)))
    for span in finished(3):
        queue.on_end(span)
    queue.force_flush()
    collector.busy = False
    queue.force_flush()
    assert (collector.spans, drops) == ([], [])  # the pause is kept
    wait_until(lambda: (queue.force_flush(), len(collector.spans) == 3)[1], timeout_seconds=20)
    queue.shutdown()
    assert [span.name for span in collector.spans] == ["span-0", "span-1", "span-2"]
    assert drops == []


def test_a_collector_that_never_answers_does_not_hold_up_the_end() -> None:
    drops: list[tuple[str, int]] = []
    entered, leave = threading.Event(), threading.Event()

    class Hanging(Collector):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            entered.set()
            leave.wait(timeout=60)
            return SpanExportResult.SUCCESS

    queue = SpanQueue(Hanging(), lambda reason, spans: drops.append((reason, spans)))
    for span in finished(600):
        queue.on_end(span)
    assert entered.wait(timeout=20)
    began = time.monotonic()
    queue.shutdown()
    assert time.monotonic() - began < SHUTDOWN_SECONDS + 15
    assert sum(spans for _, spans in drops) >= 600 - 512
    leave.set()


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [((429, "7"), 7.0), ((503, "120"), 120.0), ((503, ""), 5.0), ((502, "soon"), 5.0)],
)
@pytest.mark.integration
def test_the_pause_is_the_collectors(
    collector_address: str, answer: tuple[int, str], seconds: float
) -> None:
    OtlpReceiver.answer = answer
    exporter = OtlpExporter(Export(f"{collector_address}/v1/traces"))
    with pytest.raises(TryLater) as later:
        exporter.export(finished(1))
    assert later.value.seconds == seconds
    exporter.shutdown()


BASE, TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


@pytest.mark.parametrize(
    ("environ", "export"),
    [
        ({}, None),
        ({BASE: "http://c:4318"}, Export("http://c:4318/v1/traces")),
        ({BASE: "http://c:4318/x/"}, Export("http://c:4318/x/v1/traces")),
        ({TRACES: "http://c:9/own"}, Export("http://c:9/own")),
        ({BASE: "http://c:1", TRACES: "http://c:2/own"}, Export("http://c:2/own")),
        ({BASE: "http://c:1", "OTEL_TRACES_EXPORTER": "none"}, None),
        ({BASE: "http://c:1", "OTEL_SDK_DISABLED": "TRUE"}, None),
        ({"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}, None),
        ({"OTEL_TRACES_SAMPLER": " ", "OTEL_SERVICE_NAME": "log"}, None),
        (
            {
                BASE: "http://c:1",
                "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20abc, x-team = retail",
                "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "2500",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            },
            Export(
                "http://c:1/v1/traces", {"authorization": "Bearer abc", "x-team": "retail"}, 2.5
            ),
        ),
    ],
)
def test_the_standard_variables_are_followed(
    environ: dict[str, str], export: Export | None
) -> None:
    assert export_from(environ) == (export, ())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "key=secret%0A"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:4318/v1/metrics"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "key=secret"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_PROPAGATORS", "b3"),
    ],
)
def test_what_cannot_be_followed_is_one_sentence(variable: str, value: str) -> None:
    _, sentences = export_from({BASE: "http://c:4318", variable: value})
    (sentence,) = sentences
    assert sentence.startswith(variable)
    assert "secret" not in sentence


def test_the_resource_is_merged_with_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging,team=retail%20north"
    )
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my-shop")
    with capture("checkout") as signals:
        signals.telemetry.tracer.start_span("order").end()
        (span,) = signals.exported
    told = span.resource.attributes
    assert {name: told[name] for name in ("service.name", "service.namespace", "team")} == {
        "service.name": "checkout",
        "service.namespace": "my-shop",
        "team": "retail north",
    }
    assert told["deployment.environment.name"] == "staging"
    assert told["telemetry.sdk.name"] == "opentelemetry"


class OtlpReceiver(BaseHTTPRequestHandler):
    """The one request of the OTLP/HTTP protocol that matters here."""

    received: ClassVar[list[tuple[str, bytes, str]]] = []
    answer: ClassVar[tuple[int, str]] = (200, "")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append((self.path, body, self.headers["content-encoding"]))
        status, retry_after = self.answer
        self.send_response(status)
        if retry_after:
            self.send_header("retry-after", retry_after)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def collector_address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), OtlpReceiver)
    OtlpReceiver.received.clear()
    OtlpReceiver.answer = (200, "")
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
        otlp=Export(f"{collector_address}/v1/traces", {"x-team": "retail"}),
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
