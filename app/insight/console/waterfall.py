"""An order's spans as a story: chapters in time, each a tree of spans with its own axis. Pure.

The traces of one purchase lie minutes apart, because people type and banks ask questions, while
the spans in them last milliseconds. On one axis nothing would be visible, so each trace is a
chapter with its own scale, and the time between chapters is told in words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

WIDTH: Final = 1000
"""Units of a chapter's axis; the page draws them as per mille."""

MIN_BAR: Final = 3
"""Narrowest bar that an eye still finds, in units of the axis."""

TICKS: Final = 4


class Span(Protocol):
    """What a stored span tells (telemetry's SpanRecord); times are Unix nanoseconds."""

    @property
    def trace_id(self) -> str: ...
    @property
    def span_id(self) -> str: ...
    @property
    def parent_span_id(self) -> str | None: ...
    @property
    def service(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def started_at(self) -> int: ...
    @property
    def ended_at(self) -> int: ...
    @property
    def status(self) -> str: ...
    @property
    def status_message(self) -> str: ...
    @property
    def attributes(self) -> Mapping[str, Any]: ...
    @property
    def events(self) -> Sequence[Any]: ...


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened within a span, `offset_seconds` after its start."""

    name: str
    offset_seconds: float
    attributes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One span as a line: `x` and `width` are in units of the chapter's axis.

    `target` is what a call was addressed to, for names that do not say it. `orphan` marks a span
    whose parent is in another process and was not kept.
    """

    span_id: str
    depth: int
    service: str
    name: str
    target: str
    kind: str
    failed: bool
    message: str
    start_seconds: float
    duration_seconds: float
    x: int
    width: int
    orphan: bool
    attributes: tuple[tuple[str, str], ...]
    events: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Chapter:
    """One trace. `offset_seconds` counts from the story's first span; `x`, `width` place it there.

    `pause_seconds` is the time since everything before it had ended; 0 when they overlap.
    """

    trace_id: str
    title: str
    service: str
    offset_seconds: float
    duration_seconds: float
    pause_seconds: float
    failed: bool
    x: int
    width: int
    ticks: tuple[float, ...]
    rows: tuple[Row, ...]
    services: tuple[str, ...]
    background: bool


@dataclass(frozen=True, slots=True)
class Story:
    """All chapters by time. `missing` are trace ids that are pointed to but were not kept."""

    chapters: tuple[Chapter, ...]
    duration_seconds: float
    spans: int
    failed: int
    services: tuple[str, ...]
    missing: tuple[str, ...]


def story(traces: Mapping[str, Sequence[Span]]) -> Story:
    """The story of some traces (id -> spans, empty where nothing was kept)."""
    kept = {trace_id: spans for trace_id, spans in traces.items() if spans}
    missing = tuple(trace_id for trace_id in traces if trace_id not in kept)
    every = [span for spans in kept.values() for span in spans]
    if not every:
        return Story((), 0.0, 0, 0, (), missing)
    begin = min(span.started_at for span in every)
    end = max(span.ended_at for span in every)
    ordered = sorted(kept.items(), key=lambda item: min(s.started_at for s in item[1]))
    chapters: list[Chapter] = []
    latest = begin
    for trace_id, spans in ordered:
        chapters.append(_chapter(trace_id, spans, begin, end, latest))
        latest = max(latest, *(span.ended_at for span in spans))
    return Story(
        chapters=tuple(chapters),
        duration_seconds=_seconds(end - begin),
        spans=len(every),
        failed=sum(1 for span in every if span.status == "error"),
        services=_services(every),
        missing=missing,
    )


def _chapter(trace_id: str, spans: Sequence[Span], begin: int, end: int, latest: int) -> Chapter:
    first = min(span.started_at for span in spans)
    last = max(span.ended_at for span in spans)
    rows = tuple(_rows(spans, first, last))
    root = rows[0]
    x, width = _place(first, last, begin, end)
    seconds = _seconds(last - first)
    return Chapter(
        trace_id=trace_id,
        title=root.name,
        service=root.service,
        offset_seconds=_seconds(first - begin),
        duration_seconds=seconds,
        pause_seconds=max(0.0, _seconds(first - latest)),
        failed=any(row.failed for row in rows),
        x=x,
        width=width,
        ticks=tuple(seconds * number / TICKS for number in range(TICKS + 1)),
        rows=rows,
        services=_services(spans),
        background=root.kind in ("consumer", "internal"),
    )


def _rows(spans: Sequence[Span], first: int, last: int) -> Iterable[Row]:
    """Depth first, children by start: the order in which a reader follows the calls."""
    known = {span.span_id for span in spans}
    children: defaultdict[str | None, list[Span]] = defaultdict(list)
    for span in spans:
        parent = span.parent_span_id if span.parent_span_id in known else None
        children[parent].append(span)
    for siblings in children.values():
        siblings.sort(key=lambda span: (span.started_at, span.span_id), reverse=True)
    stack = [(span, 0) for span in children[None]]
    while stack:
        span, depth = stack.pop()
        yield _row(span, depth, first, last, orphan=bool(span.parent_span_id) and depth == 0)
        stack += [(child, depth + 1) for child in children[span.span_id]]


def _row(span: Span, depth: int, first: int, last: int, *, orphan: bool) -> Row:
    x, width = _place(span.started_at, span.ended_at, first, last)
    return Row(
        span_id=span.span_id,
        depth=depth,
        service=span.service,
        name=span.name,
        target=_target(span),
        kind=span.kind,
        failed=span.status == "error",
        message=span.status_message,
        start_seconds=_seconds(span.started_at - first),
        duration_seconds=_seconds(span.ended_at - span.started_at),
        x=x,
        width=width,
        orphan=orphan,
        attributes=_pairs(span.attributes),
        events=tuple(
            Moment(e.name, _seconds(e.at - span.started_at), _pairs(e.attributes))
            for e in span.events
        ),
    )


def _target(span: Span) -> str:
    """The path of an outgoing HTTP call (semantic conventions `url.path` or `url.full`)."""
    if span.kind != "client":
        return ""
    path = str(span.attributes.get("url.path", ""))
    full = str(span.attributes.get("url.full", ""))
    return path or (f"/{full.split('/', 3)[3]}" if full.count("/") > 2 else "")


def _place(start: int, end: int, first: int, last: int) -> tuple[int, int]:
    whole = max(1, last - first)
    width = max(MIN_BAR, round((end - start) * WIDTH / whole))
    x = min(round((start - first) * WIDTH / whole), WIDTH - MIN_BAR)
    return x, min(width, WIDTH - x)


def _pairs(attributes: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in sorted(attributes.items()))


def _services(spans: Iterable[Span]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s.service for s in sorted(spans, key=lambda s: s.started_at)))


def _seconds(nanoseconds: int) -> float:
    return nanoseconds / 1e9
