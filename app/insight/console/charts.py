"""Shapes of the console's own drawings, as numbers for SVG. Pure; colours are the style sheet's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.insight.console.formatting import ratio


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One step: `share` of the first step, `of_previous` of the one before (0 to 1 or None)."""

    name: str
    title: str
    count: int
    share: float
    of_previous: float | None
    lost: int


def funnel_steps(
    counts: Mapping[str, int], names: Sequence[str], titles: Mapping[str, str]
) -> list[FunnelStep]:
    """The steps of a funnel in order. A later step may be larger: API callers have no session."""
    largest = max([1, *(counts.get(name, 0) for name in names)])
    steps: list[FunnelStep] = []
    for index, name in enumerate(names):
        count = counts.get(name, 0)
        before = counts.get(names[index - 1], 0) if index else 0
        steps.append(
            FunnelStep(
                name=name,
                title=titles.get(name, name),
                count=count,
                share=count / largest,
                of_previous=ratio(count, before) if index else None,
                lost=max(0, before - count) if index else 0,
            )
        )
    return steps


def funnel_shape(steps: Sequence[FunnelStep], *, width: float, height: float) -> list[str]:
    """One SVG path per step: a band that narrows smoothly towards the next step's count.

    The band's height at its left edge is the step's share of the largest step.
    """
    if not steps:
        return []
    column = width / len(steps)
    middle = height / 2
    halves = [max(1.2, step.share * (height / 2 - 2)) for step in steps]
    paths: list[str] = []
    for index, half in enumerate(halves):
        left, right = index * column, (index + 1) * column
        after = halves[index + 1] if index + 1 < len(halves) else half
        flat, bend = left + column * 0.42, left + column * 0.72
        paths.append(
            f"M{left:.1f} {middle - half:.1f}L{flat:.1f} {middle - half:.1f}"
            f"C{bend:.1f} {middle - half:.1f} {bend:.1f} {middle - after:.1f}"
            f" {right:.1f} {middle - after:.1f}L{right:.1f} {middle + after:.1f}"
            f"C{bend:.1f} {middle + after:.1f} {bend:.1f} {middle + half:.1f}"
            f" {flat:.1f} {middle + half:.1f}L{left:.1f} {middle + half:.1f}Z"
        )
    return paths


def area(values: Sequence[int], *, width: float, height: float) -> tuple[str, str]:
    """A line and the area under it as SVG paths; the highest value touches the top."""
    if len(values) < 2:
        return "", ""
    top = max([1, *values])
    step = width / (len(values) - 1)
    points = [
        f"{index * step:.1f} {height - value / top * (height - 4):.1f}"
        for index, value in enumerate(values)
    ]
    line = "M" + "L".join(points)
    return line, f"{line}L{width:.1f} {height:.1f}L0 {height:.1f}Z"


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle, in the drawing's units."""

    x: float
    y: float
    width: float
    height: float
    value: int


def bars(values: Sequence[int], *, width: float, height: float) -> list[Bar]:
    """Thin columns; zero leaves no mark."""
    top = max([1, *values])
    step = width / max(1, len(values))
    return [
        Bar(index * step + step * 0.2, height - tall, step * 0.6, tall, value)
        for index, value in enumerate(values)
        if value and (tall := max(2.0, value / top * (height - 4)))
    ]


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a whole, `x` and `width` of 1000."""

    name: str
    count: int
    share: float
    x: float
    width: float


def slices(counts: Mapping[str, int], names: Sequence[str], whole: int) -> list[Slice]:
    """Parts of `whole` side by side, in the given order; the rest stays open."""
    found: list[Slice] = []
    x = 0.0
    for name in names:
        count = counts.get(name, 0)
        width = count / whole * 1000 if whole else 0.0
        found.append(Slice(name, count, count / whole if whole else 0.0, x, width))
        x += width
    return found


def quantile(ascending: Sequence[float], q: float) -> float | None:
    """The nearest-rank quantile (Hyndman and Fan's type 1): a value that was really observed."""
    if not ascending:
        return None
    return ascending[min(len(ascending) - 1, max(0, int(-(-q * len(ascending) // 1)) - 1))]
