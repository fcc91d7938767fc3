"""What a metric, a label, an event and a service level objective are made of.

Everything here validates itself when it is created: a catalogue with a bad name, an unsorted
bucket or an SLO threshold that no bucket edge matches cannot be imported at all. Naming rules:
https://prometheus.io/docs/practices/naming/
"""

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from telemetry.catalogue.outcomes import LogLevel

Kind = Literal["counter", "gauge", "histogram", "info"]
Source = Literal["process", "ledger"]
MatcherOp = Literal["=", "!=", "=~", "!~"]

# The most zero-valued children that one metric creates for itself in one service.
ZERO_CELL_LIMIT = 200

_METRIC_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LABEL_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_RESERVED_LABELS = frozenset({"le", "quantile", "job", "instance"})
_UNIT_SUFFIX: dict[str, str] = {
    "seconds": "_seconds",
    "bytes": "_bytes",
    "timestamp_seconds": "_timestamp_seconds",
}
_WRONG_UNITS = ("_ms", "_milliseconds", "_minutes", "_hours", "_kilobytes", "_percent")


class CatalogueError(ValueError):
    """The catalogue contradicts its own rules. The message names the entry and the rule."""


@dataclass(frozen=True, slots=True)
class Label:
    """One dimension of a metric.

    `values` is the closed set of what may appear, or None for a set that is only known when the
    shop runs (route templates, campaign names); then `bounded_by` says what keeps it small and
    `limit` is the number of values after which the instruments write `other`.
    """

    name: str
    values: tuple[str, ...] | None
    description: str
    bounded_by: str = "a closed set in the catalogue"
    limit: int = 200

    def __post_init__(self) -> None:
        _require(bool(_LABEL_NAME.fullmatch(self.name)), self.name, "label names are snake_case")
        _require(self.name not in _RESERVED_LABELS, self.name, "Prometheus reserves this label")
        _require(bool(self.description), self.name, "a label says what it means")
        if self.values is None:
            closed = self.bounded_by == "a closed set in the catalogue"
            _require(
                bool(self.bounded_by) and not closed, self.name, "an open label states its bound"
            )
        else:
            _require(bool(self.values), self.name, "a closed set has at least one value")
            _require(len(set(self.values)) == len(self.values), self.name, "values are distinct")

    @property
    def closed(self) -> bool:
        """True when every value is known beforehand."""
        return self.values is not None


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family, exactly as Prometheus shows it.

    `unit` is the base unit (`seconds`, `timestamp_seconds`, `bytes`) or what is counted
    (`requests`); `buckets` are the upper edges of a histogram without +Inf. `source` says whether
    a process counts it (then the first label is `service`) or insight's ledger does. `owner` is
    the service whose code states it, or `http`/`frame` for what every service has.
    `zero_segments` are partial label assignments: where the full product of closed labels is too
    big to export from zero, each segment is completed with the product of the other labels.
    """

    name: str
    kind: Kind
    description: str
    labels: tuple[Label, ...]
    unit: str
    owner: str
    source: Source = "process"
    buckets: tuple[float, ...] = ()
    shown_on: str | None = None
    zero_segments: tuple[tuple[tuple[str, str], ...], ...] = ()

    def __post_init__(self) -> None:
        name = self.name
        _require(bool(_METRIC_NAME.fullmatch(name)), name, "metric names are snake_case")
        _require(self.description.endswith("."), name, "a description is a sentence")
        _require(bool(self.unit) and bool(self.owner), name, "a metric has a unit and an owner")
        _require(not name.endswith(_WRONG_UNITS), name, "names use base units")
        _require(
            name.endswith("_total") == (self.kind == "counter"),
            name,
            "counters alone end in _total",
        )
        _require(
            name.endswith("_info") == (self.kind == "info"), name, "info metrics alone end in _info"
        )
        suffix = _UNIT_SUFFIX.get(self.unit, "")
        stem = name.removesuffix("_total")
        _require(stem.endswith(suffix), name, f"a metric in {self.unit} ends in {suffix}")
        names = self.label_names
        _require(len(set(names)) == len(names), name, "label names are distinct")
        if self.source == "process":
            _require(names[:1] == ("service",), name, "a process metric's first label is service")
        if self.kind == "histogram":
            rising = all(a < b for a, b in itertools.pairwise(self.buckets))
            _require(bool(self.buckets) and rising, name, "histogram buckets ascend")
            _require(all(map(math.isfinite, self.buckets)), name, "+Inf is added by the client")
        else:
            _require(not self.buckets, name, "only a histogram has buckets")
        for segment in self.zero_segments:
            for label, value in segment:
                self.label(label)
                _require(self.accepts(label, value), name, f"{label}={value!r} is not catalogued")

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the labels in the order of their exposition."""
        return tuple(label.name for label in self.labels)

    def label(self, name: str) -> Label:
        """The label called `name`; CatalogueError when the metric has none."""
        for label in self.labels:
            if label.name == name:
                return label
        raise CatalogueError(f"{self.name}: no label {name!r}, only {', '.join(self.label_names)}")

    def accepts(self, label: str, value: str) -> bool:
        """Whether `value` may appear in `label`."""
        values = self.label(label).values
        return values is None or value in values

    def zero_cells(
        self, fixed: Mapping[str, str] | None = None, limit: int = ZERO_CELL_LIMIT
    ) -> Iterator[tuple[str, ...]]:
        """Label values, in label order, of the series that are exported before anything happened.

        PromQL's `increase()` misses the first step of a series that appears with a value, so
        closed sets start at zero. Nothing is yielded for gauges (zero would be a claim), for open
        labels, or when more than `limit` cells would be needed and no segments are named.
        """
        if self.kind not in ("counter", "histogram"):
            return
        fixed = fixed or {}
        if any(not label.closed and label.name not in fixed for label in self.labels):
            return
        if math.prod(1 if x.name in fixed else len(x.values or ()) for x in self.labels) <= limit:
            segments: tuple[tuple[tuple[str, str], ...], ...] = ((),)
        else:
            segments = self.zero_segments
        for segment in segments:
            known = {**fixed, **dict(segment)}
            choices = [
                (known[x.name],) if x.name in known else (x.values or ()) for x in self.labels
            ]
            yield from itertools.product(*choices)


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One kind of log line, by the value of its `event` field, and the fields it always has."""

    name: str
    owner: str
    level: LogLevel
    description: str
    fields: tuple[str, ...]

    def __post_init__(self) -> None:
        _require(bool(_METRIC_NAME.fullmatch(self.name)), self.name, "event names are snake_case")
        _require(self.description.endswith("."), self.name, "a description is a sentence")
        _require(len(set(self.fields)) == len(self.fields), self.name, "fields are distinct")


@dataclass(frozen=True, slots=True)
class Matcher:
    """One PromQL label matcher; regular expressions are anchored, as Prometheus anchors them."""

    label: str
    op: MatcherOp
    value: str

    def __str__(self) -> str:
        value = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.label}{self.op}"{value}"'


@dataclass(frozen=True, slots=True)
class Selection:
    """Events counted by a counter, by a histogram's count, or (`at_most`) by one of its buckets."""

    metric: Metric
    matchers: tuple[Matcher, ...] = ()
    at_most: float | None = None

    def __post_init__(self) -> None:
        name = self.metric.name
        for matcher in self.matchers:
            label = self.metric.label(matcher.label)
            if label.values is None:
                continue
            if matcher.op in ("=", "!="):
                _require(matcher.value in label.values, name, f"{matcher} names no known value")
            else:
                pattern = re.compile(matcher.value)
                hit = any(pattern.fullmatch(value) for value in label.values)
                _require(hit, name, f"{matcher} matches no known value")
        if self.at_most is not None:
            _require(self.metric.kind == "histogram", name, "only a histogram has bucket edges")
            _require(
                self.at_most in self.metric.buckets, name, f"{self.at_most} is not a bucket edge"
            )
        _require(self.metric.kind in ("counter", "histogram"), name, "events are counted")


