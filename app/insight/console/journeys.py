"""From an order to its traces: its own requests, and everything that points to them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from app.insight.console.waterfall import Span, Story, story

MOST_TRACES: Final = 40
"""Chapters of one story: a busy batch of the outbox can be linked to hundreds of requests."""


class Summary(Protocol):
    """One kept trace of a list (telemetry's TraceSummary)."""

    @property
    def name(self) -> str: ...
    @property
    def spans(self) -> int: ...
    @property
    def failed(self) -> bool: ...
    @property
    def duration_seconds(self) -> float: ...


class Traces(Protocol):
    """telemetry's TraceStore, as far as the console needs it."""

    def find(self, trace_id: str) -> Sequence[Span]: ...
    def linked(self, trace_id: str) -> list[str]: ...
    def recent(
        self, limit: int = 50, *, only_errors: bool = False, min_duration: float = 0.0
    ) -> Sequence[Summary]: ...


MOST_LISTED: Final = 60
SLOW: Final = 1.0
"""Seconds from which background work is worth a look as well."""


def latest(traces: Traces, *, only_errors: bool, min_seconds: float) -> list[Summary]:
    """The newest traces worth a look.

    Quick and healthy requests of this console, calls that found nothing to do (an outbox asked for
    news three times a second) and the batches they bring would bury everything else: they are
    left out. A batch is found from the order that it carried.
    """
    found = traces.recent(1000, only_errors=only_errors, min_duration=min_seconds)
    shown = (one for one in found if one.failed or one.duration_seconds >= SLOW or not _noise(one))
    return list(islice(shown, MOST_LISTED))


def _noise(trace: Summary) -> bool:
    method, _, target = trace.name.partition(" ")
    asked_for_news = method == "GET" and trace.spans == 1 and not target.startswith("/")
    return asked_for_news or method == "process" or target.startswith("/console")


@dataclass(frozen=True, slots=True)
class Journey:
    """A story and which of its traces are the subject's own."""

    story: Story
    own: tuple[str, ...]
    more: int
    """Linked traces that were left out."""


async def journey(traces: Traces, own: Sequence[str]) -> Journey:
    """The story of some traces and of those linked to them, one step away.

    One step is enough, and more would be too much: whoever consumed an order's facts points to
    the order's requests, but one consumer's batch points to many orders.
    """
    return await asyncio.to_thread(_journey, traces, own)


def _journey(traces: Traces, own: Sequence[str]) -> Journey:
    ids = list(dict.fromkeys(own))
    for trace_id in tuple(ids):
        ids += [linked for linked in traces.linked(trace_id) if linked not in ids]
    chosen = ids[:MOST_TRACES]
    found: Mapping[str, Sequence[Span]] = {trace_id: traces.find(trace_id) for trace_id in chosen}
    kept = {trace_id: spans for trace_id, spans in found.items() if spans or trace_id in set(own)}
    return Journey(story(kept), tuple(own), len(ids) - len(chosen))
