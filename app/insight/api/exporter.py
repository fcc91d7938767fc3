"""The ledger on the metrics page: what was committed, nothing else.

Prometheus asks synchronously, the database answers asynchronously. So a snapshot is read after
each batch that this process booked and once a second (other replicas book too), in one statement:
the page may be a second old, and never shows a number that could still be rolled back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from app.insight.ledger.accounts import MILLIONTHS, Cell
from app.insight.ledger.store import Store
from telemetry.catalogue import Metric
from telemetry.catalogue import insight as metrics
from telemetry.ledger import Cell as Value
from telemetry.ledger import HistogramCell, LedgerFamily, MetricFamily

REFRESH_SECONDS: Final = 1.0

Lags = Callable[[], Mapping[str, float]]

EXPORTED: Final = tuple(
    metric
    for metric in metrics.METRICS
    if metric.source == "ledger" and metric not in (metrics.LEDGER_LAG, metrics.LEDGER_RESTATED)
)


class Exporter:
    """A collector for `MetricRegistry.register_collector`."""

    def __init__(self, store: Store, lags: Lags) -> None:
        self._store = store
        self._lags = lags
        self._families = [LedgerFamily(metric) for metric in EXPORTED]
        self._lag = LedgerFamily(metrics.LEDGER_LAG)
        self._restated = LedgerFamily(metrics.LEDGER_RESTATED)
        self._shown: tuple[Mapping[Cell, int], Mapping[tuple[str, ...], int]] | None = None
        self._built: list[MetricFamily] = []

    async def refresh(self) -> None:
        """Read the committed numbers; the page shows them from now on."""
        shown = cells, restated = await self._store.exported()
        if shown != self._shown:
            values = values_of(cells)
            self._built = [
                *(family.build(values.get(family.metric.name, {})) for family in self._families),
                self._restated.build({labels: float(n) for labels, n in restated.items()}),
            ]
            self._shown = shown

    def collect(self) -> list[MetricFamily]:
        """The families of the last snapshot, and the lag as of now."""
        lag: dict[tuple[str, ...], Value] = {(s,): value for s, value in self._lags().items()}
        return [*self._built, self._lag.build(lag)]


def values_of(cells: Mapping[Cell, int]) -> dict[str, dict[tuple[str, ...], Value]]:
    """Cells by metric and labels, as families take them.

    A cell that today's catalogue does not accept (a label value that was removed) is left out:
    one old row must not take the whole page down.
    """
    known = {metric.name: metric for metric in EXPORTED}
    found: defaultdict[str, dict[tuple[str, ...], Value]] = defaultdict(dict)
    parts: defaultdict[tuple[str, tuple[str, ...]], dict[str, int]] = defaultdict(dict)
    for cell, value in cells.items():
        metric = known.get(cell.metric)
        if metric is None or not _accepted(metric, cell.labels):
            continue
        if metric.kind == "histogram":
            parts[cell.metric, cell.labels][cell.part] = value
        else:
            found[cell.metric][cell.labels] = float(value)
    for (name, labels), values in parts.items():
        found[name][labels] = _histogram(known[name], values)
    return dict(found)


def _histogram(metric: Metric, values: Mapping[str, int]) -> HistogramCell:
    edges = [*(repr(float(edge)) for edge in metric.buckets), "+Inf"]
    counts = tuple(values.get(edge, 0) for edge in edges)
    return HistogramCell(counts, values.get("sum", 0) / MILLIONTHS)


def _accepted(metric: Metric, labels: tuple[str, ...]) -> bool:
    return all(
        metric.accepts(label.name, value)
        for label, value in zip(metric.labels, labels, strict=True)
    )
