"""The report: one HTML file without any dependency, to be read by an engineer or shown to a CTO."""

import time
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from loadtests.drills.drill import NOTIFIED, RESOLVED
from loadtests.drills.drill import Timeline as DrillTimeline
from loadtests.orders import orders_seen
from loadtests.shapes.book import SHAPES
from loadtests.verdict import plots
from loadtests.verdict.clientside import percentile
from loadtests.verdict.finding import Finding, Result
from loadtests.verdict.judge import Verdict
from loadtests.verdict.promises import NOT_REHEARSED
from loadtests.verdict.record import Record
from loadtests.verdict.timelines import Timeline

PAGE = Path(__file__).with_name("page.html")

WORDS = {Result.PASS: "Pass", Result.FAIL: "Fail", Result.INVALID: "Invalid"}
SENTENCES = {
    Result.PASS: "Every check held. The shop kept its promises, and its books are true.",
    Result.FAIL: "The shop broke a promise or a truth; the checks in red say which.",
    Result.INVALID: "This run cannot tell: the measurement itself is in doubt.",
}
GROUPS = (
    ("truth", "Business truths", "Wrong once is wrong, however fast everything was."),
    ("promise", "Promises", "What was promised to shoppers and to whoever is on call."),
    ("measurement", "The measurement itself", "A broken ruler measures nothing."),
)


def write_report(
    path: Path,
    verdict: Verdict,
    record: Record,
    timelines: Mapping[str, Timeline],
    *,
    drill: DrillTimeline | None = None,
) -> None:
    """Write the report to `path`."""
    sections = _sections(record, timelines, drill)
    page = Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(verdict.title),
        result=verdict.result.value,
        word=WORDS[verdict.result],
        sentence=SENTENCES[verdict.result],
        when=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(verdict.judged_at)),
        tiles="".join(_tile(*each) for each in _numbers(record, drill)),
        checks="".join(_group(verdict, *group) for group in GROUPS),
        plots="".join(
            _plot(number, *each) for number, each in enumerate(sections) if each[2] is not None
        ),
        facts=_facts(record),
        plotly=get_plotlyjs(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


Section = tuple[str, str, go.Figure | None]


def _sections(
    record: Record, timelines: Mapping[str, Timeline], drill: DrillTimeline | None
) -> list[Section]:
    faults: list[Section] = []
    if drill is not None:
        faults.append(
            (
                "The fault and who noticed",
                f"{drill.drill.fault.description} The alert is {drill.drill.alert}.",
                plots.fault(record, drill, timelines),
            )
        )
    return [
        *faults,
        (
            "Arrivals and completions",
            "Shoppers arrive at the planned rate whatever the shop does (open model).",
            plots.arrivals(record),
        ),
        (
            "Latency",
            "Whole lines: as clients timed it. Dotted: as the servers measured it.",
            plots.latency(record, timelines),
        ),
        (
            "Requests",
            "By service, as the servers counted them.",
            plots.outcomes(record, timelines),
        ),
        (
            "Orders",
            "What clients saw confirmed, and the ledger's total beside it.",
            plots.orders(record, timelines),
        ),
        (
            "Funnel",
            "Visits that reached each step, from the ledger.",
            plots.funnel(timelines),
        ),
        (
            "How journeys ended",
            "A car that was sold out or a declined card is the shop working as it should.",
            plots.endings(record),
        ),
        (
            "Alerts",
            "Pending and firing over the run; the watchdog, which always fires, is left out.",
            plots.alert_states(record),
        ),
        (
            "The generator",
            "Shoppers in the shop at once, and what generating them cost.",
            plots.generator(record),
        ),
    ]


def _numbers(record: Record, drill: DrillTimeline | None) -> list[tuple[str, str, str]]:
    """The tiles under the headline: value, name, remark."""
    came = [v for v in record.visits if not v.refused]
    confirmed = orders_seen(record.orders_seen, "confirmed")
    seconds = [r.seconds * 1000 for r in record.requests if r.status]
    failed = sum(request.failed for request in record.requests)
    busiest = max(plots.arrivals_per_second(record), default=0.0)
    tiles = []
    if drill is not None:
        for name, stage, since in (
            ("to detect", NOTIFIED, drill.injected_at),
            ("to clear", RESOLVED, drill.lifted_at),
        ):
            found = drill.seconds(stage, since)
            value = "never" if found is None else f"{found:.1f} s"
            tiles.append((value, name, "fault to delivered webhook"))
    return [
        *tiles,
        (f"{len(came):,}", "shoppers", f"{busiest:.1f}/s at the busiest"),
        (f"{len(confirmed):,}", "orders confirmed", f"{record.ledger_orders:,.0f} in the ledger"),
        (
            f"{len(record.requests):,}",
            "requests",
            f"{failed} failed",
        ),
        (
            f"{percentile(seconds, 0.95):,.0f} ms",
            "p95 at the client",
            f"p50 {percentile(seconds, 0.5):,.0f} ms",
        ),
    ]


def _tile(value: str, name: str, remark: str) -> str:
    return (
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span>'
        f"<small>{escape(remark)}</small></div>"
    )


def _group(verdict: Verdict, weight: str, title: str, remark: str) -> str:
    rows = "".join(_row(finding) for finding in verdict.findings if finding.weight == weight)
    if not rows:
        return ""
    return (
        f"<h3>{escape(title)}</h3><p class=remark>{escape(remark)}</p>"
        "<table><thead><tr><th>Check</th><th>Measured</th><th>Required</th><th>Result</th></tr>"
        f"</thead><tbody>{rows}</tbody></table>"
    )


def _row(finding: Finding) -> str:
    meaning = f"<small>{escape(finding.meaning)}</small>" if finding.meaning else ""
    return (
        f'<tr class="{finding.result.value}"><td><b>{escape(finding.title)}</b>{meaning}</td>'
        f'<td data-name="measured">{escape(finding.measured)}</td>'
        f'<td data-name="required">{escape(finding.required)}</td>'
        f'<td><span class="chip {finding.result.value}">{WORDS[finding.result]}</span></td></tr>'
    )


def _plot(number: int, title: str, remark: str, figure: go.Figure) -> str:
    drawn = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=f"plot-{number}",
        config={"responsive": True, "displayModeBar": False},
    )
    return f"<section><h3>{escape(title)}</h3><p class=remark>{escape(remark)}</p>{drawn}</section>"


def _facts(record: Record) -> str:
    plan = record.plan
    shape = SHAPES.get(plan.shape)
    rows = {
        "Shape": f"{plan.shape}: {(shape.__doc__ or '').splitlines()[0] if shape else ''}",
        "Journey mix": plan.mix,
        "Base rate": f"{plan.base_rate:g} shoppers per second at 1×",
        "Duration": f"{plan.ended_at - plan.started_at:.0f} s from first arrival to last departure",
        "Think times": f"log-normal, scaled by {plan.pace_scale:g}",
        "Seed": f"{plan.seed} (the same seed gives the same arrivals)",
        "Not rehearsed": "; ".join(f"{name}: {why}" for name, why in NOT_REHEARSED.items()),
    }
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows.items())
