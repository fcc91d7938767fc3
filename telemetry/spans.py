"""Spans at a quarter of what the OpenTelemetry SDK's own cost, and the same to whoever reads them.

A purchase has eight spans, so starting and ending one is on the hot path (docs/decisions/0021).
Provider, resource, limits and processors stay the SDK's; only the tracer and the span are ours. A
span belongs to one request and is used by one thread at a time, so it has no lock; what has ended
never changes again, so processors get the span itself and not a copy of it. What is unusual (an
attribute that must be cleaned or cut, an event, a link) is left to the SDK's own classes.
"""

import logging
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from random import getrandbits
from time import time_ns
from types import NoneType, TracebackType
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.semconv.attributes.exception_attributes import (
    EXCEPTION_ESCAPED,
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
)
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from opentelemetry.util.types import AnyValue, Attributes

from telemetry.tracing import current_span

_log = logging.getLogger(__name__)

# Values of exactly these types are stored as they are; everything else the SDK cleans.
_PLAIN = frozenset({bool, int, float, bytes, NoneType})
_KNOWN_FLAGS = TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID
_FLAGS = tuple(TraceFlags(flags) for flags in range(_KNOWN_FLAGS + 1))


class LeanTracer(trace.Tracer):
    """Starts lean spans where `tracer`, one of the SDK's, would start its own.

    `sample_ratio` (0 to 1) is the share of traces that begin here and are recorded, chosen by the
    trace id; a parent's decision is honoured: `ParentBased(TraceIdRatioBased(sample_ratio))`.
    Processors hear of a span's start and end; `_on_ending`, which is experimental, is not called.
    """

    def __init__(
        self,
        tracer: sdk.Tracer,
        scope: InstrumentationScope,
        limits: SpanLimits,
        sample_ratio: float,
    ) -> None:
        self.scope = scope
        self.limits = limits
        self.span_processor = tracer.span_processor
        self.longest_value = _number(limits.max_span_attribute_length)
        self.most_attributes = _number(limits.max_span_attributes)
        self._sdk = tracer
        self._bound = TraceIdRatioBased(sample_ratio).bound

    @property
    def resource(self) -> Resource:
        """The provider's resource; asked each time, because a fork changes it."""
        return self._sdk.resource

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        """A started span; one that records nothing when its trace is not sampled."""
        around = current_span() if context is None else trace.get_current_span(context)
        parent: SpanContext | None = around.get_span_context()
        if parent is None or not parent.is_valid:
            parent = None
            trace_id = getrandbits(128) or 1  # zero means "none"
            sampled = trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound
            flags = _FLAGS[TraceFlags.RANDOM_TRACE_ID | sampled]
            own = SpanContext(trace_id, getrandbits(64) or 1, is_remote=False, trace_flags=flags)
        else:
            flags = _FLAGS[parent.trace_flags & _KNOWN_FLAGS]
            own = SpanContext(
                parent.trace_id,
                getrandbits(64) or 1,
                is_remote=False,
                trace_flags=flags,
                trace_state=parent.trace_state,
            )
        if not flags & TraceFlags.SAMPLED:
            return NonRecordingSpan(own)
        span = LeanSpan(self, name, own, parent, kind, start_time)
        span.told_on_exit = (record_exception, set_status_on_exception)
        if attributes:
            span.set_attributes(attributes)
        if links:
            span.point_to(links)
        # A lean span can do all that a processor may ask of the SDK's span.
        self.span_processor.on_start(span, parent_context=context)  # type: ignore[arg-type]
        return span

    def start_as_current_span(  # type: ignore[override] # a plain context manager, not a generator
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> AbstractContextManager[trace.Span]:
        """A started span that is current inside `with`, as `trace.use_span` makes it."""
        span = self.start_span(name, context, kind, attributes, links, start_time)
        return _CurrentSpan(
            span,
            recorded=record_exception,
            set_status=set_status_on_exception,
            end_on_exit=end_on_exit,
        )


class LeanSpan(trace.Span, ReadableSpan):
    """A span that is being recorded, or was. Times are Unix nanoseconds."""

    def __init__(
        self,
        tracer: LeanTracer,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        start_time: int | None,
    ) -> None:
        ReadableSpan.__init__(
            self,
            name,
            context,
            parent,
            tracer.resource,
            kind=kind,
            start_time=time_ns() if start_time is None else start_time,
            instrumentation_scope=tracer.scope,
        )
        self._attributes: dict[str, AnyValue] = {}
        self._tracer = tracer
        self._dropped_attributes = 0
        # Whether `with span:` records what is raised, and whether it sets the status.
        self.told_on_exit = (True, True)

    @property
    def dropped_attributes(self) -> int:
        """How many attributes found no place or had no usable key."""
        return self._dropped_attributes

    def get_span_context(self) -> SpanContext:
        """What a child or another process needs to know of this span."""
        return self._context  # type: ignore[return-value]

    def is_recording(self) -> bool:
        """True until the span has ended."""
        return self._end_time is None

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        """Add or replace attributes; a replaced one becomes the youngest, as in the SDK."""
        if self._has_ended("set_attributes"):
            return
        tracer, own = self._tracer, self._attributes
        longest = tracer.longest_value
        for key, value in attributes.items():
            # _is_plain, written out: the loop that every span of every request runs.
            kind = type(value)
            if kind is str:
                if len(value) > longest:  # type: ignore[arg-type]
                    break
            elif kind not in _PLAIN:
                break
            if type(key) is not str or not key:
                break
        else:
            if len(own) + len(attributes) <= tracer.most_attributes and own.keys().isdisjoint(
                attributes
            ):
                own.update(attributes)
            else:
                self._store(attributes)
            return
        cleaned = BoundedAttributes(
            None, attributes, max_value_len=tracer.limits.max_span_attribute_length
        )
        self._dropped_attributes += cleaned.dropped
        self._store(cleaned)

    def set_attribute(self, key: str, value: AnyValue) -> None:
        """Add or replace one attribute."""
        if self._has_ended("set_attribute"):
            return
        if _is_plain(key, value, self._tracer.longest_value):
            self._store({key: value})
            return
        cleaned = BoundedAttributes(
            None, None, immutable=False, max_value_len=self._tracer.limits.max_span_attribute_length
        )
        cleaned[key] = value
        self._dropped_attributes += cleaned.dropped
        self._store(cleaned)

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        """Something that happened now, or at `timestamp`; the oldest event makes room."""
        if self._has_ended("add_event"):
            return
        limits = self._tracer.limits
        if not isinstance(self._events, BoundedList):
            self._events = BoundedList(limits.max_events)
        bounded = BoundedAttributes(
            limits.max_event_attributes, attributes, max_value_len=limits.max_attribute_length
        )
        self._events.append(Event(name, bounded, timestamp))

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Point to another span; the oldest link makes room."""
        if not self._has_ended("add_link"):
            self.point_to((Link(context, attributes),))

    def point_to(self, links: Sequence[Link]) -> None:
        """Add links; those that name nothing are left out."""
        limits = self._tracer.limits
        if not isinstance(self._links, BoundedList):
            self._links = BoundedList(limits.max_links)
        for link in links:
            context = link.context
            if context.is_valid or link.attributes or context.trace_state:
                bounded = BoundedAttributes(
                    limits.max_link_attributes,
                    link.attributes,
                    max_value_len=limits.max_attribute_length,
                )
                self._links.append(Link(context, bounded))

    def update_name(self, name: str) -> None:
        """Replace the name."""
        if not self._has_ended("update_name"):
            self._name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Replace the status: OK is final, and UNSET changes nothing."""
        if self._has_ended("set_status"):
            return
        given = status if isinstance(status, Status) else Status(status, description)
        if self._status.status_code is StatusCode.OK or given.status_code is StatusCode.UNSET:
            return
        self._status = given

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """An event `exception` with type, message and traceback; redacted before it is written."""
        module, name = type(exception).__module__, type(exception).__qualname__
        told: dict[str, AnyValue] = {
            EXCEPTION_TYPE: name if module in ("", "builtins") else f"{module}.{name}",
            EXCEPTION_MESSAGE: str(exception),
            EXCEPTION_STACKTRACE: "".join(traceback.format_exception(exception)),
            EXCEPTION_ESCAPED: str(escaped),
        }
        self.add_event("exception", {**told, **(attributes or {})}, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """Finish the span and hand it to the processors. Nothing changes it afterwards."""
        if self._has_ended("end"):
            return
        self._end_time = time_ns() if end_time is None else end_time
        self._tracer.span_processor.on_end(self)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if exc_val is not None and self.is_recording():
            recorded, counted = self.told_on_exit
            if recorded:
                self.record_exception(exc_val, escaped=True)
            if counted:
                self.set_status(_failed(exc_val))
        super().__exit__(exc_type, exc_val, exc_tb)

    def __repr__(self) -> str:
        return f"LeanSpan(name={self._name!r}, context={self._context})"

    def _store(self, attributes: Mapping[str, AnyValue]) -> None:
        """Keep cleaned attributes; the oldest one makes room."""
        own, most = self._attributes, self._tracer.most_attributes
        for key, value in attributes.items():
            if key in own:
                del own[key]
            elif len(own) >= most:
                self._dropped_attributes += 1
                if not own:
                    continue
                del own[next(iter(own))]
            own[key] = value

    def _has_ended(self, tried: str) -> bool:
        if self._end_time is None:
            return False
        _log.warning("Tried calling %s on an ended span.", tried)
        return True


class _CurrentSpan:
    """`with` around a span that makes it current, as `trace.use_span` does with two generators."""

    __slots__ = ("_end_on_exit", "_recorded", "_set_status", "_span", "_token")

    def __init__(
        self, span: trace.Span, *, recorded: bool, set_status: bool, end_on_exit: bool
    ) -> None:
        self._span = span
        self._recorded = recorded
        self._set_status = set_status
        self._end_on_exit = end_on_exit

    def __enter__(self) -> trace.Span:
        self._token = otel_context.attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        otel_context.detach(self._token)
        span = self._span
        # What is not an `Exception` (a cancelled task) is no error of this span.
        if isinstance(exc_val, Exception) and span.is_recording():
            if self._recorded:
                span.record_exception(exc_val)
            if self._set_status:
                span.set_status(_failed(exc_val))
        if self._end_on_exit:
            span.end()


def _is_plain(key: Any, value: Any, longest: int) -> bool:
    """Whether the SDK would store this attribute as it is."""
    kind = type(value)
    if kind is str:
        if len(value) > longest:
            return False
    elif kind not in _PLAIN:
        return False
    return type(key) is str and key != ""


def _failed(error: BaseException) -> Status:
    return Status(StatusCode.ERROR, f"{type(error).__name__}: {error}")


def _number(limit: int | None) -> int:
    return sys.maxsize if limit is None else limit