@dataclass(frozen=True, slots=True)
class SLO:
    """A promise to the shopper: `objective` of the events over `window_days` are good.

    Either `good` and `total` are given (a ratio of events), or `fresh`: a timestamp gauge that
    must never be older than `threshold_seconds` (then the ratio is of time, per series).
    `objective` is a fraction; `threshold_seconds` is a bucket edge of `good` when it is a latency.
    `routes` are the API routes that the promise covers, for the coherence test against OpenAPI.
    """

    name: str
    title: str
    description: str
    owner: str
    objective: float
    window_days: int = 30
    good: Selection | None = None
    total: Selection | None = None
    fresh: Metric | None = None
    threshold_seconds: float | None = None
    routes: tuple[str, ...] = ()
    pages: bool = True

    def __post_init__(self) -> None:
        name = self.name
        _require(bool(_METRIC_NAME.fullmatch(name)), name, "SLO names are snake_case")
        _require(0.5 <= self.objective < 1, name, "an objective lies between 0.5 and 1")
        _require(self.window_days > 0, name, "the window is positive")
        if self.fresh is not None:
            _require(self.good is None and self.total is None, name, "time or events, not both")
            _require(self.fresh.unit == "timestamp_seconds", name, "freshness needs a timestamp")
            _require(self.threshold_seconds is not None, name, "freshness needs a threshold")
            return
        if self.good is None or self.total is None:
            raise CatalogueError(f"{name}: an SLO counts good and total events")
        _require(
            self.good.at_most == self.threshold_seconds, name, "the threshold is a bucket edge"
        )
        _require(self.good.metric == self.total.metric, name, "good events are among the total")

    @property
    def error_budget(self) -> float:
        """The fraction of events that may go wrong: 0.001 for an objective of 0.999."""
        return round(1 - self.objective, 10)

    @property
    def metric(self) -> Metric:
        """The one metric that the promise is measured by."""
        if self.fresh is not None:
            return self.fresh
        if self.total is None:
            raise CatalogueError(f"{self.name}: neither fresh nor counted")
        return self.total.metric


def _require(condition: bool, name: str, rule: str) -> None:
    if not condition:
        raise CatalogueError(f"{name}: {rule}")
