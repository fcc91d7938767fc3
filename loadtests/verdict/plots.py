"""The report's plots, as Plotly figures made from a run's record and the servers' timelines."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from loadtests.drills.drill import Timeline as DrillTimeline
from loadtests.journeys.journey import Ending
from loadtests.orders import orders_seen
from loadtests.shapes.book import SHAPES, shape_called
from loadtests.verdict.clientside import percentile
from loadtests.verdict.record import Record
from loadtests.verdict.timelines import Timeline
from telemetry.catalogue.insight import FUNNEL_STEPS

INK, SOFT, GRID = "#1d2733", "#6b7785", "#e6eaee"
TEAL, SAND, PLUM, RED, SKY = "#0f6e6e", "#c08a2d", "#6d4c9f", "#b3261e", "#4f86c6"
BINS = 60

Points = tuple[list[float], list[float]]


def bin_seconds(record: Record) -> float:
    """The width of a bin: about sixty in a run, at least one second."""
    start, end = record.window
    return max(1.0, round((end - start) / BINS))


def arrivals(record: Record) -> go.Figure:
    """Shoppers due by the shape, arrived, and finished, per second."""
    width = bin_seconds(record)
    start = record.plan.started_at
    came = [v for v in record.visits if not v.refused]
    figure = _figure("shoppers per second")
    due = _planned_rate(record)
    if due is not None:
        figure.add_scatter(x=due[0], y=due[1], name="planned rate", line=_line(SAND, 3))
    for name, times, colour in (
        ("arrived", [v.at for v in came], TEAL),
        ("finished", [v.due + v.journey_seconds for v in came], SKY),
    ):
        x, y = _per_second(times, start, width)
        figure.add_scatter(x=x, y=y, name=name, line=_line(colour, shape="hvh"))
    return figure


def latency(record: Record, timelines: Mapping[str, Timeline]) -> go.Figure:
    """Percentiles over time: the clients' whole lines, the servers' dotted ones."""
    width = bin_seconds(record)
    start = record.plan.started_at
    bins: dict[int, list[float]] = {}
    for request in record.requests:
        if request.status:
            bins.setdefault(int((request.at - start) // width), []).append(request.seconds * 1000)
    figure = _figure("milliseconds", logarithmic=True)
    x = [(number + 0.5) * width for number in sorted(bins)]
    for share, colour in ((0.5, TEAL), (0.95, SAND), (0.99, PLUM)):
        y = [percentile(bins[number], share) for number in sorted(bins)]
        figure.add_scatter(x=x, y=y, name=f"client p{share * 100:.0f}", line=_line(colour))
    for name, colour in (("server_p50", TEAL), ("server_p95", SAND), ("server_p99", PLUM)):
        x, y = _server(timelines, name, start)
        label = name.replace("_", " ")
        scaled = [value * 1000 for value in y]
        figure.add_scatter(x=x, y=scaled, name=label, line=_line(colour, 1.5, dash="dot"))
    _limit(figure, 1000, "promise: 1 s")
    return figure


def orders(record: Record, timelines: Mapping[str, Timeline]) -> go.Figure:
    """Orders per minute by clients' eyes, and the ledger's running total beside them."""
    start = record.plan.started_at
    width = bin_seconds(record)
    confirmed = [o.at for o in orders_seen(record.orders_seen, "confirmed").values()]
    x, y = _per_second(confirmed, start, width)
    figure = _figure("orders per minute")
    figure.add_bar(
        x=x, y=[value * 60 for value in y], name="confirmed, seen by clients", marker_color=TEAL
    )
    ledger_x, ledger_y = _server(timelines, "orders", start)
    figure.add_scatter(
        x=ledger_x, y=ledger_y, name="ledger total", yaxis="y2", line=_line(SAND, shape="hv")
    )
    figure.update_layout(
        margin={"r": 64},
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
            "rangemode": "tozero",
            "title": {"text": "orders in the ledger", "font": {"color": SOFT}},
            "tickfont": {"color": SOFT},
        },
    )
    return figure


def funnel(timelines: Mapping[str, Timeline]) -> go.Figure:
    """How far shoppers came, as the ledger counted it at the end of the run."""
    last = {
        series.labels.get("step", ""): series.points[-1][1]
        for series in timelines["funnel"].series
        if series.points
    }
    counts = [last.get(step, 0.0) for step in FUNNEL_STEPS]
    figure = _figure("", time_axis=False)
    figure.add_funnel(
        y=[step.replace("_", " ") for step in FUNNEL_STEPS],
        x=counts,
        marker={"color": [TEAL, "#2b8080", "#4f9494", "#78aaa8", "#a5c3bf", SAND]},
        textinfo="value+percent initial",
        connector={"line": {"color": GRID}},
    )
    return figure


def endings(record: Record) -> go.Figure:
    """How the journeys ended, by journey."""
    counts = Counter((v.journey, v.ending) for v in record.visits)
    journeys = sorted({journey for journey, _ in counts}, key=lambda j: -_total(counts, j))
    colours = {
        Ending.CONFIRMED: TEAL,
        Ending.BROWSED: "#9fc2c0",
        Ending.BOUNCED: "#cfd8de",
        Ending.ABANDONED: SAND,
        Ending.SOLD_OUT: SKY,
        Ending.NO_CAR: "#b9c9dd",
        Ending.DECLINED: PLUM,
        Ending.UNCONFIRMED: "#d9655d",
        Ending.FAILED: RED,
    }
    figure = _figure("", time_axis=False)
    for ending, colour in colours.items():
        values = [counts.get((journey, ending.value), 0) for journey in journeys]
        if any(values):
            figure.add_bar(
                y=[journey.replace("_", " ") for journey in journeys],
                x=values,
                name=ending.value.replace("_", " "),
                orientation="h",
                marker_color=colour,
            )
    figure.update_layout(barmode="stack", yaxis={"autorange": "reversed"})
    return figure


def outcomes(record: Record, timelines: Mapping[str, Timeline]) -> go.Figure:
    """Requests per second at the servers, and what failed at the clients."""
    start = record.plan.started_at
    figure = _figure("requests per second")
    colours = (TEAL, SKY, SAND, PLUM, "#7d9b58", "#9aa5b1")
    known = sorted(timelines["requests"].series, key=lambda s: s.labels.get("service", ""))
    for series, colour in zip(known, colours, strict=False):
        x, y = _points(series.points, start)
        name = series.labels.get("service", "all")
        figure.add_scatter(
            x=x, y=y, name=name, stackgroup="all", line={"width": 0.5, "color": colour}
        )
    failed = [r.at for r in record.requests if r.failed]
    if failed:
        x, y = _per_second(failed, start, bin_seconds(record))
        figure.add_scatter(x=x, y=y, name="failed, seen by clients", line=_line(RED))
    return figure


def fault(record: Record, drill: DrillTimeline, timelines: Mapping[str, Timeline]) -> go.Figure:
    """The fault as a band, the provider's latency under it, and who noticed when."""
    start = record.plan.started_at
    figure = _figure("provider's p95, seconds")
    x, y = _server(timelines, "provider_p95", start)
    figure.add_scatter(x=x, y=y, name="payment provider p95", line=_line(PLUM))
    if drill.injected_at is not None and drill.lifted_at is not None:
        figure.add_vrect(
            x0=drill.injected_at - start,
            x1=drill.lifted_at - start,
            fillcolor=RED,
            opacity=0.08,
            line_width=0,
            annotation_text="fault",
            annotation_position="top left",
        )
    colours = (SAND, RED, RED, RED, TEAL, TEAL)
    for height, (stage, colour) in enumerate(zip(drill.stages, colours, strict=False)):
        if stage.at is not None:
            figure.add_scatter(
                x=[stage.at - start],
                y=[0.4 + height * 0.75],
                mode="markers+text",
                marker={"size": 10, "color": colour},
                text=[f"  {stage.name}"],
                textposition="middle right",
                textfont={"color": INK, "size": 11},
                showlegend=False,
                name=stage.name,
            )
    return figure


