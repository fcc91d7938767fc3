"""Lines over time, as the servers measured them: what the report's plots are drawn from."""

from collections.abc import Mapping
from dataclasses import dataclass

from loadtests.verdict.gather import step_of
from loadtests.watching import PrometheusApi, Series
from telemetry.catalogue import promql
from telemetry.catalogue.checkout import CHECKOUT_PAYMENT_DURATION, CHECKOUT_PAYMENT_SUBMISSIONS
from telemetry.catalogue.http import HTTP_SERVER_REQUEST_DURATION
from telemetry.catalogue.insight import LEDGER_LAG, SHOP_FUNNEL_STEPS, SHOP_ORDERS
from telemetry.catalogue.outcomes import BUDGET_SPENDING


@dataclass(frozen=True, slots=True)
class Timeline:
    """One question to Prometheus and its answer over the run."""

    title: str
    series: tuple[Series, ...]


WINDOW = "15s"

QUESTIONS: Mapping[str, str] = {
    "server_p50": promql.quantile(0.5, HTTP_SERVER_REQUEST_DURATION, window=WINDOW),
    "server_p95": promql.quantile(0.95, HTTP_SERVER_REQUEST_DURATION, window=WINDOW),
    "server_p99": promql.quantile(0.99, HTTP_SERVER_REQUEST_DURATION, window=WINDOW),
    "requests": promql.rate(HTTP_SERVER_REQUEST_DURATION, window=WINDOW, by=("service",)),
    "failures": promql.rate(
        HTTP_SERVER_REQUEST_DURATION, window=WINDOW, by=("outcome",), outcome=BUDGET_SPENDING
    ),
    "orders": promql.value(SHOP_ORDERS),
    "payments": promql.rate(CHECKOUT_PAYMENT_SUBMISSIONS, window=WINDOW, by=("outcome",)),
    "provider_p95": promql.quantile(0.95, CHECKOUT_PAYMENT_DURATION, window=WINDOW),
    "ledger_lag": promql.value(LEDGER_LAG, aggregate="max"),
    "funnel": promql.value(SHOP_FUNNEL_STEPS, by=("step",)),
}
"""By name: expressions built from the catalogue, so that they cannot ask for what is not there."""


def gather_timelines(
    prometheus: PrometheusApi, window: tuple[float, float]
) -> Mapping[str, Timeline]:
    """Every question over the window, about 240 points each."""
    start, end = window
    step = step_of(start, end)
    return {
        name: Timeline(name, prometheus.series(query, start=start, end=end, step_seconds=step))
        for name, query in QUESTIONS.items()
    }
