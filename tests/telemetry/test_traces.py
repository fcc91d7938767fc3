"""Trace context survives the wire, providers stay apart, and the store keeps what matters."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags, Tracer

from telemetry.bootstrap import start_telemetry
from telemetry.catalogue.frame import TELEMETRY_SPANS_DROPPED
from telemetry.instruments import MetricRegistry
from telemetry.testing import capture
from telemetry.tracefile import TraceFile
from telemetry.tracestore import TraceStore, TraceStoreDamagedError
from telemetry.tracing import (
    KeepRules,
    context_from,
    current_traceparent,
    link_to,
    span_context_from,
    traceparent_of,
)

ids = st.tuples(
    st.integers(min_value=1, max_value=2**128 - 1), st.integers(min_value=1, max_value=2**64 - 1)
)


@given(ids, st.booleans())
def test_a_traceparent_survives_the_round_trip(pair: tuple[int, int], sampled: bool) -> None:
    flags = TraceFlags(int(sampled))
    sent = SpanContext(pair[0], pair[1], is_remote=False, trace_flags=flags)
    received = span_context_from(traceparent_of(sent))
    assert received is not None
    assert (received.trace_id, received.span_id, received.trace_flags) == (*pair, flags)
    assert received.is_remote


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "0" * 16 + "-01",
        "ff-" + "1" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "1" * 16 + "-01-more",
        "00-" + "A" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 31 + "-" + "1" * 16 + "-01",
    ],
)
def test_a_malformed_traceparent_starts_a_new_trace(header: str | None) -> None:
    assert span_context_from(header) is None
    assert link_to(header) == []
    assert trace.get_current_span(context_from(header)) is trace.INVALID_SPAN


def test_a_traceparent_of_a_later_version_is_still_understood() -> None:
    assert span_context_from("01-" + "1" * 32 + "-" + "1" * 16 + "-01-more") is not None


def test_the_current_span_can_be_written_into_an_outbox_row() -> None:
    assert current_traceparent() is None
    with capture("checkout") as signals:
        with signals.telemetry.tracer.start_as_current_span("order"):
            written = current_traceparent()
        with signals.telemetry.tracer.start_as_current_span("booking", links=link_to(written)):
            pass
        assert signals.span("booking").links == (signals.span("order").trace_id,)
        assert signals.span("order").trace_id == str(written)[3:35]


def test_each_service_has_its_own_provider_and_nothing_global_is_set() -> None:
    with capture("checkout") as checkout, capture("catalog") as catalog:
        with checkout.telemetry.tracer.start_as_current_span("mine"):
            pass
        assert [span.service for span in checkout.spans] == ["checkout"]
        assert catalog.spans == []
        assert trace.get_tracer_provider() is not checkout.telemetry.tracer_provider
        with trace.get_tracer("somebody").start_as_current_span("elsewhere") as span:
            assert not span.is_recording()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[TraceStore]:
    # The grace is long, so that only flush() decides and no test depends on time.
    opened = TraceStore(path, keep_ratio=0.0, grace_seconds=600.0)
    yield opened
    opened.close()


@pytest.fixture
def tracer(store: TraceStore) -> Iterator[Tracer]:
    with capture("checkout", trace_store=store) as signals:
        yield signals.telemetry.tracer


def trace_id_of(span: trace.Span) -> str:
    return f"{span.get_span_context().trace_id:032x}"


def seconds_long(tracer: Tracer, name: str, seconds: float) -> str:
    span = tracer.start_span(name, start_time=1_000_000_000)
    span.end(end_time=1_000_000_000 + int(seconds * 1e9))
    return trace_id_of(span)


def failed(tracer: Tracer, name: str = "failed", after: str | None = None) -> str:
    with tracer.start_as_current_span(name, links=link_to(after)) as span:
        span.set_status(StatusCode.ERROR)
    return trace_id_of(span)


def test_errors_slow_and_marked_traces_stay_and_boring_ones_go(
    store: TraceStore, tracer: Tracer
) -> None:
    boring = seconds_long(tracer, "boring", 0.1)
    slow = seconds_long(tracer, "slow", 1.0)
    error = failed(tracer)
    with tracer.start_as_current_span("order", attributes={"vitrine.keep": True}) as marked:
        pass
    store.flush()
    kept = {found.trace_id: found.reason for found in store.recent()}
    assert kept == {slow: "slow", error: "error", trace_id_of(marked): "marked"}
    assert store.file.find(boring) == []


def test_a_kept_trace_has_all_its_spans_with_parents_and_attributes(
    store: TraceStore, tracer: Tracer
) -> None:
    with (
        tracer.start_as_current_span("root", attributes={"vitrine.keep": True}) as root,
        tracer.start_as_current_span("child", attributes={"db.system.name": "sqlite"}),
    ):
        pass
    store.flush()
    first, second = store.find(trace_id_of(root))
    assert (first.name, first.parent_span_id, first.kind) == ("root", None, "internal")
    assert (second.name, second.parent_span_id) == ("child", first.span_id)
    assert second.attributes == {"db.system.name": "sqlite"}
    assert first.started_at <= second.started_at <= second.ended_at <= first.ended_at


def test_a_trace_waits_for_its_open_spans(store: TraceStore, tracer: Tracer) -> None:
    root = tracer.start_span("root", attributes={"vitrine.keep": True})
    with trace.use_span(root, end_on_exit=True):
        child = tracer.start_span("still-running")
    store.flush()
    assert store.recent() == []
    child.end()
    store.flush()
    (found,) = store.recent()
    assert (found.name, found.spans) == ("root", 2)


def test_a_span_that_comes_late_joins_its_kept_trace(store: TraceStore, tracer: Tracer) -> None:
    with tracer.start_as_current_span("root", attributes={"vitrine.keep": True}) as root:
        parent = trace.set_span_in_context(root)
    store.flush()
    tracer.start_span("late", context=parent).end()
    store.flush()
    (found,) = store.recent()
    assert (found.name, found.spans, found.reason) == ("root", 2, "marked")
    assert [span.name for span in store.find(trace_id_of(root))] == ["root", "late"]


def test_a_late_error_brings_back_the_boring_beginning(store: TraceStore, tracer: Tracer) -> None:
    with tracer.start_as_current_span("root") as root:
        parent = trace.set_span_in_context(root)
    store.flush()
    assert store.recent() == []
    late = tracer.start_span("late", context=parent)
    late.set_status(StatusCode.ERROR)
    late.end()
    store.flush()
    assert [span.name for span in store.file.find(trace_id_of(root))] == ["root", "late"]


def test_the_traces_on_both_sides_of_a_link_are_kept_with_a_kept_one(
    store: TraceStore, tracer: Tracer
) -> None:
    with tracer.start_as_current_span("request") as request:
        sent = current_traceparent()
    store.flush()
    consumer = failed(tracer, "consumer", after=sent)
    store.flush()
    assert {found.trace_id: found.reason for found in store.recent()} == {
        trace_id_of(request): "linked",
        consumer: "error",
    }
    assert store.linked(trace_id_of(request)) == [consumer]
    assert store.linked(consumer) == [trace_id_of(request)]


def test_a_trace_that_points_to_a_kept_one_is_kept(store: TraceStore, tracer: Tracer) -> None:
    with tracer.start_as_current_span("order", attributes={"vitrine.keep": True}) as order:
        sent = current_traceparent()
    store.flush()
    with tracer.start_as_current_span("booking", links=link_to(sent)) as booking:
        pass
    store.flush()
    assert store.linked(trace_id_of(order)) == [trace_id_of(booking)]
    assert {found.reason for found in store.recent()} == {"marked", "linked"}


def test_a_reader_decided_before_its_writer_is_brought_back(
    store: TraceStore, tracer: Tracer
) -> None:
    root = tracer.start_span("order", attributes={"vitrine.keep": True})
    sent = traceparent_of(root.get_span_context())
    tracer.start_span("booking", links=link_to(sent)).end()
    store.flush()
    assert store.recent() == []
    root.end()
    store.flush()
    assert {found.name for found in store.recent()} == {"order", "booking"}


def test_the_sample_is_the_same_in_every_process() -> None:
    rules = KeepRules(keep_ratio=0.25)
    traces = [number * (2**56 // 1000) for number in range(1000)]
    assert sum(rules.sampled(number) for number in traces) == pytest.approx(250, abs=2)
    assert [rules.sampled(n) for n in traces] == [KeepRules(0.25).sampled(n) for n in traces]
    assert not any(KeepRules(keep_ratio=0.0).sampled(number) for number in traces)
    assert all(KeepRules(keep_ratio=1.0).sampled(number) for number in traces)


def test_services_of_one_process_meet_in_one_trace(store: TraceStore) -> None:
    registry = MetricRegistry()
    with (
        capture("storefront", registry, trace_store=store) as front,
        capture("checkout", registry, trace_store=store) as back,
    ):
        with front.telemetry.tracer.start_as_current_span("page"):
            sent = current_traceparent()
            inner = back.telemetry.tracer.start_span("order", context=context_from(sent))
            inner.set_status(StatusCode.ERROR)
            inner.end()
        store.flush()
        (found,) = store.recent()
        spans = store.find(found.trace_id)
    assert (found.service, found.name, found.failed) == ("storefront", "page", True)
    assert [span.service for span in spans] == ["storefront", "checkout"]


def test_one_service_that_stops_leaves_the_store_to_the_others(store: TraceStore) -> None:
    with capture("checkout", trace_store=store):
        pass
    with capture("catalog", trace_store=store) as signals:
        failed(signals.telemetry.tracer)
    assert len(store.recent()) == 1


def test_a_trace_can_be_found_before_it_is_decided(store: TraceStore, tracer: Tracer) -> None:
    trace_id = failed(tracer)
    assert store.file.find(trace_id) == []
    assert [span.name for span in store.find(trace_id)] == ["failed"]
    assert store.find("nonsense") == []


def test_recent_can_be_narrowed(store: TraceStore, tracer: Tracer) -> None:
    seconds_long(tracer, "slow", 2.0)
    seconds_long(tracer, "slower", 5.0)
    failed(tracer)
    store.flush()
    assert [found.name for found in store.recent(only_errors=True)] == ["failed"]
    assert [found.name for found in store.recent(min_duration=3.0)] == ["slower"]
    assert [found.name for found in store.recent(limit=1)] == ["failed"]


def test_the_oldest_traces_leave_when_the_store_is_full(path: Path) -> None:
    store = TraceStore(path, keep_ratio=1.0, max_traces=3, grace_seconds=600.0)
    with capture("checkout", trace_store=store) as signals:
        for number in range(5):
            with signals.telemetry.tracer.start_as_current_span(f"trace-{number}"):
                pass
            store.flush()
        assert [found.name for found in store.recent()] == ["trace-4", "trace-3", "trace-2"]
    store.close()


def test_another_process_can_read_the_file(path: Path, store: TraceStore, tracer: Tracer) -> None:
    trace_id = failed(tracer)
    store.flush()
    assert [span.name for span in TraceFile(path).find(trace_id)] == ["failed"]
    again = TraceStore(path)
    assert [found.trace_id for found in again.recent()] == [trace_id]
    again.close()


def test_a_damaged_file_gives_one_clear_sentence(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(TraceStoreDamagedError, match=r"is damaged .* Delete the file"):
        TraceStore(path)


def test_spans_that_cannot_be_written_are_counted(path: Path) -> None:
    store = TraceStore(path, grace_seconds=600.0)
    with capture("checkout", trace_store=store) as signals:
        failed(signals.telemetry.tracer)
        path.write_bytes(b"overwritten by somebody" * 1000)
        for rest in path.parent.glob("traces.sqlite-*"):
            rest.unlink()
        store.flush()
        assert signals.value(TELEMETRY_SPANS_DROPPED, reason="store_failed") == 1
    store.close()


def test_the_background_thread_decides_without_being_asked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TraceStore(path, grace_seconds=0.01)
    written = threading.Event()
    write = store.file.write

    def tell(*arguments: object) -> None:
        write(*arguments)  # type: ignore[arg-type]
        written.set()

    monkeypatch.setattr(store.file, "write", tell)
    with capture("checkout", trace_store=store) as signals:
        failed(signals.telemetry.tracer)
        assert written.wait(timeout=20)
    assert len(store.recent()) == 1
    store.close()


def test_threads_lose_no_span(path: Path) -> None:
    store = TraceStore(path, keep_ratio=1.0, grace_seconds=600.0)
    with capture("checkout", trace_store=store) as signals:

        def work() -> None:
            for number in range(50):
                with signals.telemetry.tracer.start_as_current_span(f"turn-{number}"):
                    signals.telemetry.tracer.start_span("inner").end()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store.flush()
        summaries = store.recent(limit=1000)
        assert (len(summaries), {found.spans for found in summaries}) == (300, {2})
    store.close()


def test_only_a_share_of_traces_is_recorded_when_asked() -> None:
    telemetry = start_telemetry(
        service="checkout", registry=MetricRegistry(), sample_ratio=0.0, version="1", revision="x"
    )
    with telemetry.tracer.start_as_current_span("unsampled") as span:
        assert not span.is_recording()
        assert span.get_span_context().is_valid
    telemetry.shutdown()
