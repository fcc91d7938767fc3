"""What holds for every question: laws of conservation, on random questions and random journeys."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.insight.ledger.periods import Period
from app.insight.ledger.store import Store
from app.insight.reports.advice import advice
from app.insight.reports.comparing import earlier
from app.insight.reports.drill import Cell, entries
from app.insight.reports.questions import SEGMENTATIONS, Make, Question, answer
from app.insight.reports.satisfaction import satisfaction
from app.insight.reports.shopping import channels, funnel, markets
from app.insight.reports.steps import MEASURE_OF
from app.kernel.channels import CHANNEL_GROUPS
from telemetry.catalogue.labels import CHANNELS, DEVICES, ENTRIES, MARKETS, TRAFFIC
from tests.builders.facts import START
from tests.builders.journeys import DAYS, ledger, told

QUESTIONS = 10_000 if os.environ.get("VITRINE_PROOFS") == "long" else 20
VALUES: dict[str, tuple[str, ...]] = {
    "market": MARKETS,
    "channel": CHANNELS,
    "device": DEVICES,
    "entry": ENTRIES,
    "traffic": TRAFFIC,
    "channel_group": CHANNEL_GROUPS,
    "campaign": ("", "newsletter", "other"),
}
pytestmark = pytest.mark.thorough

ADDITIVE = ("sessions", "engaged_sessions", "converted_sessions", "orders", "views")
CELLS = {
    "sessions": "session",
    "engaged_sessions": "engaged",
    "converted_sessions": "converted",
    "orders": "order",
}


@dataclass
class Asker:
    """Asks one ledger, whose 12 days were told before the test."""

    runner: asyncio.Runner
    store: Store

    def ask(self, period: Period, make: Make | None = None, **question: Any) -> dict[str, Any]:
        asked = answer(self.store, Question(period, **question), make or funnel())
        return self.runner.run(asked).as_json()


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    folder: Path = tmp_path_factory.mktemp("laws")
    with asyncio.Runner() as runner:
        opened = ledger(f"sqlite+aiosqlite:///{folder / 'ledger.db'}", told(seed=8))
        yield Asker(runner, runner.run(opened.__aenter__()))
        runner.run(opened.__aexit__(None, None, None))


HOURS = st.integers(-30, (DAYS + 1) * 24)


@st.composite
def periods(draw: Callable[..., Any], narrowed: int = 2) -> Period:
    since, until = sorted(draw(st.lists(HOURS, min_size=2, max_size=2, unique=True)))
    names = draw(st.lists(st.sampled_from(list(VALUES)), max_size=narrowed, unique=True))
    chosen = {name: draw(st.sampled_from(VALUES[name])) for name in names}
    return Period(START + timedelta(hours=since), START + timedelta(hours=until), **chosen)


def narrowed(period: Period, name: str, value: str | None) -> Period:
    changed: Any = {name: value}
    return replace(period, **changed)


BY = st.lists(st.sampled_from(SEGMENTATIONS), max_size=3, unique=True).map(tuple)
STEPS = st.lists(st.sampled_from(list(MEASURE_OF)), min_size=2, max_size=5, unique=True).map(tuple)
asked = settings(max_examples=QUESTIONS, deadline=None, derandomize=True)


def added_up(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The additive numbers of all rows."""
    value: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    for row in rows:
        value.update({one["currency"]: one["amount"] for one in row["order_value"]})
        ends.update(row["checkouts"])
    return {
        **{name: sum(row[name] for row in rows) for name in ADDITIVE},
        "order_value": dict(value),
        "checkouts": {name: n for name, n in ends.items() if n},
    }


def test_the_journeys_have_everything_that_is_counted(asker: Asker) -> None:
    total = asker.ask(Period(START, START + timedelta(days=DAYS + 1)))["total"]
    assert all(total[name] for name in ADDITIVE)
    assert total["visitors"]["converted_30_days"] > 1
    assert all(total["checkouts"][end] for end in ("ordered", "abandoned", "sold_out", "expired"))


