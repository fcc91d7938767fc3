"""A lean span is told, limited and sampled like the SDK's: both are made from the same inputs."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
)

from telemetry.bootstrap import Mode
from telemetry.export import redacted
from telemetry.spans import LeanSpan, LeanTracer
from telemetry.testing import capture
from telemetry.tracefile import record_of

SEED = 20261122
BEGAN, ENDED = 1_795_322_188_000_000_000, 1_795_322_188_250_000_000
NARROW = SpanLimits(
    max_span_attributes=3,
    max_span_attribute_length=8,
    max_attribute_length=5,
    max_events=2,
    max_event_attributes=2,
    max_links=2,
    max_link_attributes=1,
)
WIDE = SpanLimits(max_span_attribute_length=4096, max_events=64, max_links=256)
REMOTE = SpanContext(
    0x82B4A61B0F1EC6E290BEA7FEE0D50221,
    0x033513DDFD56F322,
    is_remote=True,
    trace_flags=TraceFlags(TraceFlags.SAMPLED),
    trace_state=TraceState([("vendor", "value")]),
)
OTHER = SpanContext(7, 8, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
NOWHERE = SpanContext(0, 0, is_remote=False)


class Colour(StrEnum):
    """A text that is not exactly a `str`."""

    BLUE = "blue"


class Written:
    """Something that OpenTelemetry does not know, but that has a text."""

    def __str__(self) -> str:
        return "written out"


class Opaque:
    """Something without a text of its own."""


@dataclass(frozen=True)
class Maker:
    """A tracer and what its spans were exported as."""

    tracer: Tracer
    exporter: InMemorySpanExporter

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())


def maker(*, lean: bool, limits: SpanLimits = WIDE, ratio: float = 1.0) -> Maker:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource({"service.name": "checkout"}),
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        span_limits=limits,
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("vitrine", "1.2.3")
    if not lean:
        return Maker(tracer, exporter)
    assert isinstance(tracer, SdkTracer)
    scope = InstrumentationScope("vitrine", "1.2.3")
    return Maker(LeanTracer(tracer, scope, limits, ratio), exporter)


def told(span: ReadableSpan) -> dict[str, Any]:
    """Everything that a reader of spans can ask for."""
    return {
        "name": span.name,
        "context": span.get_span_context(),
        "parent": span.parent,
        "kind": span.kind,
        "times": (span.start_time, span.end_time),
        "status": (span.status.status_code, span.status.description),
        "attributes": list((span.attributes or {}).items()),
        "events": [
            (found.name, found.timestamp, list((found.attributes or {}).items()))
            for found in span.events
        ],
        "links": [(link.context, list((link.attributes or {}).items())) for link in span.links],
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
        "resource": span.resource,
        "scope": span.instrumentation_scope,
        "record": record_of(span),
    }


def started(tracer: Tracer, **options: Any) -> Span:
    return tracer.start_span("order", start_time=BEGAN, **options)


def with_attributes(attributes: Mapping[Any, Any]) -> Callable[[Tracer], None]:
    """A story that gives the same attributes in the three ways there are."""

    def story(tracer: Tracer) -> None:
        started(tracer, attributes=attributes).end(ENDED)
        together = started(tracer, attributes={"first": 1})
        together.set_attributes(attributes)
        together.end(ENDED)
        singly = started(tracer, attributes={"first": 1})
        for key, value in attributes.items():
            singly.set_attribute(key, value)
        singly.end(ENDED)

    return story


def child_of_a_local_span(tracer: Tracer) -> None:
    with tracer.start_as_current_span("page", start_time=BEGAN, end_on_exit=False) as page:
        started(tracer, kind=SpanKind.CLIENT).end(ENDED)
    page.end(ENDED)


def child_of_a_remote_span(tracer: Tracer) -> None:
    parent = trace.set_span_in_context(NonRecordingSpan(REMOTE), Context())
    started(tracer, context=parent, kind=SpanKind.SERVER).end(ENDED)


def grandchild_of_a_remote_span(tracer: Tracer) -> None:
    parent = trace.set_span_in_context(NonRecordingSpan(REMOTE), Context())
    child = started(tracer, context=parent)
    started(tracer, context=trace.set_span_in_context(child, Context())).end(ENDED)
    child.end(ENDED)


def links(tracer: Tracer) -> None:
    given = [Link(REMOTE), Link(NOWHERE), Link(OTHER, {"why": "because of it", "how": 2})]
    span = started(tracer, links=given)
    span.add_link(REMOTE, {"a": "longer than five"})
    span.add_link(NOWHERE)
    span.add_link(NOWHERE, {"a": 1})
    span.end(ENDED)


def events(tracer: Tracer) -> None:
    span = started(tracer)
    span.add_event("paid", timestamp=BEGAN + 1)
    unusual: dict[str, Any] = {"a": "longer than five", "b": [1, 2], "c": Written()}
    span.add_event("sent", unusual, BEGAN + 2)
    span.add_event("booked", {"a": None, "": 1}, BEGAN + 3)
    span.end(ENDED)


def renamed(tracer: Tracer) -> None:
    span = started(tracer)
    span.update_name("GET /orders")
    span.end(ENDED)


def exceptions(tracer: Tracer) -> None:
    span = started(tracer)
    for error in (ValueError("a@b.se"), json_error(), asyncio.CancelledError()):
        span.record_exception(error, {"exception.type": "told"}, BEGAN + 1)
        span.record_exception(error, timestamp=BEGAN + 2, escaped=True)
    span.end(ENDED)


def json_error() -> Exception:
    import orjson

    return orjson.JSONDecodeError("no", "{", 0)


def after_the_end(tracer: Tracer) -> None:
    span = started(tracer, attributes={"kept": 1})
    span.end(ENDED)
    span.set_attribute("a", 1)
    span.set_attributes({"b": 2})
    span.add_event("late")
    span.add_link(OTHER)
    span.update_name("late")
    span.set_status(StatusCode.ERROR)
    span.record_exception(ValueError("late"))
    span.end(ENDED + 1)
    assert not span.is_recording()


STORIES: dict[str, Callable[[Tracer], None]] = {
    "plain": with_attributes({"a": "GET", "b": 1, "c": 0.5, "d": True, "e": b"x", "f": None}),
    "few": with_attributes({"a": "GET", "b": 2}),
    "long texts": with_attributes({"a": "x" * 9, "b": "y" * 8, "c": ["z" * 5000, "z"]}),
    "sequences": with_attributes({"a": ["x", 1], "b": (True, None), "c": [[1], {"k": [2]}]}),
    "mappings": with_attributes({"a": {"k": "v" * 9, 3: 1, "": 2}}),
    "unknown types": with_attributes({"a": Written(), "b": Opaque(), "c": {1, 2}, "d": ValueError}),
    "texts that are not str": with_attributes({"a": Colour.BLUE, Colour.BLUE: 1}),
    "keys that are no keys": with_attributes({"": 1, 3: "three", None: 2, Opaque(): 4, "ok": 5}),
    "replaced": with_attributes({"first": 2, "b": 3, "c": 4, "d": 5, "e": 6}),
    "more than the default": with_attributes({f"key-{number}": number for number in range(200)}),
    "nothing": with_attributes({}),
    "child of a local span": child_of_a_local_span,
    "child of a remote span": child_of_a_remote_span,
    "grandchild of a remote span": grandchild_of_a_remote_span,
    "links": links,
    "events": events,
    "renamed": renamed,
    "exceptions": exceptions,
    "after the end": after_the_end,
}


def both(story: Callable[[Tracer], None], **options: Any) -> tuple[Maker, Maker]:
    """The same story with the SDK's spans and with ours, ids included."""
    makers = (maker(lean=False, **options), maker(lean=True, **options))
    for made in makers:
        random.seed(SEED)
        story(made.tracer)
    return makers


