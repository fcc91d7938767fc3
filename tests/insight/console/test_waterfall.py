"""A story contains every span once, under its caller, in the order in which things happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.insight.console.waterfall import WIDTH, story

MS = 1_000_000


@dataclass
class FakeSpan:
    """The attributes of telemetry's SpanRecord."""

    span_id: str
    started_at: int
    ended_at: int
    parent_span_id: str | None = None
    trace_id: str = "t1"
    service: str = "checkout"
    name: str = "work"
    kind: str = "internal"
    status: str = "unset"
    status_message: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    events: Sequence[Any] = ()


def span(name: str, start: int, end: int, parent: str | None = None, **other: Any) -> FakeSpan:
    return FakeSpan(name, start * MS, end * MS, parent, name=name, **other)


def test_rows_follow_the_calls_depth_first_and_siblings_by_start() -> None:
    told = story(
        {
            "t1": [
                span("commit", 60, 90, "order"),
                span("request", 0, 100),
                span("order", 10, 95, "request"),
                span("insert", 20, 30, "order"),
                span("session", 2, 4, "request"),
            ]
        }
    )
    (chapter,) = told.chapters
    assert [(row.name, row.depth, row.x, row.width) for row in chapter.rows] == [
        ("request", 0, 0, 1000),
        ("session", 1, 20, 20),
        ("order", 1, 100, 850),
        ("insert", 2, 200, 100),
        ("commit", 2, 600, 300),
    ]


def test_chapters_come_by_time_and_tell_the_pause_between_them() -> None:
    told = story(
        {
            "pay": [span("pay", 90_000, 90_300, service="sandbox", kind="server")],
            "hold": [span("hold", 0, 50, service="storefront", kind="server")],
            "missing": [],
            "late": [span("process", 90_100, 90_200, service="insight", kind="consumer")],
        }
    )
    assert [
        (c.title, c.offset_seconds, round(c.pause_seconds, 3), c.background) for c in told.chapters
    ] == [
        ("hold", 0.0, 0.0, False),
        ("pay", 90.0, 89.95, False),
        ("process", 90.1, 0.0, True),
    ]
    assert told.missing == ("missing",)
    assert told.services == ("storefront", "sandbox", "insight")
    assert told.spans == 3


def test_a_failed_span_marks_itself_and_its_chapter() -> None:
    told = story({"t1": [span("request", 0, 10), span("call", 1, 9, "request", status="error")]})
    assert (told.failed, told.chapters[0].failed) == (1, True)
    assert [row.failed for row in told.chapters[0].rows] == [False, True]


def test_a_span_whose_caller_was_not_kept_says_so() -> None:
    (chapter,) = story({"t1": [span("request", 0, 10, "elsewhere")]}).chapters
    assert [(row.name, row.orphan, row.depth) for row in chapter.rows] == [("request", True, 0)]


def test_nothing_kept_is_a_story_without_chapters() -> None:
    assert story({"a": [], "b": []}).missing == ("a", "b")
    assert story({"a": []}).chapters == ()


@st.composite
def trees(draw: st.DrawFn) -> list[FakeSpan]:
    """Spans of one trace with any parents, some of them missing."""
    count = draw(st.integers(1, 25))
    spans = []
    for number in range(count):
        start = draw(st.integers(0, 10_000))
        parent = draw(st.one_of(st.none(), st.integers(0, count + 3)))
        # A parent has a lower number, as a caller exists before what it calls.
        name = None if parent is None or parent >= number else f"s{parent}"
        lost = "gone" if parent is not None and parent > count else None
        spans.append(
            FakeSpan(f"s{number}", start, start + draw(st.integers(0, 5_000)), name or lost)
        )
    return draw(st.permutations(spans))


@given(trees())
def test_every_span_appears_once_under_its_parent_and_inside_the_axis(
    spans: list[FakeSpan],
) -> None:
    (chapter,) = story({"t1": spans}).chapters
    assert sorted(row.span_id for row in chapter.rows) == sorted(s.span_id for s in spans)
    parents = {s.span_id: s.parent_span_id for s in spans}
    path: list[str] = []
    for row in chapter.rows:
        del path[row.depth :]
        parent = parents[row.span_id]
        assert parent == (path[-1] if path else parent)
        assert row.depth == 0 or parent in parents
        assert 0 <= row.x <= row.x + row.width <= WIDTH
        path.append(row.span_id)
