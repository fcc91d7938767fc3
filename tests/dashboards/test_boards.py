import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import build
from dashboards.board import ANNOTATIONS, Board
from dashboards.panels import Panel
from dashboards.variables import VARIABLES, with_variables
from telemetry.catalogue import SLO, Metric, all_metrics, all_slos, metric_named
from telemetry.catalogue.labels import MARKETS, TRAFFIC
from telemetry.catalogue.links import burn_alert
from telemetry.catalogue.recorded import BUDGET_LEFT, ERROR_RATIO
from tests.alerts.expressions import RECORDED_LABELS, grouped, known_labels, used
from tests.alerts.promtool import promtool

BOARD_OF = {"shop": "storefront", "services": "services"}
PANELS = [(board, panel) for board in build.BOARDS for panel in board.panels]
RUNBOOKS = Path(build.__file__).resolve().parents[1] / "alerts" / "runbooks"
# The console draws only these; docs/boards.md promises no others.
UNITS = {"none", "short", "percentunit", "s", "reqps"}


def ids(value: object) -> str | None:
    return value.title if isinstance(value, Panel) else None


def board_json(board: Board) -> dict[str, Any]:
    return dict(json.loads((build.RENDERED / f"{board.uid}.json").read_text()))


def chosen(expr: str) -> str:
    """The expression as a reader sees it who chose people and all markets."""
    return expr.replace("$traffic", "human").replace("$market", ".*")


def test_rebuilding_changes_nothing() -> None:
    assert build.differences(build.committed(), build.RENDERED) == []


def test_a_stray_and_a_changed_board_are_named(tmp_path: Path) -> None:
    build.write({"a.json": "a"}, tmp_path)
    (tmp_path / "a.json").write_text("b")
    (tmp_path / "stray.json").write_text("")
    assert build.differences({"a.json": "a", "c.json": "c"}, tmp_path) == [
        "a.json: changed",
        "c.json: missing",
        "stray.json: no longer rendered",
    ]


@pytest.mark.parametrize("board", build.BOARDS, ids=lambda board: board.uid)
def test_a_board_says_that_it_is_rendered(board: Board) -> None:
    document = board_json(board)
    assert "Do not edit" in document["description"]
    assert (document["uid"], document["editable"]) == (board.uid, False)


@pytest.mark.integration
def test_every_expression_parses(tmp_path: Path) -> None:
    expressions = [chosen(with_variables(q.expr)) for b in build.BOARDS for q in b.queries]
    expressions += [chosen(annotation.expr) for annotation in ANNOTATIONS]
    rules = [{"record": f"panel:{i}:x", "expr": e} for i, e in enumerate(expressions)]
    file = tmp_path / "boards.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "boards", "rules": rules}]}))
    content, said = promtool("check", "rules", file)
    assert content, said
    assert len(expressions) > 80


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=ids)
def test_every_series_and_label_on_a_panel_is_catalogued(board: Board, panel: Panel) -> None:
    for query in panel.queries:
        series = used(query.expr)
        assert series
        for name, labels in series.items():
            assert labels <= known_labels(name), name
        known = set().union(*(known_labels(name) for name in series))
        assert grouped(query.expr) <= known
        assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= known


@pytest.mark.parametrize("metric", all_metrics(), ids=lambda metric: metric.name)
def test_every_catalogued_metric_is_on_the_board_that_it_names(metric: Metric) -> None:
    assert metric.shown_on in BOARD_OF
    board = next(b for b in build.BOARDS if b.uid == BOARD_OF[metric.shown_on])
    shown = {
        metric_named(name)
        for query in board.queries
        for name in used(query.expr)
        if name not in RECORDED_LABELS
    }
    assert metric in shown


