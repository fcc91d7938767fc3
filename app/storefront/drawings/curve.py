"""Smooth lines through knots: tangent-continuous cubic Béziers in millimetres, y upwards.

A knot names a point and the direction of travel through it, so a line can only have a corner where
one is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, hypot, radians, sin

Point = tuple[float, float]
Cubic = tuple[Point, Point, Point, Point]

#: Halvings of an interval of a few metres that leave less than a hundredth of a millimetre.
_HALVINGS = 20


@dataclass(frozen=True)
class Knot:
    """A point that a line passes through.

    angle: direction of travel in degrees, 0 towards the rear, 90 up.
    pull: length of the handles as a share of the chord to the neighbour; bigger is fuller.
    """

    x: float
    y: float
    angle: float
    pull: float = 0.36


def corner(x: float, y: float, arrive: float, leave: float, radius: float) -> list[Knot]:
    """A rounded corner at (x, y): two knots, `radius` mm before and after it."""
    return [
        Knot(x - radius * cos(radians(arrive)), y - radius * sin(radians(arrive)), arrive, 0.44),
        Knot(x + radius * cos(radians(leave)), y + radius * sin(radians(leave)), leave, 0.44),
    ]


def through(knots: Sequence[Knot]) -> list[Cubic]:
    """The line through `knots`, one cubic per gap."""
    return [_between(a, b) for a, b in pairwise(knots)]


def sweep(a: Knot, b: Knot, fullness: tuple[float, float] = (0.62, 0.62)) -> Cubic:
    """A single bend from `a` to `b` whose handles lie on the tangents' crossing: no inflection.

    fullness: how far each handle reaches towards that crossing (0.55 is about a circle, 1 nearly a
    corner).
    Where the tangents do not cross ahead of `a` and before `b`, the ordinary piece between the
    knots.
    """
    ax, ay = cos(radians(a.angle)), sin(radians(a.angle))
    bx, by = cos(radians(b.angle)), sin(radians(b.angle))
    turn = ax * by - ay * bx
    if abs(turn) < 1e-6:
        return _between(a, b)
    dx, dy = b.x - a.x, b.y - a.y
    ahead, before = (dx * by - dy * bx) / turn, (ax * dy - ay * dx) / turn
    if ahead <= 0 or before <= 0:
        return _between(a, b)
    one, two = fullness[0] * ahead, fullness[1] * before
    return (
        (a.x, a.y),
        (a.x + one * ax, a.y + one * ay),
        (b.x - two * bx, b.y - two * by),
        (b.x, b.y),
    )


def bends(knots: Sequence[Knot]) -> list[Cubic]:
    """The line through `knots` with a single bend in each gap whose tangents allow one."""
    return [sweep(a, b) for a, b in pairwise(knots)]


def straight(a: Point, b: Point) -> Cubic:
    """A straight piece, as a cubic, so that lines and curves join in one list."""
    third = ((b[0] - a[0]) / 3, (b[1] - a[1]) / 3)
    return (a, (a[0] + third[0], a[1] + third[1]), (b[0] - third[0], b[1] - third[1]), b)


def at(cubic: Cubic, t: float) -> Point:
    """The point at parameter t (0 to 1)."""
    return _axis(cubic, 0, t), _axis(cubic, 1, t)


def y_at(line: Sequence[Cubic], x: float) -> float:
    """Height of a line that runs rearwards, at x; beyond its ends, the end's height."""
    if x <= line[0][0][0]:
        return line[0][0][1]
    for cubic in line:
        if cubic[0][0] <= x <= cubic[3][0]:
            return _axis(cubic, 1, _solve(cubic, x))
    return line[-1][3][1]


def cut(line: Sequence[Cubic], start: float, end: float) -> list[Cubic]:
    """The part of a line that runs rearwards between x = start and x = end."""
    pieces: list[Cubic] = []
    for cubic in line:
        left, right = cubic[0][0], cubic[3][0]
        if right <= start or left >= end:
            continue
        low = _solve(cubic, start) if left < start else 0.0
        high = _solve(cubic, end) if right > end else 1.0
        pieces.append(_part(cubic, low, high))
    return pieces


def backwards(line: Sequence[Cubic]) -> list[Cubic]:
    """The same line travelled the other way."""
    return [(d, c, b, a) for a, b, c, d in reversed(line)]