@pytest.mark.parametrize("limits", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_a_lean_span_tells_what_the_sdks_tells(
    story: Callable[[Tracer], None], limits: SpanLimits
) -> None:
    theirs, ours = both(story, limits=limits)
    assert all(isinstance(span, LeanSpan) for span in ours.spans)
    assert [told(span) for span in ours.spans] == [told(span) for span in theirs.spans]
    assert len(ours.spans) > 0


@pytest.mark.parametrize("limits", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_a_collector_gets_the_same_bytes(
    story: Callable[[Tracer], None], limits: SpanLimits
) -> None:
    theirs, ours = both(story, limits=limits)
    assert encode_spans(ours.spans) == encode_spans(theirs.spans)
    cleaned, expected = ([redacted(span) for span in made.spans] for made in (ours, theirs))
    assert encode_spans(cleaned) == encode_spans(expected)


@pytest.mark.parametrize("story", ["few", "links", "events", "child of a remote span"])
def test_a_console_exporter_gets_the_same_text(story: str) -> None:
    theirs, ours = both(STORIES[story])
    assert [span.to_json() for span in ours.spans] == [span.to_json() for span in theirs.spans]


def test_no_attribute_fits_where_none_is_allowed() -> None:
    theirs, ours = both(STORIES["few"], limits=SpanLimits(max_span_attributes=0))
    assert [told(span) for span in ours.spans] == [told(span) for span in theirs.spans]
    assert [span.dropped_attributes for span in ours.spans] == [2, 3, 3]


STATUSES: list[list[Status | StatusCode]] = [
    [],
    [StatusCode.ERROR],
    [Status(StatusCode.ERROR, "first"), Status(StatusCode.ERROR, "second")],
    [StatusCode.ERROR, StatusCode.UNSET],
    [StatusCode.ERROR, StatusCode.OK],
    [StatusCode.OK, Status(StatusCode.ERROR, "too late")],
    [Status(StatusCode.OK), StatusCode.ERROR],
    [StatusCode.UNSET, StatusCode.ERROR],
    [Status(StatusCode.UNSET), StatusCode.OK],
]


@pytest.mark.parametrize("given", STATUSES, ids=range(len(STATUSES)))
def test_ok_is_final_and_unset_changes_nothing(given: list[Status | StatusCode]) -> None:
    def story(tracer: Tracer) -> None:
        span = started(tracer)
        for status in given:
            span.set_status(status)
        described = started(tracer)
        for status in given:
            if isinstance(status, StatusCode):
                described.set_status(status, "described")
        for ended in (span, described):
            ended.end(ENDED)

    theirs, ours = both(story)
    assert [told(span) for span in ours.spans] == [told(span) for span in theirs.spans]


@pytest.mark.parametrize("ratio", [0.0, 0.001, 0.25, 0.5, 0.999, 1.0])
def test_the_same_traces_are_sampled(ratio: float) -> None:
    contexts: list[list[SpanContext]] = []
    for lean in (False, True):
        made = maker(lean=lean, ratio=ratio)
        random.seed(SEED)
        spans = [made.tracer.start_span("root") for _ in range(2000)]
        contexts.append([span.get_span_context() for span in spans])
        assert [span.is_recording() for span in spans] == [
            span.get_span_context().trace_flags.sampled for span in spans
        ]
    theirs, ours = contexts
    assert ours == theirs


@pytest.mark.parametrize("flags", range(4))
@pytest.mark.parametrize("remote", [True, False])
def test_a_parents_decision_is_honoured_whatever_the_ratio(flags: int, remote: bool) -> None:
    parent = SpanContext(3, 4, is_remote=remote, trace_flags=TraceFlags(flags))
    found: list[SpanContext] = []
    for lean, ratio in ((False, 0.0), (True, 0.0), (False, 1.0), (True, 1.0)):
        random.seed(SEED)
        around = trace.set_span_in_context(NonRecordingSpan(parent), Context())
        found.append(
            maker(lean=lean, ratio=ratio).tracer.start_span("x", around).get_span_context()
        )
    assert found == [found[0]] * 4
    assert (found[0].trace_id, found[0].trace_flags) == (3, flags)


def test_an_id_is_never_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.spans.getrandbits", lambda bits: 0)
    assert maker(lean=True).tracer.start_span("root").get_span_context().is_valid


def raised_inside(tracer: Tracer, error: BaseException, **options: Any) -> None:
    with pytest.raises(type(error)), tracer.start_as_current_span("order", **options):
        raise error


def shape(span: ReadableSpan) -> tuple[Any, ...]:
    """What stays the same when tracebacks and times differ."""
    return (
        span.name,
        (span.status.status_code, span.status.description),
        [{**(event.attributes or {}), "exception.stacktrace": "..."} for event in span.events],
        span.end_time is not None,
    )


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError(), KeyError("k")])
@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("counted", [True, False])
def test_what_leaves_a_current_span_is_recorded(
    error: BaseException, recorded: bool, counted: bool
) -> None:
    def story(tracer: Tracer) -> None:
        options: dict[str, Any] = {"record_exception": recorded, "set_status_on_exception": counted}
        raised_inside(tracer, error, **options)
        with pytest.raises(type(error)), tracer.start_span("span", **options):
            raise error

    theirs, ours = both(story)
    assert [shape(span) for span in ours.spans] == [shape(span) for span in theirs.spans]
    assert len(ours.spans) == 2


