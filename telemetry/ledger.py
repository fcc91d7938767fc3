"""Families of prometheus-client made from numbers that a ledger already keeps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as MetricFamily

from telemetry.catalogue import Metric

__all__ = ["Cell", "HistogramCell", "LedgerFamily", "MetricFamily"]


@dataclass(frozen=True, slots=True)
class HistogramCell:
    """One series of a ledger histogram.

    `counts` holds the observations per bucket (not cumulated), one for each edge of the metric and
    a last one for everything above; `total` is the sum of the observations in the metric's unit.
    """

    counts: tuple[int, ...]
    total: float


Cell = float | HistogramCell


class LedgerFamily:
    """Turns a metric and its cells into a family whose closed label sets start at zero.

    Cells are keyed by label values in the metric's label order, or given as (labels, cell) pairs.
    The same object may be used for every scrape; it holds no values.
    """

    def __init__(self, metric: Metric) -> None:
        if metric.source != "ledger":
            raise TypeError(f"{metric.name} is counted by a process, not exported by the ledger")
        self.metric = metric
        nothing: Cell = 0.0
        if metric.kind == "histogram":
            nothing = HistogramCell((0,) * (len(metric.buckets) + 1), 0.0)
        self._zeros: dict[tuple[str, ...], Cell] = dict.fromkeys(metric.zero_cells(), nothing)
        self._edges = [*(repr(float(edge)) for edge in metric.buckets), "+Inf"]

    def build(
        self, cells: Mapping[Any, Cell] | Iterable[tuple[Mapping[str, str], Cell]]
    ) -> MetricFamily:
        """The family with these cells and zeros for the rest; ValueError names a wrong label."""
        # Keys are `Any` for the checker only because Mapping is invariant in them: tuples of str.
        found = dict(self._zeros)
        if isinstance(cells, Mapping):
            pairs: Iterable[tuple[tuple[str, ...], Cell]] = cells.items()
        else:
            pairs = ((self._key(labels), cell) for labels, cell in cells)
        for key, cell in pairs:
            self._check(key, cell)
            found[key] = cell
        family = self._empty()
        for key, cell in found.items():
            if isinstance(cell, HistogramCell):
                family.add_metric(key, buckets=self._cumulated(cell), sum_value=cell.total)
            else:
                family.add_metric(key, cell)
        return family  # type: ignore[no-any-return]

    def _empty(self) -> Any:
        metric = self.metric
        maker = {"counter": CounterMetricFamily, "histogram": HistogramMetricFamily}.get(
            metric.kind, GaugeMetricFamily
        )
        return maker(metric.name, metric.description, labels=metric.label_names)

    def _key(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        if labels.keys() != set(self.metric.label_names):
            raise ValueError(
                f"{self.metric.name} takes {', '.join(self.metric.label_names) or 'no labels'},"
                f" got {', '.join(labels) or 'none'}"
            )
        return tuple(str(labels[name]) for name in self.metric.label_names)

    def _check(self, key: tuple[str, ...], cell: Cell) -> None:
        metric = self.metric
        if len(key) != len(metric.labels):
            raise ValueError(f"{metric.name} has {len(metric.labels)} labels, got {key!r}")
        for label, value in zip(metric.labels, key, strict=True):
            if not metric.accepts(label.name, value):
                raise ValueError(f"{metric.name}: {label.name}={value!r} is not in the catalogue")
        if isinstance(cell, HistogramCell) != (metric.kind == "histogram"):
            raise ValueError(f"{metric.name} is a {metric.kind}, got {cell!r}")
        if isinstance(cell, HistogramCell) and len(cell.counts) != len(self._edges):
            raise ValueError(f"{metric.name} has {len(self._edges)} buckets, got {cell.counts!r}")

    def _cumulated(self, cell: HistogramCell) -> list[tuple[str, float]]:
        running = 0
        buckets: list[tuple[str, float]] = []
        for edge, count in zip(self._edges, cell.counts, strict=True):
            running += count
            buckets.append((edge, float(running)))
        return buckets
