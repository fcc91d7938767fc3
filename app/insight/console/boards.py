"""Rendered Grafana boards, read for the console: panels, choices, and the queries they stand for.

The console draws the same JSON that Grafana is provisioned with (docs/boards.md lists the part
of it that both draw). A browser asks for a panel by its number and for values of the board's own
variables; the expressions never leave this side, so nobody can use the console to ask Prometheus
for anything that is not on a board.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from app.insight.console.errors import BoardNotFound, ForeignExpression

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,60}")
REFERENCE: Final = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)|\[\[(\w+)\]\]")
DRAWN: Final = frozenset({"timeseries", "stat", "gauge", "bargauge", "barchart", "table"})
RANGES: Final[Mapping[str, int]] = {
    "15m": 900,
    "1h": 3_600,
    "6h": 21_600,
    "24h": 86_400,
    "7d": 604_800,
    "30d": 2_592_000,
}
"""Seconds of the periods that a board can show."""

POINTS: Final = 240
MIN_STEP_SECONDS: Final = 5
RATE_SCRAPES: Final = 4
"""Grafana's `$__rate_interval` spans four scrapes at least."""

SCRAPE_SECONDS: Final = 15
ALL: Final = "$__all"


@dataclass(frozen=True, slots=True)
class Choice:
    """One variable of a board; `values` are what may be chosen, `chosen` the board's own."""

    name: str
    label: str
    values: tuple[str, ...]
    chosen: str
    everything: bool

    def pattern(self, value: str) -> str:
        """What stands in an expression for `value`; refuses whatever is not offered."""
        if value == ALL and self.everything:
            return ".*"
        if value not in self.values:
            raise ForeignExpression(f"{self.name}={value[:40]!r} is not offered on this board")
        return re.escape(value).replace("\\-", "-")


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of a panel; `instant` ones are asked for their present value only."""

    expr: str
    legend: str
    instant: bool


@dataclass(frozen=True, slots=True)
class Threshold:
    """From `value` on (None: from the bottom) the colour is `colour`."""

    value: float | None
    colour: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing. `width` is of 24 columns, `height` in Grafana's rows of 30 px."""

    number: int
    kind: str
    title: str
    description: str
    unit: str
    decimals: int | None
    width: int
    height: int
    stacked: bool
    thresholds: tuple[Threshold, ...]
    minimum: float | None
    maximum: float | None
    queries: tuple[Query, ...]
    links: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One rendered file. `not_drawn` names panels of kinds that only Grafana draws."""

    name: str
    title: str
    description: str
    tags: tuple[str, ...]
    choices: tuple[Choice, ...]
    rows: tuple[Row, ...]
    not_drawn: tuple[str, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(panel for row in self.rows for panel in row.panels)

    def panel(self, number: int) -> Panel:
        """Raises `BoardNotFound` when the board has no such panel."""
        for panel in self.panels:
            if panel.number == number:
                return panel
        raise BoardNotFound(f"{self.title} has no panel {number}")


def list_boards(folder: Path) -> list[Board]:
    """Every rendered board, by title."""
    if not folder.is_dir():
        return []
    boards = [_board(path) for path in sorted(folder.glob("*.json"))]
    return sorted((board for board in boards if board is not None), key=lambda b: b.title)


def read_board(folder: Path, name: str) -> Board:
    """One board by its file's name; raises `BoardNotFound`."""
    path = folder / f"{name}.json"
    board = _board(path) if NAME.fullmatch(name) and path.is_file() else None
    if board is None:
        raise BoardNotFound(f"there is no board called {name[:60]!r}")
    return board


def expressions(
    board: Board, panel: Panel, chosen: Mapping[str, str], *, seconds: int
) -> list[Query]:
    """The panel's queries with the reader's choices in place.

    Raises `ForeignExpression` for a value that the board does not offer and for a variable that
    it does not have.
    """
    known = {choice.name: choice for choice in board.choices}
    for name in chosen:
        if name not in known:
            raise ForeignExpression(f"this board has no variable {name[:40]!r}")
    step = step_seconds(seconds)
    values = {
        "__interval": f"{step}s",
        "__rate_interval": f"{max(step + SCRAPE_SECONDS, RATE_SCRAPES * SCRAPE_SECONDS)}s",
        "__range": f"{seconds}s",
        "__range_s": str(seconds),
        **{n: choice.pattern(chosen.get(n, choice.chosen)) for n, choice in known.items()},
    }

    def put(match: re.Match[str]) -> str:
        name = match[1] or match[2] or match[3]
        return values.get(name, match[0])

    return [
        Query(REFERENCE.sub(put, query.expr), query.legend, query.instant)
        for query in panel.queries
    ]