def test_a_span_is_current_inside_and_the_one_before_it_afterwards() -> None:
    tracer = maker(lean=True).tracer
    before = trace.get_current_span()
    with tracer.start_as_current_span("outer") as outer:
        with tracer.start_as_current_span("inner") as inner:
            assert trace.get_current_span() is inner
        assert trace.get_current_span() is outer
        assert (inner.is_recording(), outer.is_recording()) == (False, True)
    assert trace.get_current_span() is before


def test_a_span_that_must_not_end_on_exit_goes_on() -> None:
    made = maker(lean=True)
    with made.tracer.start_as_current_span("order", end_on_exit=False) as span:
        pass
    assert (span.is_recording(), made.spans) == (True, [])


def test_a_span_that_is_not_sampled_costs_no_attributes_and_leaves_no_trace() -> None:
    made = maker(lean=True, ratio=0.0)
    with made.tracer.start_as_current_span("order", attributes={"a": 1}) as span:
        child = made.tracer.start_span("inner")
    assert type(span) is type(child) is NonRecordingSpan
    assert child.get_span_context().trace_id == span.get_span_context().trace_id
    assert made.spans == []


class Heard(SpanProcessor):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, Context | None]] = []

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        self.told.append(("start", span.name, parent_context))
        span.set_attribute("heard", True)

    def on_end(self, span: ReadableSpan) -> None:
        self.told.append(("end", span.name, None))


