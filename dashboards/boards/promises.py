"""The row of service level objectives: how fast each budget burns, and what is left of it."""

from dashboards.panels import Panel, Query, Row, Step, bars, graph
from telemetry.catalogue import SLO, all_slos
from telemetry.catalogue.links import burn_alert
from telemetry.catalogue.recorded import BUDGET_LEFT, ERROR_RATIO

WINDOWS = ("5m", "1h", "6h")


def burning(slo: SLO) -> Panel:
    """Bad events over three windows; the red line is the pace that spends exactly the budget."""
    return graph(
        slo.title,
        f"{slo.description} Bad share of events by window; over the red line the"
        f" {slo.window_days} days' budget will not last.",
        "percentunit",
        *(Query(ERROR_RATIO[window].series(slo=slo.name), window) for window in WINDOWS),
        width=6,
        height=6,
        smallest=0.0,
        steps=(Step(slo.error_budget, "red"),),
        runbook=burn_alert(slo),
    )


PROMISES = Row(
    "Promises to shoppers",
    (
        bars(
            "Error budget left",
            "Of 30 days' budget. At zero, only urgent fixes are released until it recovers.",
            "percentunit",
            *(Query(BUDGET_LEFT.series(slo=slo.name), slo.title) for slo in all_slos()),
            width=24,
            height=9,
            base="red",
            largest=1.0,
            decimals=0,
            steps=(Step(0.1, "yellow"), Step(0.5, "green")),
        ),
        *(burning(slo) for slo in all_slos()),
    ),
)