@asked
@given(period=periods(), by=BY, steps=STEPS)
def test_visitors_are_within_visits_within_views_and_each_step_within_the_one_before(
    asker: Asker, period: Period, by: tuple[str, ...], steps: tuple[str, ...]
) -> None:
    report = asker.ask(period, funnel(steps), by=by)
    for row in [report["total"], *report.get("rows", [])]:
        known = row["visitors"]
        assert known["converted_30_days"] <= known["visitors"] <= known["sessions"]
        assert known["sessions"] <= row["sessions"] <= row["views"]
        assert row["converted_sessions"] <= row["engaged_sessions"] <= row["sessions"]
        for each in (row["steps"], row["advice_steps"]):
            assert all(after <= ahead for ahead, after in pairwise(each.values()))
        walked = [step["sessions"] for step in row["asked_steps"].values()]
        assert all(after <= ahead for ahead, after in pairwise(walked))
        started = row["checkouts"]["started"]
        assert started == sum(row["checkouts"].values()) - started


@asked
@given(period=periods(), by=BY.filter(len))
def test_the_parts_add_up_to_the_whole(asker: Asker, period: Period, by: tuple[str, ...]) -> None:
    report = asker.ask(period, by=by)
    assert added_up(report["rows"]) == added_up([report["total"]])


@asked
@given(period=periods(), by=BY, steps=STEPS, compare=st.sampled_from([None, "previous", "year"]))
def test_a_number_does_not_depend_on_what_else_was_asked(
    asker: Asker, period: Period, by: tuple[str, ...], steps: tuple[str, ...], compare: Any
) -> None:
    alone = asker.ask(period)["total"]
    report = asker.ask(period, funnel(steps), by=by, compare=compare)
    assert {name: report["total"][name] for name in alone} == alone
    by_market = asker.ask(period, markets, by=by)
    assert by_market["total"] == alone
    if compare is not None:
        before = asker.ask(replace(earlier(period, compare), as_of=period.as_of))["total"]
        assert {name: report["total"]["before"][name] for name in before} == before


@asked
@given(period=periods(narrowed=1), name=st.sampled_from(list(VALUES)))
def test_a_segment_and_all_others_are_the_whole(asker: Asker, period: Period, name: str) -> None:
    whole = asker.ask(narrowed(period, name, None))["total"]
    parts = [asker.ask(narrowed(period, name, value))["total"] for value in VALUES[name]]
    assert added_up(parts) == added_up([whole])


@asked
@given(period=periods(), hours=st.integers(1, 300))
def test_two_periods_that_meet_are_the_whole(asker: Asker, period: Period, hours: int) -> None:
    middle = min(period.until, period.since + timedelta(hours=hours))
    parts = [replace(period, until=middle), replace(period, since=middle)]
    parts = [part for part in parts if part.since < part.until]
    found = [asker.ask(part)["total"] for part in parts]
    assert added_up(found) == added_up([asker.ask(period)["total"]])


@asked
@given(period=periods(), name=st.sampled_from(list(CELLS)), size=st.integers(1, 40))
def test_behind_a_cell_are_as_many_as_it_counts(
    asker: Asker, period: Period, name: str, size: int
) -> None:
    report = asker.ask(period)
    found: list[str] = []
    cursor, cell = None, Cell(CELLS[name])
    while True:
        asked = entries(asker.store, period, cell, cursor=cursor, limit=size)
        page = asker.runner.run(asked).as_json()
        found += [item["subject"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    if 0 < report["total"][name] < 5:
        assert (page["withheld"], page["count"], found) == (True, None, [])
    else:
        assert page["count"] == len(found) == len(set(found)) == report["total"][name]


@asked
@given(period=periods(), by=BY.filter(len))
def test_every_report_of_counts_adds_up(asker: Asker, period: Period, by: tuple[str, ...]) -> None:
    brought = asker.ask(period, channels, by=by)
    for name in ("sessions", "orders"):
        assert sum(row[name] for row in brought["rows"]) == brought["total"][name]
    advised = asker.ask(period, advice, by=by)
    answers = asker.ask(period, satisfaction, by=by)
    for report, path in (
        (advised, ("results", "completed")),
        (advised, ("advice_steps", "advice_start")),
        (answers, ("csat", "n")),
        (answers, ("nps", "n")),
    ):
        outer, inner = path
        assert sum(row[outer][inner] for row in report["rows"]) == report["total"][outer][inner]
