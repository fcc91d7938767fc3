"""Cases of the burn-rate rules, made from the same table as the rules.

Each row of the table is tested a quarter over and a fifth under its threshold, with a history that
keeps the other rows of its severity quiet.
"""

import re

from alerts.burnrate import MIN_BAD_EVENTS, BurnWindow, windows_of
from alerts.cases import Case, Series, climbing, samples, series
from alerts.owners import TEAM_OF_SERVICE
from alerts.timing import DAY, HOUR, MINUTE, nominal_seconds
from telemetry.catalogue import SLO, Selection
from telemetry.catalogue.links import burn_alert
from telemetry.catalogue.outcomes import Outcome
from telemetry.catalogue.spec import Label, Matcher

OVER = 1.25
UNDER = 0.8
EVENTS_PER_MINUTE = 600.0
# Before the fault of a severity's first row: long enough to keep its second row under its
# threshold. Ticket rows need none: both have the same budget share and cross together.
HEALTHY_SECONDS = {"page": 3 * HOUR, "ticket": 0}
# Two samples in the shortest window that the severity reads, and no more than that: replaying
# days is what these cases cost.
STEP_SECONDS = {"page": 150, "ticket": 30 * MINUTE}
FRESHNESS_STEP_SECONDS = 5 * MINUTE

Phase = tuple[int, float]
"""Seconds, and the fraction of events that go wrong."""


def slo_cases(slo: SLO) -> tuple[Case, ...]:
    if slo.fresh is not None:
        return _freshness_cases(slo)
    found: list[Case] = []
    for severity in ("page", "ticket"):
        rows = windows_of(slo, severity)
        found += [case for row in rows for case in _around(slo, row)]
        if rows:
            found.append(_too_few(slo, rows[0]))
    return tuple(found)


def _around(slo: SLO, row: BurnWindow) -> tuple[Case, Case]:
    """The row's threshold crossed for its long window, and almost crossed."""
    long = nominal_seconds(row.long)
    first = row == windows_of(slo, row.severity)[0]
    healthy = (HEALTHY_SECONDS[row.severity] if first else 0, 0.0)
    over = min(OVER * row.threshold(slo), 1.0)
    # The almost crossed case starts without history: no row of the severity may fire.
    under = UNDER * min(other.threshold(slo) for other in windows_of(slo, row.severity))
    return (
        _case(slo, row, f"{row.long} over the threshold", (healthy, (long, over)), fires=True),
        _case(slo, row, f"{row.long} under every threshold", ((long, under),), fires=False),
    )


def _too_few(slo: SLO, row: BurnWindow) -> Case:
    """Everything fails, but hardly anybody was there."""
    long = nominal_seconds(row.long)
    rate = (MIN_BAD_EVENTS - 1) / (long / MINUTE)
    name = f"all of {MIN_BAD_EVENTS - 1} events failed"
    return _case(slo, row, name, ((long, 1.0),), fires=False, per_minute=rate)


def _case(
    slo: SLO,
    row: BurnWindow,
    name: str,
    phases: tuple[Phase, ...],
    *,
    fires: bool,
    per_minute: float = EVENTS_PER_MINUTE,
) -> Case:
    step = STEP_SECONDS[row.severity]
    return Case(
        name=f"{slo.name}, {row.severity}: {name}",
        alert=burn_alert(slo),
        severity=row.severity,
        series=_events(slo, tuple(phase for phase in phases if phase[0]), step, per_minute),
        at_seconds=sum(seconds for seconds, _ in phases),
        firing=(_firing(slo),) if fires else (),
        step_seconds=step,
    )


def _firing(slo: SLO) -> dict[str, str]:
    return {"service": slo.owner, "team": TEAM_OF_SERVICE[slo.owner], "slo": slo.name}


def _events(
    slo: SLO, phases: tuple[Phase, ...], step: int, per_minute: float
) -> tuple[Series, ...]:
    """Counters of events of which the phases' fractions are bad, as the SLO tells them apart."""
    if slo.good is None:
        raise ValueError(f"{slo.name} counts no events")
    per_step = per_minute * step / MINUTE
    good = climbing([(samples(s, step), per_step * (1 - bad)) for s, bad in phases])
    wrong = climbing([(samples(s, step), per_step * bad) for s, bad in phases])
    every = climbing([(samples(s, step), per_step) for s, _ in phases])
    labels = _labels(slo.good)
    metric = slo.metric
    if slo.good.at_most is not None:
        return (
            series(metric, good, labels, suffix="_bucket", at_most=slo.good.at_most),
            series(metric, every, labels, suffix="_count"),
        )
    suffix = "_count" if metric.kind == "histogram" else ""
    failed = {**labels, "outcome": Outcome.UNAVAILABLE.value}
    return (
        series(metric, good, labels, suffix=suffix),
        series(metric, wrong, failed, suffix=suffix),
    )


def _labels(selection: Selection) -> dict[str, str]:
    """Label values that all matchers of a selection accept."""
    return {
        label.name: next(
            value
            for value in _candidates(label, selection.matchers)
            if all(_accepts(m, value) for m in selection.matchers if m.label == label.name)
        )
        for label in selection.metric.labels
    }


def _candidates(label: Label, matchers: tuple[Matcher, ...]) -> tuple[str, ...]:
    if label.values is not None:
        return label.values
    named = tuple(m.value.split("|")[0] for m in matchers if m.label == label.name)
    return (*named, "/cars")


def _accepts(matcher: Matcher, value: str) -> bool:
    matches = re.fullmatch(matcher.value, value) is not None
    return matches if matcher.op in ("=", "=~") else not matches


def _freshness_cases(slo: SLO) -> tuple[Case, ...]:
    """A feed that stops: its age counts as bad time once it is over the threshold."""
    if slo.fresh is None or slo.threshold_seconds is None:
        raise ValueError(f"{slo.name} is not about freshness")
    row = windows_of(slo, "ticket")[0]
    long, step = nominal_seconds(row.long), FRESHNESS_STEP_SECONDS
    found = []
    for name, fraction in (("over", OVER), ("under", UNDER)):
        # The other row's window is three times as long and its threshold a third: same minutes.
        bad = fraction * row.threshold(slo) * long
        stopped = int(slo.threshold_seconds + bad) // step * step
        before = samples(3 * DAY, step)
        imported = f"0+{step}x{before} {before * step}x{samples(stopped, step) - 1}"
        found.append(
            Case(
                name=f"{slo.name}, ticket: stale for {row.long} {name} the threshold",
                alert=burn_alert(slo),
                severity="ticket",
                series=(series(slo.fresh, imported),),
                at_seconds=3 * DAY + stopped,
                firing=(_firing(slo),) if name == "over" else (),
                step_seconds=step,
            )
        )
    return tuple(found)
