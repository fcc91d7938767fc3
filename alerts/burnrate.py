"""Multi-window burn-rate rules for every SLO: one table and one loop.

Source: Google, The Site Reliability Workbook, chapter 5, "Alerting on SLOs" (table 5-8 and the rule
example). A burn rate of 1 spends exactly the budget of the SLO's window; the factor of a row is
how fast the budget burns when `budget_share` of it goes in the long window.
"""

from dataclasses import dataclass
from fractions import Fraction

from alerts.rules import Alert, Group, Recording, RuleFile, Urgency
from alerts.timing import DAY, MINUTE, Timing, nominal_seconds
from telemetry.catalogue import SLO, all_slos, promql
from telemetry.catalogue.links import burn_alert
from telemetry.catalogue.recorded import (
    BAD_EVENT_RATE,
    BAD_EVENTS,
    BUDGET_LEFT,
    ERROR_RATIO,
    EVENT_RATE,
)


@dataclass(frozen=True, slots=True)
class BurnWindow:
    """One row of the table; `budget_share` of the budget gone in `long` is worth `severity`."""

    severity: Urgency
    long: str
    short: str
    budget_share: Fraction

    def factor(self, slo: SLO) -> Fraction:
        """How many times faster than allowed the budget burns at this row's threshold."""
        return self.budget_share * slo.window_days * DAY / nominal_seconds(self.long)

    def threshold(self, slo: SLO) -> float:
        """The error ratio at which this row fires."""
        return round(float(self.factor(slo)) * slo.error_budget, 10)


WINDOWS = (
    BurnWindow("page", "1h", "5m", Fraction(2, 100)),
    BurnWindow("page", "6h", "30m", Fraction(5, 100)),
    BurnWindow("ticket", "1d", "2h", Fraction(10, 100)),
    BurnWindow("ticket", "3d", "6h", Fraction(10, 100)),
)
# One unlucky shopper among forty is over 14.4 times a budget of 0.1 %, and no reason to wake
# anybody: this many events must have gone wrong within the long window.
MIN_BAD_EVENTS = 5
# Ratios over days change slowly and cost most to compute.
SLOW_WINDOWS = ("1d", "3d", "30d")
SLOW_INTERVAL_SECONDS = 5 * MINUTE


def windows_of(slo: SLO, severity: str) -> tuple[BurnWindow, ...]:
    """The rows that can fire: a generous budget puts fast rows above an error ratio of 1."""
    if severity == "page" and not slo.pages:
        return ()
    return tuple(w for w in WINDOWS if w.severity == severity and w.threshold(slo) < 1)


def rule_file(slo: SLO, timing: Timing) -> RuleFile:
    """All rules of one SLO: fast ratios and alerts on them, and slow ones at a slower interval."""
    label = (("slo", slo.name),)
    fast = [w for w in ERROR_RATIO if w not in SLOW_WINDOWS]
    slow = [w for w in ERROR_RATIO if w in SLOW_WINDOWS]
    return RuleFile(
        name=f"slo_{slo.name}",
        groups=(
            Group(
                f"slo_{slo.name}",
                (
                    *(_ratio(slo, window, timing, label) for window in fast),
                    *_rates(slo, timing, label),
                    *(_bad_events(slo, w, timing, label) for w in _counted(slo) if w in fast),
                    *_alerts(slo, "page"),
                ),
            ),
            Group(
                f"slo_{slo.name}_slow",
                (
                    *(_ratio(slo, window, timing, label) for window in slow),
                    *(_bad_events(slo, w, timing, label) for w in _counted(slo) if w in slow),
                    _budget_left(slo, label),
                    *_alerts(slo, "ticket"),
                ),
                interval_seconds=SLOW_INTERVAL_SECONDS,
            ),
        ),
    )


def rule_files(timing: Timing) -> tuple[RuleFile, ...]:
    """One file per SLO of the catalogue."""
    return tuple(rule_file(slo, timing) for slo in all_slos())


Labels = tuple[tuple[str, str], ...]


def _ratio(slo: SLO, window: str, timing: Timing, label: Labels) -> Recording:
    length = timing.window(nominal_seconds(window))
    if slo.fresh is not None and window != "5m":
        # Of time, an average of averages is the average.
        fresh = f"avg_over_time({ERROR_RATIO['5m'].series(slo=slo.name)}[{length}])"
        return Recording(ERROR_RATIO[window], fresh, label)
    if nominal_seconds(window) < slo.window_days * DAY:
        return Recording(ERROR_RATIO[window], promql.error_ratio(slo, length), label)
    # A month of raw samples would be read every time: the recorded rates weigh events the same way.
    expr = promql.ratio(
        f"sum_over_time({BAD_EVENT_RATE.series(slo=slo.name)}[{length}])",
        f"sum_over_time({EVENT_RATE.series(slo=slo.name)}[{length}])",
    )
    return Recording(ERROR_RATIO[window], expr, label)


def _rates(slo: SLO, timing: Timing, label: Labels) -> tuple[Recording, ...]:
    if slo.total is None:
        return ()
    total = promql.rate(
        slo.total.metric, *slo.total.matchers, window=timing.window(nominal_seconds("5m"))
    )
    ratio = ERROR_RATIO["5m"].series(slo=slo.name)
    return (
        Recording(EVENT_RATE, total, label),
        Recording(BAD_EVENT_RATE, f"{ratio} * {EVENT_RATE.series(slo=slo.name)}", label),
    )


def _counted(slo: SLO) -> tuple[str, ...]:
    return () if slo.total is None else tuple(BAD_EVENTS)


def _bad_events(slo: SLO, window: str, timing: Timing, label: Labels) -> Recording:
    if slo.total is None:
        raise ValueError(f"{slo.name} counts no events")
    total = promql.increase(
        slo.total.metric, *slo.total.matchers, window=timing.window(nominal_seconds(window))
    )
    ratio = ERROR_RATIO[window].series(slo=slo.name)
    return Recording(BAD_EVENTS[window], f"{ratio} * on () {total}", label)


def _budget_left(slo: SLO, label: Labels) -> Recording:
    spent = f"{ERROR_RATIO['30d'].series(slo=slo.name)} / {slo.error_budget:g}"
    return Recording(BUDGET_LEFT, f"1 - {spent}", label)


def _alerts(slo: SLO, severity: Urgency) -> tuple[Alert, ...]:
    rows = windows_of(slo, severity)
    if not rows:
        return ()
    speeds = " or ".join(f"{float(row.factor(slo)):g} times over {row.long}" for row in rows)
    return (
        Alert(
            name=burn_alert(slo),
            expr="\nor\n".join(_burning(slo, row) for row in rows),
            severity=severity,
            service=slo.owner,
            summary=f"{slo.title}: the error budget burns too fast ({severity}).",
            description=(
                f"The promise: {slo.description} Its budget of {slo.error_budget:.4g} is being"
                f" spent {speeds} faster than it may; {{{{ $value | humanizePercentage }}}} of"
                " events were bad in the long window."
            ),
        ),
    )


def _burning(slo: SLO, row: BurnWindow) -> str:
    threshold = f"{row.threshold(slo):g}"
    conditions = [
        f"{ERROR_RATIO[row.long].series(slo=slo.name)} > {threshold}",
        f"{ERROR_RATIO[row.short].series(slo=slo.name)} > {threshold}",
    ]
    if slo.total is not None:
        conditions.append(f"{BAD_EVENTS[row.long].series(slo=slo.name)} >= {MIN_BAD_EVENTS}")
    return "(\n  " + "\n  and ".join(conditions) + "\n)"
