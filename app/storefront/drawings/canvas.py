"""The sheet of paper: one unit is one millimetre, the ground is y = 0 and the front bumper x = 0.

Geometry elsewhere is y upwards; it is turned over here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.storefront.drawings.curve import Cubic, Point
from app.storefront.drawings.shape import Shape

#: Height of a drawing as a share of its width, and what lies below the ground line (shadow,
#: reflection).
ASPECT = 0.44
BELOW_GROUND = 0.105
#: Shares of the width and of the height above ground that the car may fill.
FILL_WIDE = 0.925
FILL_HIGH = 0.93
#: Width in millimetres of the common sheet on which cars are comparable.
TRUE_SCALE_MM = 6500


@dataclass(frozen=True)
class Canvas:
    """A viewBox in millimetres: left edge, and the whole width."""

    left: float
    width: float

    @property
    def height(self) -> float:
        """Whole height in millimetres."""
        return self.width * ASPECT

    @property
    def top(self) -> float:
        """Top edge in SVG's direction (negative: above the ground)."""
        return -self.height * (1 - BELOW_GROUND)

    @property
    def view_box(self) -> str:
        """The svg element's viewBox."""
        return f"{self.left:.0f} {self.top:.0f} {self.width:.0f} {self.height:.0f}"


def canvas_for(shape: Shape, *, to_scale: bool) -> Canvas:
    """A sheet around the car, or the common sheet of TRUE_SCALE_MM when cars are to be compared."""
    if to_scale:
        width = float(TRUE_SCALE_MM)
    else:
        by_height = shape.height_mm / (ASPECT * (1 - BELOW_GROUND) * FILL_HIGH)
        width = max(shape.length_mm / FILL_WIDE, by_height)
    return Canvas(left=-(width - shape.length_mm) / 2, width=width)


def path(pieces: Sequence[Cubic], *, close: bool = False) -> str:
    """Path data in whole millimetres; pieces that do not continue one another start new parts."""
    text: list[str] = []
    here: tuple[int, int] | None = None
    for start, one, two, end in pieces:
        begin = _grid(start)
        if here != begin:
            text.append(f"M{begin[0]} {begin[1]}")
        points = [_grid(one), _grid(two), _grid(end)]
        steps = [(x - begin[0], y - begin[1]) for x, y in points]
        text.append(("l" if _is_straight(begin, points) else "c") + _steps(steps, begin, points))
        here = points[2]
    return _tight("".join(text)) + ("Z" if close else "")


def polygon(points: Sequence[Point]) -> str:
    """Path data of a closed polygon."""
    grid = [_grid(p) for p in points]
    steps = " ".join(f"{x - here[0]} {y - here[1]}" for here, (x, y) in pairwise(grid))
    return _tight(f"M{grid[0][0]} {grid[0][1]}l{steps}") + "Z"


def number(value: float) -> str:
    """A number with at most two decimals and no leading or trailing zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return re.sub(r"^(-?)0\.", r"\1.", text) if text not in ("-0", "") else "0"


def _grid(p: Point) -> tuple[int, int]:
    return round(p[0]), -round(p[1])


def _is_straight(begin: tuple[int, int], points: Sequence[tuple[int, int]]) -> bool:
    """True when both handles lie within a millimetre of the chord."""
    dx, dy = points[2][0] - begin[0], points[2][1] - begin[1]
    length = max(1.0, (dx * dx + dy * dy) ** 0.5)
    return all(
        abs((x - begin[0]) * dy - (y - begin[1]) * dx) / length <= 1.0 for x, y in points[:2]
    )


def _steps(
    steps: Sequence[tuple[int, int]], begin: tuple[int, int], points: Sequence[tuple[int, int]]
) -> str:
    shown = steps[2:] if _is_straight(begin, points) else steps
    return " ".join(f"{x} {y}" for x, y in shown)


def _tight(text: str) -> str:
    return text.replace(" -", "-")