def alert_states(record: Record) -> go.Figure | None:
    """When which alert was pending or firing; None when none was."""
    start = record.plan.started_at
    spells = [spell for spell in record.alerts if spell.name != "Watchdog"]
    if not spells:
        return None
    figure = _figure("")
    shown: set[str] = set()
    for spell in sorted(spells, key=lambda s: (s.name, s.state != "pending")):
        colour = RED if spell.state == "firing" else SAND
        figure.add_scatter(
            x=[spell.first - start, max(spell.last, spell.first + 1) - start],
            y=[spell.name, spell.name],
            mode="lines",
            line={"width": 12, "color": colour},
            name=spell.state,
            showlegend=spell.state not in shown,
        )
        shown.add(spell.state)
    return figure


def generator(record: Record) -> go.Figure:
    """The generator's own CPU and how many shoppers were in the shop at once."""
    start = record.plan.started_at
    figure = _figure("shoppers in the shop")
    x = [second.at - start for second in record.generator]
    figure.add_scatter(
        x=x, y=[second.shoppers for second in record.generator], name="shoppers", line=_line(TEAL)
    )
    figure.add_scatter(
        x=x,
        y=[second.cpu * 100 for second in record.generator],
        name="generator CPU",
        yaxis="y2",
        line=_line(SAND, 1.5),
    )
    figure.update_layout(
        margin={"r": 64},
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
            "range": [0, 105],
            "title": {"text": "CPU, % of a core", "font": {"color": SOFT}},
            "tickfont": {"color": SOFT},
        },
    )
    return figure


