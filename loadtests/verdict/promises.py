"""Checks of promises: the catalogue's SLOs as the servers measured them, and a quiet pager."""

from loadtests.verdict.finding import Finding, Result, passed
from loadtests.verdict.record import Record
from telemetry.catalogue.slos import PAINT_TIME, SLOS
from telemetry.catalogue.spec import SLO

LEAST_EVENTS = 5
"""Fewer events than this prove nothing about a promise."""

NOT_REHEARSED = {
    PAINT_TIME.name: "only browsers paint, and these shoppers are not browsers",
}
"""Promises that this load cannot test, each with the reason; the browser tests look after them."""

REHEARSED: tuple[SLO, ...] = tuple(slo for slo in SLOS if slo.name not in NOT_REHEARSED)


def promise_kept(record: Record, slo: SLO) -> Finding:
    """One SLO over the run, by Prometheus: the share of good events is at least the objective."""
    measured = record.promises.get(slo.name)
    good = None if measured is None else measured.good
    events = None if measured is None else measured.events
    if good is None or (events is not None and round(events) < LEAST_EVENTS):
        result, text = Result.INVALID, f"{round(events or 0)} events"
    else:
        of = "of the time" if events is None else f"of {round(events):,} events"
        # Rates of counters carry rounding errors of floating point, far below one event.
        result, text = passed(good + 1e-9 >= slo.objective), f"{good:.3%} {of}"
    return Finding(
        check=slo.name,
        title=slo.title,
        weight="promise",
        result=result,
        measured=text,
        required=f"at least {slo.objective:.1%}",
        meaning=slo.description,
    )


def pager_silent(record: Record) -> Finding:
    """No page fired on a healthy run: an alert that cries wolf is worse than none."""
    loud = sorted({a.name for a in record.alerts if a.state == "firing" and a.severity == "page"})
    return Finding(
        check="pager_silent",
        title="Nobody paged for nothing",
        weight="promise",
        result=passed(not loud),
        measured=", ".join(loud) or "no page fired",
        required="no page on a healthy day",
        meaning="Every page-worthy alert stayed silent while the shop was well.",
    )
