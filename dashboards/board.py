"""A board: rows of panels laid out on the grid, with choices, links and annotations."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from dashboards.panels import COLUMNS, DATASOURCE, PROMETHEUS_UID, Panel, Query, Row, grafana_panel
from dashboards.variables import VARIABLES, Variable, with_variables
from telemetry.catalogue import promql
from telemetry.catalogue.frame import FLAG_ENABLED
from telemetry.catalogue.insight import DELIVERY_DEPLOYMENTS

MARK = "Written by `python -m dashboards.build` from the catalogue. Do not edit: render again."


@dataclass(frozen=True, slots=True)
class Annotation:
    """Moments worth knowing on every graph: wherever `expr` has a value over zero."""

    name: str
    expr: str
    colour: str


ANNOTATIONS = (
    Annotation("Pages", 'ALERTS{alertstate="firing",severity="page"}', "red"),
    Annotation(
        "Deployments",
        promql.increase(DELIVERY_DEPLOYMENTS, window="2m", by=("service", "outcome")) + " > 0",
        "blue",
    ),
    Annotation(
        "Flags",
        promql.value(FLAG_ENABLED, by=("flag",), aggregate="max") + " > 0",
        "purple",
    ),
)


@dataclass(frozen=True, slots=True)
class Board:
    """One page of drawings; `uid` is its address and file name."""

    uid: str
    title: str
    description: str
    tags: tuple[str, ...]
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = VARIABLES

    @property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(panel for row in self.rows for panel in row.panels)

    @property
    def queries(self) -> tuple[Query, ...]:
        return tuple(query for panel in self.panels for query in panel.queries)


def rendered(board: Board) -> str:
    """The JSON text that Grafana is provisioned with and the console draws."""
    builder = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(f"{board.description}\n\n{MARK}")
        .tags([*board.tags, "vitrine"])
        .readonly()
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now")
        .refresh("10s")
        .variables([_datasource(), *(_variable(variable) for variable in board.variables)])
        .annotations([_annotation(annotation) for annotation in ANNOTATIONS])
    )
    for part in _laid_out(board):
        if isinstance(part, dashboard.Row):
            builder.with_row(part)
        else:
            builder.with_panel(part)
    text = json.dumps(builder.build(), cls=JSONEncoder, indent=2, sort_keys=True)
    return text + "\n"


def _laid_out(board: Board) -> Iterator[dashboard.Row | dashboard.Panel]:
    """Rows and panels in reading order with their ids and places, left to right, wrapped."""
    number = y = 0
    for row in board.rows:
        number += 1
        place = model.GridPos(h=1, w=COLUMNS, x=0, y=y)
        yield dashboard.Row(row.title).id(number).grid_pos(place)
        y += 1
        x = height = 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            number += 1
            yield grafana_panel(panel, number, x, y)  # type: ignore[misc]
            x, height = x + panel.width, max(height, panel.height)
        y += height


def _datasource() -> dashboard.DatasourceVariable:
    """Which Prometheus; the one that deploy/grafana provisions is chosen at first."""
    return (
        dashboard.DatasourceVariable(DATASOURCE)
        .label("Data source")
        .description("The Prometheus that scrapes the shop.")
        .type("prometheus")
        .current(model.VariableOption(selected=True, text="Prometheus", value="prometheus"))
    )


def _variable(variable: Variable) -> dashboard.CustomVariable:
    options = [_option(value, value, variable) for value in variable.values]
    if variable.everything:
        options.insert(0, _option("All", "$__all", variable))
    chosen = next(option for option in options if option.selected)
    return (
        dashboard.CustomVariable(variable.name)
        .label(variable.label)
        .description(variable.description)
        .values(",".join(variable.values))
        .options(options)
        .current(chosen)
        .include_all(variable.everything)
        .all_value(".*")
        .multi(False)
    )


def _option(text: str, value: str, variable: Variable) -> model.VariableOption:
    return model.VariableOption(selected=text == variable.default, text=text, value=value)


def _annotation(annotation: Annotation) -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name(annotation.name)
        .datasource(model.DataSourceRef(type_val="prometheus", uid=PROMETHEUS_UID))
        .enable(True)
        .icon_color(annotation.colour)
        .expr(with_variables(annotation.expr))
    )
