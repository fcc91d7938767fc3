"""Metric names and labels found in PromQL, for comparing rules and boards with the catalogue."""

import re

from telemetry.catalogue import CatalogueError, Metric, metric_named
from telemetry.catalogue.recorded import RECORDED

# What Prometheus itself writes.
OWN = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "severity"}}
RECORDED_LABELS = {series.name: set(series.labels) for series in RECORDED}
_NAME = re.compile(r'(?<![\w:."$])([a-zA-Z_:][\w:]*)(\s*\{([^}]*)\})?')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_WORDS = frozenset(
    {
        "sum",
        "max",
        "min",
        "avg",
        "count",
        "topk",
        "quantile",
        "rate",
        "increase",
        "absent",
        "vector",
        "time",
        "label_replace",
        "and",
        "or",
        "unless",
        "bool",
        "offset",
        "avg_over_time",
        "sum_over_time",
        "histogram_quantile",
        "predict_linear",
        "abs",
    }
)


def used(expr: str) -> dict[str, set[str]]:
    """Every series named in `expr`, with the labels that are matched on it."""
    found: dict[str, set[str]] = {}
    text = _GROUPING.sub(" ", re.sub(r"\[[^\]]*\]|offset \w+", " ", expr))
    for match in _NAME.finditer(_blank_quotes(text)):
        name = match[1]
        if name not in _WORDS:
            found.setdefault(name, set()).update(_LABEL.findall(match[3] or ""))
    return found


def grouped(expr: str) -> set[str]:
    """Every label that `expr` groups or joins by."""
    return {
        label.strip()
        for match in _GROUPING.finditer(expr)
        for label in match[0].partition("(")[2].rstrip(")").split(",")
        if label.strip()
    }


def known_labels(name: str) -> set[str]:
    """Labels that a series of this name can have; CatalogueError when nothing is called so."""
    if name in OWN:
        return OWN[name]
    if name in RECORDED_LABELS:
        return RECORDED_LABELS[name]
    if ":" in name:
        raise CatalogueError(f"{name} is recorded by no rule")
    metric: Metric = metric_named(name)
    return {*metric.label_names, "instance", *(("le",) if metric.kind == "histogram" else ())}


def _blank_quotes(text: str) -> str:
    """The same text with empty strings, so that words in values are not taken for names."""
    return _QUOTED.sub('""', text)
