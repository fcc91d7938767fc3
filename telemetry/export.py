"""OTLP over HTTP, off the event loop: a bounded queue, one thread, and drops that are counted."""

import gzip
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import httpx
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status

from telemetry.environment import Export
from telemetry.redaction import redact_mapping, redact_text

_QUEUE_SPANS = 8_192
_BATCH_SPANS = 512
_EVERY_SECONDS = 2.0
_TRY_AGAIN_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 300.0
_LATER: Final = frozenset({429, 502, 503, 504})

SHUTDOWN_SECONDS = 3.0
"""How long a process that stops waits for its collector."""


class TryLater(Exception):
    """The collector is busy or away; spans stay queued for `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds} s")
        self.seconds = seconds


class OtlpExporter(SpanExporter):
    """One POST per batch, without repeats of its own: the queue is the place to wait.

    Raises `TryLater` for the answers that OTLP/HTTP calls retryable, and when nobody answers.
    """

    def __init__(self, export: Export) -> None:
        self._address = export.address
        self._client = httpx.Client(
            timeout=export.timeout_seconds,
            headers={
                **export.headers,
                "content-type": "application/x-protobuf",
                "content-encoding": "gzip",
            },
        )

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        body = gzip.compress(encode_spans(spans).SerializeToString(), compresslevel=5)
        try:
            answer = self._client.post(self._address, content=body)
        except httpx.TransportError as error:
            raise TryLater(_TRY_AGAIN_SECONDS) from error
        if answer.status_code in _LATER:
            raise TryLater(_pause(answer.headers.get("retry-after", "")))
        return SpanExportResult.SUCCESS if answer.is_success else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._client.close()


def _pause(retry_after: str) -> float:
    """Seconds of a `Retry-After`; a date or anything else counts as our own pause."""
    seconds = int(retry_after) if retry_after.isascii() and retry_after.isdecimal() else 0
    return min(float(seconds), _LONGEST_PAUSE_SECONDS) or _TRY_AGAIN_SECONDS


class SpanQueue(SpanProcessor):
    """Hands finished spans to an exporter in batches from a thread of its own.

    `on_drop(reason, spans)` is told of spans that found the queue full (`queue_full`) or that the
    exporter could not deliver (`export_failed`). What it may deliver later stays queued. Spans are
    redacted just before they leave.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        on_drop: Callable[[str, int], None],
        queue_spans: int = _QUEUE_SPANS,
    ) -> None:
        self._exporter = exporter
        self._on_drop = on_drop
        self._queue_spans = queue_spans
        self._queue: deque[ReadableSpan] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._not_before = 0.0
        self._exporting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="otlp-export", daemon=True)
        self._thread.start()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing is sent before a span has ended."""

    def on_end(self, span: ReadableSpan) -> None:
        if len(self._queue) >= self._queue_spans:
            self._on_drop("queue_full", 1)
            return
        self._queue.append(span)
        if len(self._queue) >= _BATCH_SPANS:
            self._wake.set()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export everything that is queued, on this thread, unless the collector asked to wait."""
        self._export_all()
        return True

    def shutdown(self) -> None:
        """Send what is left, for `SHUTDOWN_SECONDS` at most; the rest is dropped and counted."""
        if self._stopping:
            return
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=SHUTDOWN_SECONDS)
        left = len(self._queue)
        self._queue.clear()
        if left:
            self._on_drop("export_failed", left)
        if not self._thread.is_alive():
            self._exporter.shutdown()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(_EVERY_SECONDS)
            self._wake.clear()
            self._export_all()
        self._not_before = 0.0  # asked to wait or not, there is no later
        self._export_all()

    def _export_all(self) -> None:
        with self._exporting:
            while self._queue and time.monotonic() >= self._not_before:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH_SPANS))]
                self._export(batch)

    def _export(self, batch: Sequence[ReadableSpan]) -> None:
        try:
            result = self._exporter.export([redacted(span) for span in batch])
        except TryLater as later:
            self._not_before = time.monotonic() + later.seconds
            self._queue.extendleft(reversed(batch))
            return
        except Exception:  # noqa: BLE001 - whatever an exporter raises, the thread must live
            result = SpanExportResult.FAILURE
        if result is not SpanExportResult.SUCCESS:
            self._on_drop("export_failed", len(batch))


def redacted(span: ReadableSpan) -> ReadableSpan:
    """A copy of a finished span that is fit to leave the process."""
    return ReadableSpan(
        name=redact_text(span.name),
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=redact_mapping(span.attributes or {}),
        events=[
            Event(found.name, redact_mapping(found.attributes or {}), found.timestamp)
            for found in span.events
        ],
        links=span.links,
        kind=span.kind,
        status=Status(
            span.status.status_code,
            None if span.status.description is None else redact_text(span.status.description),
        ),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
