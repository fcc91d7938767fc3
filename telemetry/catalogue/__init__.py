"""Everything that Vitrine promises to measure, as data. Standard library only."""

from telemetry.catalogue import (
    advisor,
    catalog,
    checkout,
    events,
    frame,
    http,
    insight,
    sandbox,
    slos,
    storefront,
)
from telemetry.catalogue.outcomes import Outcome
from telemetry.catalogue.spec import (
    SLO,
    CatalogueError,
    Label,
    LogEvent,
    Matcher,
    Metric,
    Selection,
)

__all__ = [
    "SLO",
    "CatalogueError",
    "Label",
    "LogEvent",
    "Matcher",
    "Metric",
    "Outcome",
    "Selection",
    "all_events",
    "all_metrics",
    "all_slos",
    "metric_named",
]

# Owners whose metrics every service emits.
SHARED_OWNERS = ("http", "frame")

_METRICS: tuple[Metric, ...] = (
    *http.METRICS,
    *frame.METRICS,
    *checkout.METRICS,
    *catalog.METRICS,
    *advisor.METRICS,
    *storefront.METRICS,
    *insight.METRICS,
    *sandbox.METRICS,
)
_BY_NAME: dict[str, Metric] = {metric.name: metric for metric in _METRICS}

if len(_BY_NAME) != len(_METRICS):
    raise CatalogueError("two metrics share a name")


def all_metrics() -> tuple[Metric, ...]:
    """Every metric that any service or the ledger exports."""
    return _METRICS


def all_events() -> tuple[LogEvent, ...]:
    """Every kind of log line that telemetry writes itself."""
    return events.EVENTS


def all_slos() -> tuple[SLO, ...]:
    """Every service level objective."""
    return slos.SLOS


def metric_named(name: str) -> Metric:
    """The metric called `name`; a histogram's `_bucket`, `_sum` or `_count` leads to it as well."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    for suffix in ("_bucket", "_sum", "_count"):
        stem = name.removesuffix(suffix)
        if stem != name and stem in _BY_NAME and _BY_NAME[stem].kind == "histogram":
            return _BY_NAME[stem]
    raise CatalogueError(f"{name}: no such metric in the catalogue")