def step_seconds(seconds: int) -> int:
    """The distance of points so that a drawing has about `POINTS` of them."""
    return max(MIN_STEP_SECONDS, seconds // POINTS)


@dataclass(frozen=True, slots=True)
class Window:
    """The period of a query, Unix seconds, on the grid of its step (so that answers can meet)."""

    start: int
    end: int
    step: int

    @classmethod
    def ending(cls, now: datetime, *, seconds: int) -> Window:
        step = step_seconds(seconds)
        end = int(now.timestamp()) // step * step
        return cls(end - seconds // step * step, end, step)


def series_name(legend: str, labels: Mapping[str, str]) -> str:
    """Grafana's legend format: `{{label}}` is replaced; without one, the labels themselves."""
    if not legend or legend == "__auto":
        shown = [f"{k}={v}" for k, v in sorted(labels.items()) if k != "__name__"]
        return ", ".join(shown) or labels.get("__name__", "value")
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda m: labels.get(m[1], ""), legend).strip() or "value"


def matrix(answers: Sequence[tuple[Query, Sequence[Any]]], window: Window) -> dict[str, Any]:
    """Prometheus's answers as columns: one time axis, one list of values per series.

    Values that are missing or not finite are None, which a drawing shows as a gap.
    """
    times = list(range(window.start, window.end + 1, window.step))
    places = {time: index for index, time in enumerate(times)}
    series: list[dict[str, Any]] = []
    for query, results in answers:
        for result in results:
            values: list[float | None] = [None] * len(times)
            for at, text in result.get("values") or [result.get("value", (0, "NaN"))]:
                place = len(times) - 1 if query.instant else places.get(int(float(at)))
                if place is not None:
                    values[place] = finite(text)
            labels = {k: v for k, v in result.get("metric", {}).items() if k != "__name__"}
            series.append(
                {
                    "label": series_name(query.legend, result.get("metric", {})),
                    "labels": labels,
                    "values": values,
                }
            )
    return {"times": times, "series": series}


def finite(text: str) -> float | None:
    """A sample's value; None for NaN and the infinities."""
    value = float(text)
    return value if abs(value) < float("inf") else None


def _board(path: Path) -> Board | None:
    raw = orjson.loads(path.read_bytes())
    model = raw.get("dashboard", raw)
    if not isinstance(model.get("panels"), list):
        return None
    rows, not_drawn = _rows(model["panels"])
    return Board(
        name=path.stem,
        title=model.get("title", path.stem),
        description=str(model.get("description", "")).split("\n\n", maxsplit=1)[0],
        tags=tuple(tag for tag in model.get("tags", ()) if tag != "vitrine"),
        choices=tuple(
            choice
            for choice in map(_choice, model.get("templating", {}).get("list", ()))
            if choice is not None
        ),
        rows=rows,
        not_drawn=not_drawn,
    )


def _rows(panels: Sequence[Mapping[str, Any]]) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    rows: list[tuple[str, list[Panel]]] = [("", [])]
    not_drawn: list[str] = []
    for panel in panels:
        if panel.get("type") == "row":
            rows.append((panel.get("title", ""), []))
            inner = panel.get("panels") or ()
        else:
            inner = (panel,)
        for one in inner:
            if one.get("type") in DRAWN:
                rows[-1][1].append(_panel(one))
            elif one.get("type") != "text":
                not_drawn.append(str(one.get("title", one.get("type"))))
    return tuple(Row(title, tuple(found)) for title, found in rows if found), tuple(not_drawn)


def _panel(raw: Mapping[str, Any]) -> Panel:
    defaults = raw.get("fieldConfig", {}).get("defaults", {})
    custom = defaults.get("custom", {})
    place = raw.get("gridPos", {})
    steps = defaults.get("thresholds", {}).get("steps") or ()
    return Panel(
        number=int(raw["id"]),
        kind=raw["type"],
        title=raw.get("title", ""),
        description=raw.get("description", ""),
        unit=defaults.get("unit", "short"),
        decimals=defaults.get("decimals"),
        width=int(place.get("w", 12)),
        height=int(place.get("h", 8)),
        stacked=custom.get("stacking", {}).get("mode", "none") != "none",
        thresholds=tuple(Threshold(s.get("value"), s.get("color", "green")) for s in steps),
        minimum=defaults.get("min"),
        maximum=defaults.get("max"),
        queries=tuple(
            Query(
                target["expr"],
                target.get("legendFormat", ""),
                bool(target.get("instant")) and not target.get("range"),
            )
            for target in raw.get("targets", ())
            if target.get("expr") and not target.get("hide")
        ),
        links=tuple((x.get("title", ""), x.get("url", "")) for x in raw.get("links") or ()),
    )


def _choice(raw: Mapping[str, Any]) -> Choice | None:
    if raw.get("type") not in ("custom", "query") or not raw.get("name"):
        return None
    query = raw.get("query", "")
    values = [str(o.get("value")) for o in raw.get("options") or () if o.get("value") != ALL]
    if not values and isinstance(query, str):
        values = [value.split(" : ")[-1].strip() for value in query.split(",") if value.strip()]
    everything = bool(raw.get("includeAll"))
    current = raw.get("current", {}).get("value", "")
    if isinstance(current, list):
        current = current[0] if current else ""
    if everything and current in ("", "All", ALL):
        current = ALL
    elif current not in values:
        current = values[0] if values else ""
    return Choice(raw["name"], raw.get("label") or raw["name"], tuple(values), current, everything)