@pytest.fixture(params=["lean", "contrib"])
def mode(request: pytest.FixtureRequest) -> Mode:
    found: Mode = request.param
    return found


def test_processors_hear_of_both_ends_in_every_mode(mode: Mode) -> None:
    with capture("checkout", mode=mode) as signals:
        heard = Heard()
        provider = signals.telemetry.tracer_provider
        assert isinstance(provider, TracerProvider)
        provider.add_span_processor(heard)
        around = Context()
        signals.telemetry.tracer.start_span("order", around).end()
        assert heard.told == [("start", "order", around), ("end", "order", None)]
        assert signals.span("order").attributes == {"heard": True}


def test_only_lean_mode_has_lean_spans(mode: Mode) -> None:
    with capture("checkout", mode=mode) as signals:
        assert isinstance(signals.telemetry.tracer, LeanTracer) is (mode == "lean")


def test_the_limits_of_a_service_are_the_same_in_both_modes(mode: Mode) -> None:
    with capture("checkout", mode=mode) as signals:
        span = signals.telemetry.tracer.start_span("order", links=[Link(OTHER)] * 300)
        span.set_attributes({"text": "x" * 5000, **{f"key-{n}": n for n in range(127)}})
        for number in range(70):
            span.add_event(f"event-{number}")
        span.end()
        (found,) = signals.spans
        assert (len(found.attributes), len(found.events), len(found.links)) == (128, 64, 256)
        assert found.attributes["text"] == "x" * 4096
        assert found.events[0].name == "event-6"
