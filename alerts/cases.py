"""What a promtool case is made of: made-up series, and which alerts fire on them.

Promtool replays the series through the committed rules; the series `ALERTS` then says which alerts
fire, with all of their labels.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from alerts.rules import RuleFile
from alerts.timing import MINUTE, duration
from telemetry.catalogue import Metric
from telemetry.catalogue.promql import bucket_edge
from telemetry.catalogue.spec import CatalogueError


@dataclass(frozen=True, slots=True)
class Series:
    """One made-up series: `selector` names it, `values` is promtool's notation."""

    selector: str
    values: str


@dataclass(frozen=True, slots=True)
class Case:
    """`series` are replayed every `step_seconds`; at `at_seconds` exactly `firing` fires.

    `firing` are the label sets of the alert beyond its name and severity; none means quiet. Only
    rules with `severity` are looked at, since what burns fast burns slowly as well.
    """

    name: str
    alert: str
    severity: str
    series: tuple[Series, ...]
    at_seconds: int
    firing: tuple[Mapping[str, str], ...]
    step_seconds: int = MINUTE

    def rendered(self) -> dict[str, Any]:
        wanted = f'alertname="{self.alert}",alertstate="firing",severity="{self.severity}"'
        fixed = {"alertname": self.alert, "alertstate": "firing", "severity": self.severity}
        return {
            "name": self.name,
            "interval": duration(self.step_seconds),
            "input_series": [{"series": s.selector, "values": s.values} for s in self.series],
            "promql_expr_test": [
                {
                    "expr": f"ALERTS{{{wanted}}}",
                    "eval_time": duration(self.at_seconds),
                    "exp_samples": [
                        {"labels": f"ALERTS{_labels({**fixed, **labels})}", "value": 1}
                        for labels in self.firing
                    ],
                }
            ],
        }


def series(
    metric: Metric,
    values: str,
    given: Mapping[str, str] = MappingProxyType({}),
    *,
    suffix: str = "",
    at_most: float | None = None,
    **more: str,
) -> Series:
    """A series of `metric`; labels that are not given get their first catalogued value."""
    labels = {**given, **more}
    found = {}
    for label in metric.labels:
        value = labels.pop(label.name, None) or (label.values or ("example",))[0]
        if not metric.accepts(label.name, value):
            raise CatalogueError(f"{metric.name}: {label.name}={value!r} is not catalogued")
        found[label.name] = value
    if labels:
        raise CatalogueError(f"{metric.name}: no label {', '.join(labels)}")
    if at_most is not None:
        if at_most not in metric.buckets:
            raise CatalogueError(f"{metric.name}: {at_most} is not a bucket edge")
        found["le"] = bucket_edge(at_most)
    return Series(f"{metric.name}{suffix}{_labels(found)}", values)


def climbing(phases: Sequence[tuple[int, float]]) -> str:
    """Values of a counter that grows by `step` for `count` samples, phase after phase.

    >>> climbing([(3, 2), (2, 5)])
    '0+2x3 11+5x1'
    """
    last = 0.0
    parts = []
    for position, (count, step) in enumerate(phases):
        start, more = (0.0, count) if position == 0 else (last + step, count - 1)
        parts.append(f"{start:.10g}+{step:.10g}x{more}")
        last = start + step * more
    return " ".join(parts)


def steady(value: float, count: int) -> str:
    """The same value again and again."""
    return f"{value:.10g}x{count}"


def samples(seconds: int, step_seconds: int = MINUTE) -> int:
    """How many steps a time has."""
    return seconds // step_seconds


def promtool_documents(file: RuleFile, cases: Sequence[Case]) -> dict[str, dict[str, Any]]:
    """Promtool files for one rule file's cases: one per step, which is the evaluation interval."""
    name = file.name
    ordered = sorted(cases, key=lambda case: case.step_seconds)
    return {
        f"{name}_every_{duration(step)}": {
            "rule_files": [f"../rules/{name}.yml"],
            "evaluation_interval": duration(step),
            # Promtool's own order is random, and later groups read what earlier ones recorded.
            "group_eval_order": [group.name for group in file.groups],
            "tests": [case.rendered() for case in found],
        }
        for step, found in itertools.groupby(ordered, key=lambda case: case.step_seconds)
    }


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items())) + "}"
