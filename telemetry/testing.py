"""Everything a service emits, kept in memory, for tests: `with capture("checkout") as signals:`.

It is the real bootstrap with an extra span processor and a buffer for the log: what a test sees
here is what a collector, Prometheus and a log store would get.
"""

import io
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from telemetry.bootstrap import Telemetry, start_telemetry
from telemetry.catalogue import Metric
from telemetry.instruments import MetricRegistry
from telemetry.tracefile import SpanRecord, record_of

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@dataclass
class Signals:
    """What one service emitted so far."""

    registry: MetricRegistry
    telemetry: Telemetry
    log_stream: io.BytesIO = field(repr=False)
    _exporter: InMemorySpanExporter = field(repr=False)

    @property
    def spans(self) -> list[SpanRecord]:
        """Finished spans in the order in which they ended, redacted as they would be stored."""
        return [record_of(span) for span in self._exporter.get_finished_spans()]

    @property
    def exported(self) -> list[ReadableSpan]:
        """The same spans as an exporter gets them."""
        return list(self._exporter.get_finished_spans())

    @property
    def logs(self) -> list[dict[str, Any]]:
        """Log lines in the order in which they were written."""
        return [orjson.loads(line) for line in self.log_stream.getvalue().splitlines()]

    @property
    def openmetrics(self) -> str:
        """The page of metrics as Prometheus with exemplar storage gets it."""
        return self.registry.exposition(OPENMETRICS)[0].decode()

    def span(self, name: str) -> SpanRecord:
        """The one finished span of that name; LookupError when there is none or several."""
        found = [span for span in self.spans if span.name == name]
        if len(found) != 1:
            names = [span.name for span in self.spans]
            raise LookupError(f"{len(found)} spans named {name!r} among {names}")
        return found[0]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        return [line for line in self.logs if line["event"] == event]

    def value(self, metric: Metric, **labels: str) -> float | None:
        """A metric's present value, a histogram's count; None when there is no such series.

        `service` defaults to the captured one for metrics that a process counts.
        """
        suffix = "_count" if metric.kind == "histogram" else ""
        if metric.source == "process":
            labels.setdefault("service", self.telemetry.service)
        return self.registry.collector_registry.get_sample_value(metric.name + suffix, labels)

    def clear(self) -> None:
        """Forget spans and log lines; metrics go on counting."""
        self._exporter.clear()
        self.log_stream.seek(0)
        self.log_stream.truncate()


@contextmanager
def capture(
    service: str, registry: MetricRegistry | None = None, **options: Any
) -> Generator[Signals, None, None]:
    """Start a service's telemetry in memory; `options` are those of `start_telemetry`."""
    exporter = InMemorySpanExporter()
    stream = io.BytesIO()
    registry = registry or MetricRegistry()
    telemetry = start_telemetry(
        service=service,
        registry=registry,
        log_stream=stream,
        span_processors=(SimpleSpanProcessor(exporter),),
        **options,
    )
    try:
        yield Signals(registry, telemetry, stream, exporter)
    finally:
        telemetry.shutdown()
