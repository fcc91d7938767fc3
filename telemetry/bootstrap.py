"""Starts one service's telemetry: a tracer provider, a view of the metrics, and a logger.

Nothing global is set: six services in one process have six providers, and a test has its own. In
mode `lean` our one middleware makes the server spans; in `contrib` the OpenTelemetry project's
FastAPI instrumentation does; in `off` there are neither spans nor request metrics nor access lines,
which is what the price of observing is measured against.
"""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any, Literal

import httpx
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NoOpTracerProvider, Tracer, TracerProvider
from sqlalchemy.engine import Engine
from structlog.typing import FilteringBoundLogger

from telemetry.asgi import ASGIApp, ObservedApp, leave_span
from telemetry.catalogue.frame import APP_INFO, TELEMETRY_SPANS_DROPPED
from telemetry.catalogue.http import HTTP_CLIENT_REQUEST_DURATION
from telemetry.database import database_span, instrument_engine
from telemetry.environment import Export
from telemetry.export import OtlpExporter, SpanQueue
from telemetry.instruments import Instruments, MetricRegistry
from telemetry.logs import AccessLog, LineWriter, LogFormat, StdlibRoute, logger_for
from telemetry.outbound import Observe, instrument_client, observed_call
from telemetry.spans import LeanTracer
from telemetry.tracestore import TraceStore
from telemetry.tracing import TraceMarks

Mode = Literal["lean", "contrib", "off"]


@dataclass
class Telemetry:
    """What a service gets to observe itself with. `trace_store` is the process's shared one."""

    service: str
    mode: Mode
    tracer_provider: TracerProvider
    tracer: Tracer
    instruments: Instruments
    log: FilteringBoundLogger
    _access_log: AccessLog = field(repr=False)
    _marks: TraceMarks = field(repr=False)
    trace_store: TraceStore | None = None
    _database_system: str = field(default="other_sql", repr=False)
    _stdlib: StdlibRoute | None = field(default=None, repr=False)

    def observe(self, app: Any) -> ASGIApp:
        """The application with its edge observed; the outermost thing around a service.

        `app` is a FastAPI application (its own tracing off: `telemetry={"tracing": False,
        "metrics": False, "logs": False}`) or any other ASGI callable.
        """
        if self.mode == "off":
            bare: ASGIApp = app
            return bare
        own_spans = self.mode == "lean"
        return ObservedApp(
            app if own_spans else self._with_contrib_spans(app),
            tracer=self.tracer,
            instruments=self.instruments,
            log=self.log,
            access_log=self._access_log,
            marks=self._marks,
            own_spans=own_spans,
        )

    def outbound(self, *, neighbour: bool = False) -> Observe | None:
        """What observes a client's calls; a `neighbour` on the other side continues our traces."""
        if self.mode == "off":
            return None
        return partial(
            observed_call,
            tracer=self.tracer,
            duration=self.instruments.histogram(HTTP_CLIENT_REQUEST_DURATION),
            marks=self._marks if neighbour else TraceMarks(b""),
        )

    def instrument_httpx(self, client: httpx.Client | httpx.AsyncClient) -> None:
        """Observe the calls of a client to somebody who is no neighbour."""
        observe = self.outbound()
        if observe is not None:
            instrument_client(client, observe)

    def instrument_engine(self, engine: Engine) -> None:
        """Trace the statements of an engine; for an async engine give its `sync_engine`."""
        self._database_system = engine.dialect.name
        if self.mode != "off":
            instrument_engine(engine, self.tracer)

    def database_span(self, operation: str) -> AbstractContextManager[None]:
        """A span for an effect that is written as a whole; see database.py."""
        return database_span(self.tracer, operation, self._database_system)

    def adopt_stdlib_logging(self) -> None:
        """Route uvicorn's and other libraries' log lines here. Once per process, by its main."""
        if self._stdlib is None:
            self._stdlib = StdlibRoute(self.log)
            self._stdlib.install()

    def flush(self) -> None:
        """Write or send every finished span. Blocks: not for the event loop's thread."""
        if isinstance(self.tracer_provider, SdkTracerProvider):
            self.tracer_provider.force_flush()

    def shutdown(self) -> None:
        """Flush and stop. The shared trace store stays open: its owner closes it."""
        if isinstance(self.tracer_provider, SdkTracerProvider):
            self.tracer_provider.shutdown()
        if self._stdlib is not None:
            self._stdlib.uninstall()
            self._stdlib = None

    def _with_contrib_spans(self, app: Any) -> ASGIApp:
        # Read once per process by the instrumentation; without it old attribute names are used.
        os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        # Known by its shape: importing FastAPI here would lead every use case to a web framework.
        if hasattr(app, "build_middleware_stack"):
            FastAPIInstrumentor.instrument_app(
                app,
                tracer_provider=self.tracer_provider,
                meter_provider=NoOpMeterProvider(),
                exclude_spans=["receive", "send"],
                server_request_hook=leave_span,
            )
            instrumented: ASGIApp = app
            return instrumented
        return OpenTelemetryMiddleware(
            app,
            tracer_provider=self.tracer_provider,
            meter_provider=NoOpMeterProvider(),
            exclude_spans=["receive", "send"],
            server_request_hook=leave_span,
        )


