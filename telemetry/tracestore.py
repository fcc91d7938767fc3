"""The local trace store: every service of a process writes to it, the interesting traces stay.

Spans wait in memory until their trace is finished here (no span of it is open any more and a short
grace has passed), then the rules of `tracing.KeepRules` decide. Traces that are linked to a kept
one are kept too, whichever came first: boring traces are set aside for a while, so that an error
found later in the outbox can bring back the request that caused it. Nothing of this happens on the
thread that ends a span beyond one lock and one list append.
"""

import sqlite3
import threading
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from telemetry.tracefile import (
    SpanEvent,
    SpanRecord,
    TraceFile,
    TraceStoreDamagedError,
    TraceSummary,
    record_of,
)
from telemetry.tracing import KeepRules, causes

__all__ = ["SpanEvent", "SpanRecord", "TraceStore", "TraceStoreDamagedError", "TraceSummary"]

# Told (reason, spans) when spans are lost; reasons are those of telemetry_spans_dropped_total.
OnDrop = Callable[[str, int], None]

_MAX_SPANS_IN_MEMORY = 20_000
_MAX_SPANS_OF_TRACE = 2_000
_MAX_SET_ASIDE = 1_000
_MAX_VERDICTS = 20_000
# A trace whose spans never all end (a cancelled task) is decided after this time without news.
_STALE_SECONDS = 60.0
# Reasons that make the traces a trace points to worth keeping; a sample stands only for itself.
_REASONS_THAT_SPREAD = ("error", "slow", "marked")
# One batch of an outbox reader may point to hundreds of requests: enough of them are brought back.
_MAX_BROUGHT_BACK = 20


@dataclass(slots=True)
class _Waiting:
    """Spans of one trace that is not decided yet; `touched` is monotonic seconds."""

    open: int = 0
    spans: list[ReadableSpan] = field(default_factory=list)
    touched: float = 0.0


