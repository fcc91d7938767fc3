"""Lamps and their signature: one figure per name, used white at the front and red at the rear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.storefront.drawings.canvas import polygon
from app.storefront.drawings.curve import Point, y_at
from app.storefront.drawings.outline import Outline
from app.storefront.drawings.shape import Shape
from app.storefront.drawings.stance import Stance

_Figure = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Signature:
    """A lamp in a box: u runs 0 at the car's end to 1 inwards, v from -1 to 1 upwards.

    length: share of the car's length; half: half the box's height, share of the car's height.
    housing: the dark glass; lines: light guides (three points make a curve).
    """

    length: float
    half: float
    housing: _Figure
    lines: Sequence[_Figure]


SIGNATURES: Mapping[str, Signature] = {
    "blade": Signature(
        0.104, 0.043,
        [(-0.2, -0.5), (0.4, -0.4), (1, 0.9), (0.5, 0.8), (-0.2, 0.4)],
        [[(-0.1, -0.1), (0.42, 0.12), (0.88, 0.74)]],
    ),
    "arc": Signature(
        0.076, 0.046,
        [(-0.2, -0.8), (0.35, -0.8), (0.8, -0.1), (1, 0.9), (0.4, 0.85), (-0.2, 0.7)],
        [[(0.9, 0.72), (-0.15, 0.75), (0.34, -0.62)]],
    ),
    "dots": Signature(
        0.086, 0.040,
        [(-0.2, -0.6), (0.6, -0.6), (1, 0.7), (0.5, 0.75), (-0.2, 0.5)],
        # A line of no length under a round cap is a dot.
        [[(u, 0.5 * u - 0.16), (u, 0.5 * u - 0.16)] for u in (0.12, 0.36, 0.60)],
    ),
    "wing": Signature(
        0.092, 0.048,
        [(-0.2, -0.5), (0.25, -0.9), (0.55, -0.7), (0.7, 0.2), (1, 0.9), (0.4, 0.8), (-0.2, 0.4)],
        [[(0.1, 0), (0.42, 0.3), (0.93, 0.84)], [(0.1, -0.05), (0.3, -0.2), (0.48, -0.7)]],
    ),
    "thread": Signature(
        0.150, 0.029,
        [(-0.2, -0.8), (0.3, -0.7), (1, 0.85), (0.4, 0.8), (-0.2, 0.6)],
        [[(-0.1, -0.1), (0.4, 0.05), (0.88, 0.66)]],
    ),
    "frame": Signature(
        0.062, 0.044,
        [(-0.2, -0.9), (0.75, -0.9), (1, 0.9), (-0.2, 0.9)],
        [[(-0.1, 0.62), (0.82, 0.62), (0.66, -0.6), (-0.1, -0.6)]],
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Lamp:
    """A lamp's path data: housing, and lines to be stroked `width` millimetres wide."""

    housing: str
    lines: str
    width: float


def headlamp(shape: Shape, s: Stance, o: Outline) -> Lamp:
    """The lamp in the front corner, just under the bonnet's edge."""
    signature = SIGNATURES[shape.light_signature]
    half = signature.half * s.height
    reach = s.length * signature.length
    start = y_at(o.nose[2:], 0.012 * s.length) - half * 0.5
    end = y_at(o.nose[2:], reach) - half - 0.050 * s.height
    end = min(end, start + 0.065 * s.height)
    return _lamp(signature, s, [(0, start), (reach, max(end, start))], half)


def taillamp(shape: Shape, s: Stance) -> Lamp:
    """The same figure turned round, in the rear corner."""
    signature = SIGNATURES[shape.light_signature]
    half = signature.half * s.height
    upright = shape.body in ("van", "mpv")
    height = s.tail_y - half - (0.02 if upright else 0.035) * s.height
    if shape.body in ("suv", "hatchback", "estate"):
        height += 0.015 * s.height
    tip = s.length - (0.004 * s.length)
    reach = s.length * signature.length * 0.9
    return _lamp(signature, s, [(tip, height), (tip - reach, height + 0.006 * s.height)], half)


def _lamp(signature: Signature, s: Stance, axis: Sequence[Point], half: float) -> Lamp:
    (x0, y0), (x1, y1) = axis

    def place(uv: tuple[float, float]) -> Point:
        u, v = uv
        return x0 + (x1 - x0) * u, y0 + (y1 - y0) * max(0.0, u) + v * half

    lines = []
    for figure in signature.lines:
        points = [place(uv) for uv in figure]
        marks = [f"{round(x)} {-round(y)}" for x, y in points]
        between = "Q" if len(points) == 3 else "L"
        lines.append("M" + marks[0] + between + " ".join(marks[1:]))
    dot = len(signature.lines) > 2
    return Lamp(
        housing=polygon([place(uv) for uv in signature.housing]),
        lines="".join(lines).replace(" -", "-"),
        width=s.height * (0.021 if dot else 0.0095),
    )
