"""Boards are drawn from the rendered files, and nothing else can be asked of Prometheus."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from app.insight.console.boards import (
    ALL,
    RANGES,
    Query,
    Window,
    expressions,
    list_boards,
    matrix,
    read_board,
    series_name,
)
from app.insight.console.errors import BoardNotFound, ForeignExpression
from app.insight.settings import InsightSettings

BOARD = {
    "title": "Small",
    "uid": "small",
    "description": "Few numbers.\n\nWritten by a program.",
    "tags": ["vitrine", "shop"],
    "templating": {
        "list": [
            {
                "type": "custom",
                "name": "traffic",
                "label": "Traffic",
                "query": "human,synthetic",
                "current": {"value": "human"},
            },
            {"type": "custom", "name": "market", "query": "SE,NO", "includeAll": True},
            {"type": "datasource", "name": "source"},
        ]
    },
    "panels": [
        {"type": "row", "id": 9, "title": "Sales"},
        {
            "type": "timeseries",
            "id": 1,
            "title": "Orders",
            "gridPos": {"w": 8, "h": 6},
            "fieldConfig": {"defaults": {"unit": "s", "custom": {"stacking": {"mode": "normal"}}}},
            "targets": [
                {
                    "expr": 'rate(x{traffic=~"$traffic",market=~"${market}"}[$__rate_interval])',
                    "legendFormat": "{{ market }}",
                }
            ],
        },
        {"type": "news", "id": 2, "title": "Only Grafana"},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.json").write_bytes(orjson.dumps(BOARD))
    return tmp_path


def test_a_board_is_read_as_rows_of_panels_with_choices(folder: Path) -> None:
    board = read_board(folder, "small")
    assert (board.title, board.description, board.tags) == ("Small", "Few numbers.", ("shop",))
    assert [(row.title, [panel.title for panel in row.panels]) for row in board.rows] == [
        ("Sales", ["Orders"])
    ]
    assert [(c.name, c.values, c.chosen) for c in board.choices] == [
        ("traffic", ("human", "synthetic"), "human"),
        ("market", ("SE", "NO"), ALL),
    ]
    assert board.not_drawn == ("Only Grafana",)
    assert board.panel(1).stacked


def test_choices_and_intervals_are_put_into_the_boards_own_expression(folder: Path) -> None:
    board = read_board(folder, "small")
    chosen = {"traffic": "synthetic", "market": ALL}
    assert expressions(board, board.panel(1), chosen, seconds=RANGES["1h"]) == [
        Query('rate(x{traffic=~"synthetic",market=~".*"}[60s])', "{{ market }}", instant=False)
    ]


@pytest.mark.parametrize(
    "chosen",
    [
        {"traffic": 'human"} or vector(1) #'},
        {"traffic": "bot"},
        {"traffic": ALL},
        {"market": ".*"},
        {"expr": "up"},
    ],
)
def test_a_value_that_the_board_does_not_offer_is_refused(
    folder: Path, chosen: dict[str, str]
) -> None:
    board = read_board(folder, "small")
    with pytest.raises(ForeignExpression):
        expressions(board, board.panel(1), chosen, seconds=3600)


@pytest.mark.parametrize("name", ["../small", "nothing", "", "small.json", "a" * 99])
def test_only_a_rendered_board_can_be_read(folder: Path, name: str) -> None:
    with pytest.raises(BoardNotFound):
        read_board(folder, name)


def test_answers_become_columns_on_one_time_axis_with_gaps() -> None:
    window = Window(start=100, end=130, step=10)
    query = Query("x", "{{market}} orders", instant=False)
    answer = [{"metric": {"market": "SE"}, "values": [[100, "1"], [120, "NaN"], [130, "2.5"]]}]
    assert matrix([(query, answer)], window) == {
        "times": [100, 110, 120, 130],
        "series": [
            {"label": "SE orders", "labels": {"market": "SE"}, "values": [1.0, None, None, 2.5]}
        ],
    }


def test_a_window_ends_on_the_grid_of_its_step() -> None:
    now = datetime(2026, 11, 27, 9, 0, 7, tzinfo=UTC)
    window = Window.ending(now, seconds=3600)
    assert (window.step, window.end % 15, window.end - window.start) == (15, 0, 3600)


@pytest.mark.parametrize(
    ("legend", "name"),
    [
        ("p95 {{service}}", "p95 checkout"),
        ("", "service=checkout"),
        ("__auto", "service=checkout"),
        ("{{nothing}}", "value"),
    ],
)
def test_series_are_named_as_grafana_names_them(legend: str, name: str) -> None:
    assert series_name(legend, {"__name__": "up", "service": "checkout"}) == name


def test_every_rendered_board_is_understood_and_its_expressions_are_complete() -> None:
    folder = InsightSettings().boards
    boards = list_boards(folder)
    assert {board.name for board in boards} == {path.stem for path in folder.glob("*.json")}
    asked = [
        query.expr
        for board in boards
        for panel in board.panels
        for query in expressions(board, panel, {}, seconds=3600)
    ]
    assert asked
    assert [expr for expr in asked if "$" in expr] == []
    assert {board.name: board.not_drawn for board in boards if board.not_drawn} == {}