@pytest.mark.parametrize("slo", all_slos(), ids=lambda slo: slo.name)
def test_every_slo_has_a_panel_with_its_budget_as_threshold_and_its_runbook(slo: SLO) -> None:
    board = next(board for board in build.BOARDS if board.uid == "services")
    panel = next(panel for panel in board.panels if panel.title == slo.title)
    assert [query.expr for query in panel.queries] == [
        ERROR_RATIO[window].series(slo=slo.name) for window in ("5m", "1h", "6h")
    ]
    assert [step.value for step in panel.steps] == [slo.error_budget]
    assert panel.runbook == burn_alert(slo)
    assert BUDGET_LEFT.series(slo=slo.name) in {query.expr for query in board.queries}


@pytest.mark.parametrize("slo", all_slos(), ids=lambda slo: slo.name)
def test_every_threshold_of_a_latency_slo_lies_on_a_bucket_edge(slo: SLO) -> None:
    if slo.fresh is None and slo.threshold_seconds is not None:
        assert slo.threshold_seconds in slo.metric.buckets
    else:
        assert slo.metric.kind in {"counter", "gauge"} or slo.threshold_seconds is None


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=ids)
def test_every_panel_explains_itself(board: Board, panel: Panel) -> None:
    assert panel.description.endswith(".")
    assert panel.unit in UNITS
    assert all(query.legend for query in panel.queries)
    assert panel.runbook is None or (RUNBOOKS / f"{panel.runbook}.md").is_file()


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=ids)
def test_business_panels_of_the_ledger_keep_rehearsals_apart(board: Board, panel: Panel) -> None:
    """A `shop_*` series that is not told apart by traffic would show load tests to marketing."""
    for query in panel.queries:
        for name, labels in used(query.expr).items():
            if name.startswith("shop_") and "slo" not in known_labels(name):
                assert "traffic" in labels | grouped(query.expr), panel.title


@pytest.mark.parametrize("board", build.BOARDS, ids=lambda board: board.uid)
def test_panels_fill_the_grid_without_overlapping(board: Board) -> None:
    document = board_json(board)
    places = [panel["gridPos"] for panel in document["panels"]]
    assert all(p["x"] + p["w"] <= 24 for p in places)
    for one, other in itertools.combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
    numbers = [panel["id"] for panel in document["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("board", build.BOARDS, ids=lambda board: board.uid)
def test_a_board_uses_only_variables_that_it_has_and_has_only_ones_that_it_uses(
    board: Board,
) -> None:
    asked = {name for q in board.queries for name in re.findall(r"\$(\w+)", with_variables(q.expr))}
    assert asked == {variable.name for variable in board.variables}


@pytest.mark.parametrize("board", build.BOARDS, ids=lambda board: board.uid)
def test_a_board_works_with_a_prometheus_of_any_uid(board: Board) -> None:
    found = board_json(board)
    chosen = found["templating"]["list"][0]
    provisioned = Path("deploy/grafana/provisioning/datasources/vitrine.yml").read_text()
    assert (chosen["type"], chosen["name"], chosen["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    assert f"uid: {chosen['current']['value']}\n" in provisioned
    text = json.dumps(found)
    assert set(re.findall(r'"uid": "([^"]*)"', text)) == {board.uid, "${datasource}"}


def test_marketing_sees_people_in_all_markets_unless_it_chooses_otherwise() -> None:
    storefront = next(board for board in build.BOARDS if board.uid == "storefront")
    _, *listed = board_json(storefront)["templating"]["list"]
    assert [(v["name"], v["current"]["value"], v["query"]) for v in listed] == [
        ("traffic", "human", ",".join(TRAFFIC)),
        ("market", "$__all", ",".join(MARKETS)),
    ]
    assert [variable.name for variable in VARIABLES] == ["traffic", "market"]


@pytest.mark.parametrize("board", build.BOARDS, ids=lambda board: board.uid)
def test_only_the_documented_part_of_grafanas_model_is_used(board: Board) -> None:
    for panel in board_json(board)["panels"]:
        assert panel["type"] in {"row", "timeseries", "stat", "bargauge", "table"}
        if panel["type"] == "row":
            assert panel["panels"] == []
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["transformations"] == []
        assert panel["fieldConfig"]["overrides"] == []
        for target in panel["targets"]:
            assert target["instant"] is (panel["type"] != "timeseries")
            assert not re.search(r"\$__", target["expr"])
