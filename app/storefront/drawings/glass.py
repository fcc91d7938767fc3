"""Windows from the side: the daylight opening, its pillars, slivers of the two screens."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, cos, degrees, radians, sin

from app.storefront.drawings.curve import (
    Cubic,
    Knot,
    Point,
    backwards,
    crossing,
    cut,
    inset,
    rounded,
    straight,
    through,
    y_at,
)
from app.storefront.drawings.outline import Outline
from app.storefront.drawings.shape import Shape
from app.storefront.drawings.stance import Stance

_NOTCHED = ("sedan", "coupe")


@dataclass(frozen=True)
class Glass:
    """Figures of the glasshouse.

    opening: the side windows as one figure (empty on a convertible); front_x, rear_x: its ends on
    the waist.
    waist: its lower edge; screens: windscreen and rear window as seen edge-on; cabin: roof and
    pillars, for a
    second colour; pillars: posts over the opening as (foot, head, width in mm).
    """

    opening: list[Cubic]
    waist: list[Cubic]
    screens: list[list[Cubic]]
    cabin: list[Cubic]
    pillars: list[tuple[Point, Point, float]]
    front_x: float
    rear_x: float


def glass(shape: Shape, s: Stance, o: Outline) -> Glass:
    """Cut the windows of `shape` into its outline."""
    if shape.body == "convertible":
        front, rear = s.cowl_x + 120, s.length * 0.66
        return Glass([], _waist(s, front, rear), [], [], [], front, rear)
    gutter = 0.044 * s.height
    foot = o.roof[0][0]
    lead = (foot[0] - 400 * cos(radians(s.screen)), foot[1] - 400 * sin(radians(s.screen)))
    top = inset(
        [straight(lead, foot), *o.roof, *o.tail[:2]],
        [
            1.45 * gutter,
            1.45 * gutter,
            gutter,
            1.25 * gutter if shape.body not in _NOTCHED else 2.1 * gutter,
            150,
        ],
    )
    top = top[:4] if shape.body == "sedan" else top[:3]
    limit = s.length * 0.97
    waist = _waist(s, s.cowl_x - 500, limit)
    front_x = crossing(top, waist, top[0][0][0], s.header_x)
    if shape.body in _NOTCHED:
        rear_x = crossing(top, waist, s.peak_x, min(limit, top[-1][3][0]))
        sides = [cut(top, front_x, rear_x), backwards(_waist(s, front_x, rear_x))]
        opening = rounded(sides, [55, 30])
    else:
        head_x, rear_x = _rear_edge(shape, s, top)
        edge = straight((head_x, y_at(top, head_x)), (rear_x, s.waist(rear_x)))
        sides = [cut(top, front_x, head_x), [edge], backwards(_waist(s, front_x, rear_x))]
        opening = rounded(sides, [80 if shape.body == "van" else 55, 60, 30])
    return Glass(
        opening=opening,
        waist=_waist(s, front_x, rear_x),
        screens=_screens(shape, s, o),
        cabin=_cabin(shape, s, o),
        pillars=_pillars(shape, s, top, front_x, rear_x),
        front_x=front_x,
        rear_x=rear_x,
    )


def _waist(s: Stance, start: float, end: float) -> list[Cubic]:
    middle = (start + end) / 2
    return through(
        [Knot(x, s.waist(x), _slope(s, x), 0.34) for x in (start, middle, end)],
    )


def _slope(s: Stance, x: float) -> float:
    return degrees(atan2(s.waist(x + 20) - s.waist(x - 20), 40))


def _rear_edge(shape: Shape, s: Stance, top: list[Cubic]) -> tuple[float, float]:
    """Head and foot of the last window's rear edge, a pillar's width ahead of the tail."""
    if shape.body == "pickup":
        return s.roof_x - 105, s.roof_x - 40
    post = {"van": 0.036, "mpv": 0.045, "estate": 0.052, "suv": 0.066}.get(shape.body, 0.068)
    lean = s.length * 0.985 - s.roof_x
    head_x = min(s.roof_x - 0.5 * post * s.length, top[-1][3][0])
    return head_x, min(head_x + 0.52 * lean, s.length * (0.975 - post))


def _screens(shape: Shape, s: Stance, o: Outline) -> list[list[Cubic]]:
    front = cut(o.roof, s.cowl_x + 55, s.header_x + 40)
    slivers = [_sliver(front, 30, 16)]
    if shape.body == "sedan":
        slivers.append(_sliver(cut(o.tail[1:2], 0, o.tail[1][3][0] - 190), 10, 20))
    elif shape.body == "coupe":
        slivers.append(_sliver(cut(o.tail[:1], s.length * 0.72, o.tail[0][3][0] - 60), 8, 20))
    elif shape.body != "pickup":
        gate = o.tail[2]
        end = gate[0][0] + 0.72 * (gate[3][0] - gate[0][0])
        slivers.append(_sliver(cut([gate], 0, end), 22, 24))
    return slivers


def _sliver(line: list[Cubic], start: float, end: float) -> list[Cubic]:
    width = [start + (end - start) * i / len(line) for i in range(len(line) + 1)]
    inner = inset(line, width)
    return [
        *line,
        straight(line[-1][3], inner[-1][3]),
        *backwards(inner),
        straight(inner[0][0], line[0][0]),
    ]


def _cabin(shape: Shape, s: Stance, o: Outline) -> list[Cubic]:
    top = [*o.roof, *o.tail]
    end = s.length * 0.985
    waist = _waist(s, s.cowl_x, end)
    limit = next((c[3][0] for c in top if c[3][1] < y_at(waist, c[3][0])), top[-1][3][0])
    rear_x = crossing(top, waist, s.peak_x, min(limit, end))
    upper = cut(top, o.roof[0][0][0], rear_x)
    lower = _waist(s, upper[0][0][0] + 100, rear_x)
    return [
        *upper,
        straight(upper[-1][3], lower[-1][3]),
        *backwards(lower),
        straight(lower[0][0], upper[0][0]),
    ]


def _pillars(
    shape: Shape, s: Stance, top: list[Cubic], front_x: float, rear_x: float
) -> list[tuple[Point, Point, float]]:
    """Posts between the doors, and before a rear quarter window where one fits."""
    first = door_edges(shape, s)[0]
    posts = [(first, 88.0, 0.02)]
    if shape.side_doors == 2 and shape.body != "pickup":
        second = min(s.rear_x + 0.12 * s.tyre, rear_x - 170)
        if rear_x - second > 230 or shape.body in ("estate", "van", "mpv", "suv"):
            width = 88.0 if shape.body in ("van", "mpv", "estate") else 62.0
            posts.append((second, width, 0.10 if shape.body != "van" else 0.03))
    if shape.body in ("mpv", "van"):
        posts.insert(0, (front_x + 0.105 * s.length, 46.0, 0.0))
    return [
        (
            (x, s.waist(x) - 20),
            (x - lean * s.height * 0.4, y_at(top, x - lean * s.height * 0.4) + 20),
            width,
        )
        for x, width, lean in posts
    ]


def door_edges(shape: Shape, s: Stance) -> tuple[float, float]:
    """Where the front door and, with two doors a side, the rear door end on the waist (mm)."""
    front_start = s.front_x + s.arch + 90
    clear = s.rear_x - s.arch - front_start
    if shape.side_doors == 1:
        end = front_start + clear * (0.86 if shape.body != "van" else 0.62)
        return end, end
    share = 0.545 if shape.body != "pickup" else 0.56
    end = front_start + clear * share
    rear_end = s.rear_x + 0.10 * s.tyre
    if shape.body == "pickup":
        rear_end = s.roof_x - 40
    return end, rear_end