def start_telemetry(
    *,
    service: str,
    registry: MetricRegistry,
    trace_store: TraceStore | None = None,
    trace_key: bytes = b"",
    otlp: Export | None = None,
    log_stream: IO[Any] | None = None,
    version: str = "0.0.0",
    revision: str = "unknown",
    environment: str = "development",
    sample_ratio: float = 1.0,
    mode: Mode = "lean",
    log_format: LogFormat = "json",
    log_level: str = "info",
    span_processors: tuple[SpanProcessor, ...] = (),
) -> Telemetry:
    """Start the telemetry of one service and state its `app_info`.

    `trace_key` (at most 64 bytes) is what the services of one deployment share: whoever signs with
    it is a neighbour, whose trace and sampling go on here; all others' traces begin anew.
    `sample_ratio` (0 to 1) is the share of traces that begin here and are recorded at all.
    `otlp` is where spans are exported to (environment.py); `log_stream` defaults to standard
    output.
    """
    instruments = registry.for_service(service)
    instruments.gauge(APP_INFO).set(1, version=version, revision=revision)
    dropped = instruments.counter(TELEMETRY_SPANS_DROPPED)

    def on_drop(reason: str, spans: int) -> None:
        dropped.inc(spans, reason=reason)

    provider: TracerProvider
    if mode == "off":
        provider = NoOpTracerProvider()
    else:
        limits = SpanLimits(max_span_attribute_length=4096, max_events=64, max_links=256)
        provider = sdk = SdkTracerProvider(
            resource=_resource(
                service,
                {
                    "service.namespace": "vitrine",
                    "service.version": version,
                    "vcs.ref.head.revision": revision,
                    "deployment.environment.name": environment,
                },
            ),
            sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
            span_limits=limits,
            shutdown_on_exit=False,
        )
        if trace_store is not None:
            sdk.add_span_processor(trace_store.processor(service, on_drop))
        if otlp is not None:
            sdk.add_span_processor(SpanQueue(OtlpExporter(otlp), on_drop))
        for processor in span_processors:
            sdk.add_span_processor(processor)
    tracer = provider.get_tracer("vitrine", version)
    # Not the SDK's where its environment variable has switched it off.
    if mode == "lean" and isinstance(tracer, SdkTracer):
        scope = InstrumentationScope("vitrine", version)
        tracer = LeanTracer(tracer, scope, limits, sample_ratio)
    writer = LineWriter(log_stream)
    return Telemetry(
        service=service,
        mode=mode,
        tracer_provider=provider,
        tracer=tracer,
        instruments=instruments,
        log=logger_for(service, writer, log_format, log_level),
        _access_log=AccessLog(service, writer, log_format, log_level),
        _marks=TraceMarks(trace_key),
        trace_store=trace_store,
    )


def _resource(service: str, ours: dict[str, str]) -> Resource:
    """Our attributes, then what `OTEL_RESOURCE_ATTRIBUTES` says, which wins.

    `OTEL_SERVICE_NAME` names the whole shop, of which this is one of six services: it becomes the
    namespace, and `service.name` stays what boards and rules know.
    """
    asked = dict(OTELResourceDetector().detect().attributes)
    asked.pop("service.name", None)
    shop = os.environ.get("OTEL_SERVICE_NAME", "").strip()
    namespace = {"service.namespace": shop} if shop else {}
    return Resource.create({**ours, **asked, **namespace, "service.name": service})
