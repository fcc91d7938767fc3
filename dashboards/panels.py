"""Panels as data, and their translation into Grafana's model with its own SDK.

Only what Vitrine's console can draw as well is used; docs/boards.md lists it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.variables import with_variables
from telemetry.catalogue.links import runbook_url

DATASOURCE = "datasource"
PROMETHEUS_UID = f"${{{DATASOURCE}}}"
"""The reader's choice: the uid of a Prometheus differs from one Grafana to the next."""
COLUMNS = 24
Kind = Literal["timeseries", "stat", "bargauge", "table"]
Colour = Literal["green", "yellow", "orange", "red", "blue", "text"]
_REFS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Query:
    """One expression and how its series are named: `{{label}}` is replaced by its value."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Step:
    """From `value` on, in the panel's unit, the colour is `colour`."""

    value: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing. `description` is for whoever does not know the metric; `unit` is Grafana's name.

    `base` is the colour under the first of `steps`; `runbook` is the alert whose runbook helps.
    """

    kind: Kind
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 8
    height: int = 8
    base: Colour = "green"
    steps: tuple[Step, ...] = ()
    stacked: bool = False
    decimals: int | None = None
    smallest: float | None = None
    largest: float | None = None
    runbook: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels under it."""

    title: str
    panels: tuple[Panel, ...]


Builder = timeseries.Panel | stat.Panel | bargauge.Panel | table.Panel


def grafana_panel(panel: Panel, number: int, x: int, y: int) -> Builder:
    """The SDK's builder of one panel at a place of the grid."""
    builder = _kind(panel)
    builder.id(number).title(panel.title).description(panel.description).unit(panel.unit)
    builder.datasource(model.DataSourceRef(type_val="prometheus", uid=PROMETHEUS_UID))
    builder.grid_pos(model.GridPos(h=panel.height, w=panel.width, x=x, y=y))
    builder.thresholds(_thresholds(panel.base, panel.steps))
    if panel.decimals is not None:
        builder.decimals(panel.decimals)
    if panel.smallest is not None:
        builder.min(panel.smallest)
    if panel.largest is not None:
        builder.max(panel.largest)
    if panel.runbook is not None:
        link = dashboard.DashboardLink(f"Runbook: {panel.runbook}")
        link.type(model.DashboardLinkType.LINK).url(runbook_url(panel.runbook)).target_blank(True)
        builder.links([link])
    for ref, query in zip(_REFS, panel.queries, strict=False):
        builder.with_target(_target(panel, query, ref))
    return builder


def _kind(panel: Panel) -> Builder:
    match panel.kind:
        case "timeseries":
            return _timeseries(panel)
        case "stat":
            return (
                stat.Panel()
                .reduce_options(_last_value())
                .color_mode(common_model.BigValueColorMode.VALUE)
                .graph_mode(common_model.BigValueGraphMode.NONE)
            )
        case "bargauge":
            return (
                bargauge.Panel()
                .reduce_options(_last_value())
                .orientation(common_model.VizOrientation.HORIZONTAL)
                .display_mode(common_model.BarGaugeDisplayMode.BASIC)
            )
        case "table":
            return table.Panel().show_header(True)


def _timeseries(panel: Panel) -> timeseries.Panel:
    builder = timeseries.Panel().line_width(2).fill_opacity(30 if panel.stacked else 8)
    builder.show_points(common_model.VisibilityMode.NEVER)
    builder.legend(
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(common_model.LegendDisplayMode.LIST)
        .placement(common_model.LegendPlacement.BOTTOM)
    )
    builder.tooltip(
        common.VizTooltipOptions()
        .mode(common_model.TooltipDisplayMode.MULTI)
        .sort(common_model.SortOrder.DESCENDING)
    )
    if panel.stacked:
        builder.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL))
    if panel.steps:
        lines = common.GraphThresholdsStyleConfig()
        builder.thresholds_style(lines.mode(common_model.GraphTresholdsStyleMode.LINE))
    return builder


def _last_value() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _target(panel: Panel, query: Query, ref: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(with_variables(query.expr)).ref_id(ref)
    target.legend_format(query.legend)
    if panel.kind == "timeseries":
        return target.range().exemplar("_bucket" in query.expr)
    if panel.kind == "table":
        target.format(PromQueryFormat.TABLE)
    return target.instant()


def _thresholds(base: Colour, steps: Sequence[Step]) -> dashboard.ThresholdsConfig:
    first = model.Threshold(value=None, color=base)
    later = [model.Threshold(value=step.value, color=step.colour) for step in steps]
    config = dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE)
    return config.steps([first, *later])


def graph(title: str, description: str, unit: str, *queries: Query, **more: Any) -> Panel:
    """A drawing over time."""
    return Panel("timeseries", title, description, unit, queries, **more)


def number(title: str, description: str, unit: str, *queries: Query, **more: Any) -> Panel:
    """One big number per series, neutral unless it has thresholds."""
    base = more.pop("base", "green" if more.get("steps") else "text")
    return Panel("stat", title, description, unit, queries, base=base, **more)


def bars(title: str, description: str, unit: str, *queries: Query, **more: Any) -> Panel:
    """One horizontal bar per series, now, from zero."""
    base = more.pop("base", "green" if more.get("steps") else "blue")
    return Panel("bargauge", title, description, unit, queries, base=base, smallest=0.0, **more)


def listing(title: str, description: str, unit: str, *queries: Query, **more: Any) -> Panel:
    """One line per series, now."""
    return Panel("table", title, description, unit, queries, base="text", **more)