def inset(line: Sequence[Cubic], distances: Sequence[float]) -> list[Cubic]:
    """The line moved to its right (inwards, on a contour), one distance per knot.

    Both control points of an end move along that end's normal, so tangents stay parallel to the
    original's (the
    polygon offset of Tiller and Hanson, 1984, with a distance that may vary).
    """
    moved_line: list[Cubic] = []
    for (a, b, c, d), near, far in zip(line, distances, distances[1:], strict=False):
        first, last = _normal(a, b), _normal(c, d)
        moved_line.append(
            (
                _along(a, first, near),
                _along(b, first, near),
                _along(c, last, far),
                _along(d, last, far),
            )
        )
    return moved_line


def rounded(sides: Sequence[Sequence[Cubic]], radii: Sequence[float]) -> list[Cubic]:
    """A closed figure of `sides`, the corner after side i eased over about radii[i] millimetres."""
    trimmed = []
    for index, side in enumerate(sides):
        pieces = list(side)
        pieces[0] = _part(pieces[0], _share(pieces[0], radii[index - 1]), 1.0)
        pieces[-1] = _part(pieces[-1], 0.0, 1 - _share(pieces[-1], radii[index]))
        trimmed.append(pieces)
    figure: list[Cubic] = []
    for index, pieces in enumerate(trimmed):
        figure += pieces
        begin, tip = pieces[-1][3], sides[index][-1][3]
        end = trimmed[(index + 1) % len(sides)][0][0]
        figure.append((begin, _mix(begin, tip, 0.66), _mix(end, tip, 0.66), end))
    return figure


def crossing(line: Sequence[Cubic], other: Sequence[Cubic], left: float, right: float) -> float:
    """The x between `left` and `right` where two rearward lines have the same height.

    The caller sees to it that the order of the lines differs at its
    ends
    (otherwise the answer is one of the ends).
    """
    above = y_at(line, left) > y_at(other, left)
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        if (y_at(line, middle) > y_at(other, middle)) == above:
            left = middle
        else:
            right = middle
    return (left + right) / 2


def _between(a: Knot, b: Knot) -> Cubic:
    chord = hypot(b.x - a.x, b.y - a.y)
    return (
        (a.x, a.y),
        (
            a.x + a.pull * chord * cos(radians(a.angle)),
            a.y + a.pull * chord * sin(radians(a.angle)),
        ),
        (
            b.x - b.pull * chord * cos(radians(b.angle)),
            b.y - b.pull * chord * sin(radians(b.angle)),
        ),
        (b.x, b.y),
    )


def _normal(a: Point, b: Point) -> Point:
    length = hypot(b[0] - a[0], b[1] - a[1]) or 1.0
    return (b[1] - a[1]) / length, -(b[0] - a[0]) / length


def _along(p: Point, direction: Point, distance: float) -> Point:
    return p[0] + direction[0] * distance, p[1] + direction[1] * distance


def _share(cubic: Cubic, radius: float) -> float:
    length = hypot(cubic[3][0] - cubic[0][0], cubic[3][1] - cubic[0][1]) or 1.0
    return min(0.4, radius / length)


def _axis(cubic: Cubic, axis: int, t: float) -> float:
    a, b, c, d = cubic
    u = 1 - t
    return u * u * (u * a[axis] + 3 * t * b[axis]) + t * t * (3 * u * c[axis] + t * d[axis])


def _solve(cubic: Cubic, x: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _axis(cubic, 0, middle) < x:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _part(cubic: Cubic, low: float, high: float) -> Cubic:
    _, tail = _split(cubic, low)
    head, _ = _split(tail, (high - low) / (1 - low) if low < 1 else 1.0)
    return head


def _split(cubic: Cubic, t: float) -> tuple[Cubic, Cubic]:
    a, b, c, d = cubic
    ab, bc, cd = _mix(a, b, t), _mix(b, c, t), _mix(c, d, t)
    abc, bcd = _mix(ab, bc, t), _mix(bc, cd, t)
    middle = _mix(abc, bcd, t)
    return (a, ab, abc, middle), (middle, bcd, cd, d)


def _mix(a: Point, b: Point, t: float) -> Point:
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t)