class TraceStore:
    """Keeps interesting traces in a SQLite file and in memory until they are decided.

    `keep_ratio` (0 to 1) of boring traces and everything from `slow_seconds` on is kept, at most
    `max_traces`, the oldest leaving first. `grace_seconds` is how long a finished trace waits for
    spans that are still to come. A damaged file raises TraceStoreDamagedError here.
    """

    def __init__(
        self,
        path: Path | str,
        keep_ratio: float = 0.05,
        slow_seconds: float = 1.0,
        max_traces: int = 5000,
        grace_seconds: float = 0.5,
    ) -> None:
        self.rules = KeepRules(keep_ratio=keep_ratio, slow_seconds=slow_seconds)
        self.file = TraceFile(Path(path))
        self.file.create()
        self._max_traces = max_traces
        self._grace_seconds = grace_seconds
        self._waiting: OrderedDict[int, _Waiting] = OrderedDict()
        self._spans_in_memory = 0
        self._aside: OrderedDict[int, list[ReadableSpan]] = OrderedDict()
        self._pointing: defaultdict[int, set[int]] = defaultdict(set)
        self._verdicts: OrderedDict[int, bool] = OrderedDict()
        self._on_drop: dict[str, OnDrop] = {}
        self._lock = threading.Lock()
        # Held by whoever decides and writes, so that flush() waits for a decision under way.
        self._deciding = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trace-store", daemon=True)
        self._thread.start()

    def processor(self, service: str, on_drop: OnDrop | None = None) -> SpanProcessor:
        """A span processor for one service's provider; shutting it down leaves the store open."""
        self._on_drop[service] = on_drop or _ignore
        return _StoreProcessor(self, self._on_drop[service])

    def find(self, trace_id: str) -> list[SpanRecord]:
        """The spans of a trace by start, those still waiting for a decision included."""
        found = {record.span_id: record for record in self.file.find(trace_id)}
        number = int(trace_id, 16) if _is_trace_id(trace_id) else 0
        with self._lock:
            waiting = self._waiting.get(number)
            spans = [*(waiting.spans if waiting else ()), *self._aside.get(number, ())]
        for span in spans:
            record = record_of(span)
            found.setdefault(record.span_id, record)
        return sorted(found.values(), key=lambda record: (record.started_at, record.span_id))

    def linked(self, trace_id: str) -> list[str]:
        """Ids of the stored traces' links to and from this trace."""
        return self.file.linked(trace_id)

    def recent(
        self, limit: int = 50, *, only_errors: bool = False, min_duration: float = 0.0
    ) -> list[TraceSummary]:
        """The latest kept traces, newest first; `min_duration` in seconds."""
        return self.file.recent(limit, only_errors=only_errors, min_duration=min_duration)

    def flush(self) -> None:
        """Decide and write every finished trace now, without waiting for the grace."""
        self._decide(grace_seconds=0.0)

    def close(self) -> None:
        """Decide what is there, finished or not, and stop the thread. May be called twice."""
        self._stopping.set()
        self._thread.join(timeout=5.0)
        self._decide(grace_seconds=0.0, unfinished=True)

    def started(self, span: ReadableSpan) -> None:
        """A span began: its trace has one more open end."""
        context = span.get_span_context()
        if context is None:
            return
        with self._lock:
            self._entry(context.trace_id).open += 1

    def ended(self, span: ReadableSpan, on_drop: OnDrop) -> None:
        """A span ended and waits with the rest of its trace."""
        context = span.get_span_context()
        if context is None:
            return
        dropped = 0
        with self._lock:
            waiting = self._entry(context.trace_id)
            waiting.open -= 1
            if len(waiting.spans) >= _MAX_SPANS_OF_TRACE:
                dropped = 1
            else:
                waiting.spans.append(span)
                self._spans_in_memory += 1
            while self._spans_in_memory > _MAX_SPANS_IN_MEMORY and self._waiting:
                _, oldest = self._waiting.popitem(last=False)
                self._spans_in_memory -= len(oldest.spans)
                dropped += len(oldest.spans)
        if dropped:
            on_drop("buffer_full", dropped)

    def _entry(self, trace_id: int) -> _Waiting:
        waiting = self._waiting.get(trace_id)
        if waiting is None:
            waiting = self._waiting[trace_id] = _Waiting()
        waiting.touched = time.monotonic()
        return waiting

    def _run(self) -> None:
        while not self._stopping.wait(max(self._grace_seconds / 2, 0.05)):
            self._decide(self._grace_seconds)

    def _decide(self, grace_seconds: float, *, unfinished: bool = False) -> None:
        with self._deciding:
            kept: dict[int, tuple[str, list[ReadableSpan]]] = {}
            # Judged outside the lock: whoever ends a span must never wait for a verdict.
            for trace_id, spans in self._take_ripe(grace_seconds, unfinished=unfinished):
                self._judge(trace_id, spans, kept)
            if kept:
                self._write(kept.values())

    def _take_ripe(
        self, grace_seconds: float, *, unfinished: bool
    ) -> list[tuple[int, list[ReadableSpan]]]:
        now = time.monotonic()
        with self._lock:
            ripe = [
                (trace_id, waiting.spans)
                for trace_id, waiting in self._waiting.items()
                if unfinished
                or now - waiting.touched >= (grace_seconds if waiting.open <= 0 else _STALE_SECONDS)
            ]
            for trace_id, spans in ripe:
                del self._waiting[trace_id]
                self._spans_in_memory -= len(spans)
        return ripe

    def _judge(
        self,
        trace_id: int,
        spans: list[ReadableSpan],
        kept: dict[int, tuple[str, list[ReadableSpan]]],
    ) -> None:
        """Decide one trace and move its spans to `kept` or aside; one thread at a time."""
        if not spans:
            return
        earlier = self._take_aside(trace_id)
        spans = [*earlier, *spans]
        targets = _targets(spans) - {trace_id}
        reason = "late" if self._verdicts.get(trace_id) else self.rules.reason(trace_id, spans)
        if reason is None and any(self._verdicts.get(target) for target in targets):
            reason = "linked"
        self._remember(trace_id, kept=reason is not None)
        if reason is None:
            self._set_aside(trace_id, spans, targets)
            return
        kept[trace_id] = (reason, spans)
        related = list(self._pointing.get(trace_id, ()))
        if reason in _REASONS_THAT_SPREAD:
            related.extend(targets)
        for other in related[:_MAX_BROUGHT_BACK]:
            brought_back = self._take_aside(other)
            if brought_back:
                self._remember(other, kept=True)
                kept[other] = ("linked", brought_back)

    def _remember(self, trace_id: int, *, kept: bool) -> None:
        self._verdicts[trace_id] = kept
        while len(self._verdicts) > _MAX_VERDICTS:
            self._verdicts.popitem(last=False)

    def _set_aside(self, trace_id: int, spans: list[ReadableSpan], targets: set[int]) -> None:
        self._aside[trace_id] = spans[:_MAX_SPANS_OF_TRACE]
        for target in targets:
            self._pointing[target].add(trace_id)
        while len(self._aside) > _MAX_SET_ASIDE:
            self._take_aside(next(iter(self._aside)))

    def _take_aside(self, trace_id: int) -> list[ReadableSpan]:
        spans = self._aside.pop(trace_id, [])
        for target in _targets(spans):
            pointing = self._pointing.get(target)
            if pointing is not None:
                pointing.discard(trace_id)
                if not pointing:
                    del self._pointing[target]
        return spans

    def _write(self, kept: Iterable[tuple[str, list[ReadableSpan]]]) -> None:
        records = [(reason, [record_of(span) for span in spans]) for reason, spans in kept]
        try:
            self.file.write(records, self._max_traces)
        except sqlite3.Error:
            # A full disk costs traces, never orders: it is counted and selling goes on.
            lost = Counter(record.service for _, spans in records for record in spans)
            for service, spans_lost in lost.items():
                self._on_drop.get(service, _ignore)("store_failed", spans_lost)


class _StoreProcessor(SpanProcessor):
    """One service's door to the shared store."""

    def __init__(self, store: TraceStore, on_drop: OnDrop) -> None:
        self._store = store
        self._on_drop = on_drop

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self._store.started(span)

    def on_end(self, span: ReadableSpan) -> None:
        self._store.ended(span, self._on_drop)

    def shutdown(self) -> None:
        self._store.flush()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        self._store.flush()
        return True


def _targets(spans: Iterable[ReadableSpan]) -> set[int]:
    return {context.trace_id for span in spans for context in causes(span)}


def _is_trace_id(text: str) -> bool:
    return len(text) == 32 and all(digit in "0123456789abcdef" for digit in text)


def _ignore(reason: str, spans: int) -> None:
    """Drops are counted only where a service asked for it."""