def _figure(y_title: str, *, time_axis: bool = True, logarithmic: bool = False) -> go.Figure:
    figure = go.Figure()
    axis: dict[str, Any] = {"gridcolor": GRID, "zeroline": False, "tickfont": {"color": SOFT}}
    figure.update_layout(
        template="none",
        height=300,
        margin={"l": 56, "r": 24, "t": 16, "b": 44},
        font={"family": "inherit", "size": 12, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="x unified" if time_axis else "closest",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={**axis, "title": {"text": "seconds", "font": {"color": SOFT}} if time_axis else {}},
        yaxis={
            **axis,
            "title": {"text": y_title, "font": {"color": SOFT}},
            "automargin": True,
            "type": "log" if logarithmic else "-",
            **({"dtick": 1} if logarithmic else {}),
            **({"rangemode": "tozero"} if time_axis and not logarithmic else {}),
        },
    )
    return figure


def _planned_rate(record: Record) -> Points | None:
    if record.plan.shape not in SHAPES:
        return None
    shape = shape_called(record.plan.shape, record.plan.duration_seconds)
    ran = min(record.plan.duration_seconds, record.window[1] - record.window[0])
    x = [ran * number / 200 for number in range(201)]
    return x, [shape.multiple_at(at) * record.plan.base_rate for at in x]


def _per_second(times: Iterable[float], start: float, width: float) -> Points:
    """Counts per second in bins of `width` seconds, at the bins' middles; empty bins are zero."""
    counts = Counter(int((at - start) // width) for at in times)
    if not counts:
        return [], []
    bins = range(max(counts) + 1)
    return [(n + 0.5) * width for n in bins], [counts[n] / width for n in bins]


def _server(timelines: Mapping[str, Timeline], name: str, start: float) -> Points:
    series = timelines[name].series
    return _points(series[0].points, start) if series else ([], [])


def _points(points: Sequence[tuple[float, float]], start: float) -> Points:
    return [at - start for at, _ in points], [value for _, value in points]


def _line(colour: str, width: float = 2, dash: str = "solid", shape: str = "linear") -> Any:
    return {"color": colour, "width": width, "dash": dash, "shape": shape}


def _limit(figure: go.Figure, value: float, text: str) -> None:
    figure.add_hline(
        y=value,
        line={"color": RED, "width": 1, "dash": "dash"},
        annotation_text=text,
        annotation_font={"color": RED, "size": 11},
        annotation_position="top left",
    )


def _total(counts: Counter[tuple[str, str]], journey: str) -> int:
    return sum(count for (name, _), count in counts.items() if name == journey)


def arrivals_per_second(record: Record) -> list[float]:
    """Arrivals per second in each bin of the run."""
    times = [v.at for v in record.visits if not v.refused]
    return _per_second(times, record.plan.started_at, bin_seconds(record))[1]
