"""The report is one file that shows every check and needs nothing else."""

import re
from dataclasses import replace
from html import escape
from pathlib import Path

from loadtests.drills.drill import (
    FIRING,
    NOTIFIED,
    PENDING,
    QUIET,
    RECEIVED,
    RESOLVED,
    Stage,
)
from loadtests.drills.drill import Timeline as DrillTimeline
from loadtests.drills.payment_brownout import PAYMENT_BROWNOUT
from loadtests.verdict.judge import judge
from loadtests.verdict.record import AlertSpell
from loadtests.verdict.report import write_report
from loadtests.verdict.timelines import QUESTIONS, Timeline
from loadtests.watching import Series
from tests.loadtests.walking import healthy_record

TAG = re.compile(r"<script>.*?</script>", re.DOTALL)


def _timelines(start: float) -> dict[str, Timeline]:
    points = tuple((start + n, float(n)) for n in range(30))
    labels = {"step": "session", "service": "checkout", "outcome": "ok"}
    return {name: Timeline(name, (Series(labels, points),)) for name in QUESTIONS}


def test_the_report_shows_every_check_and_loads_nothing(tmp_path: Path) -> None:
    record = healthy_record()
    verdict = judge(record, title="A <healthy> day")
    write_report(tmp_path / "report.html", verdict, record, _timelines(record.plan.started_at))
    page = TAG.sub("", (tmp_path / "report.html").read_text())
    assert "A &lt;healthy&gt; day" in page
    assert [f.title for f in verdict.findings if f"<b>{escape(f.title)}</b>" not in page] == []
    assert not re.search(r'(?:src|href)=["\']?http', page)
    assert page.count('class="plotly-graph-div"') == 7


def test_a_drill_s_report_shows_who_noticed_when(tmp_path: Path) -> None:
    record = healthy_record()
    start = record.plan.started_at
    names = (PENDING, FIRING, RECEIVED, NOTIFIED, QUIET, RESOLVED)
    stages = tuple(Stage(name, start + 6 + n) for n, name in enumerate(names))
    drill = DrillTimeline(PAYMENT_BROWNOUT, start, start + 5, start + 10, stages)
    spell = AlertSpell("PaymentProviderFailing", "firing", "page", start + 7, start + 11)
    record = replace(record, alerts=(*record.alerts, spell))
    path = tmp_path / "report.html"
    write_report(path, judge(record, title="Drill"), record, _timelines(start), drill=drill)
    page = path.read_text()
    assert "4.0 s</b><span>to detect" in page
    assert "1.0 s</b><span>to clear" in page
    assert all(name in page for name in names)


def test_a_run_without_any_visit_still_has_a_report(tmp_path: Path) -> None:
    record = replace(healthy_record(), visits=(), requests=(), orders_seen=(), generator=())
    timelines = {name: Timeline(name, ()) for name in QUESTIONS}
    write_report(tmp_path / "report.html", judge(record, title="Empty"), record, timelines)
    assert "Invalid" in (tmp_path / "report.html").read_text()
