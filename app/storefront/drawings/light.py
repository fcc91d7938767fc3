"""Light on the body: the paint's gradient, soft highlights and shadows, and the ground.

Soft figures are blurred once as a group and clipped to the body, so that they cost one filter per
drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sin, sqrt

from app.storefront.drawings.canvas import Canvas, number, path
from app.storefront.drawings.curve import Cubic, Knot, cut, through
from app.storefront.drawings.outline import Outline
from app.storefront.drawings.paint import Ramp, lightness
from app.storefront.drawings.stance import Stance


def body_gradient(name: str, s: Stance, tones: Ramp) -> str:
    """Paint from sky to ground, tilted along the waist so that light runs with the car's lines."""
    top, bottom = s.height, s.sill
    waist = (s.waist_front + s.waist_rear) / 2
    stops = (
        (top, tones.sky),
        (waist + 0.02 * s.height, tones.base),
        (waist - 0.035 * s.height, tones.glow),
        (waist - 0.10 * s.height, tones.base),
        (bottom + 0.50 * (waist - bottom), tones.base),
        (bottom + 0.22 * (waist - bottom), tones.core),
        (bottom + 0.13 * (waist - bottom), tones.bounce),
        (bottom, tones.deep),
    )
    lean = (s.waist_rear - s.waist_front) / (0.6 * s.length) * (top - bottom)
    middle = s.length / 2
    return _linear(
        name, [((top - y) / (top - bottom), tone, 1.0) for y, tone in stops],
        f'gradientUnits="userSpaceOnUse" x1="{middle:.0f}" y1="{-top:.0f}"'
        f' x2="{middle + lean:.0f}" y2="{-bottom:.0f}"',
    )  # fmt: skip


def ends_gradient(name: str, s: Stance) -> str:
    """The body turning away at its two ends."""
    stops = ((0.0, 0.42), (0.035, 0.20), (0.10, 0.0), (0.90, 0.0), (0.97, 0.20), (1.0, 0.44))
    return _linear(
        name,
        [(at, "#000", alpha) for at, alpha in stops],
        f'gradientUnits="userSpaceOnUse" x1="0" x2="{s.length:.0f}" y1="0" y2="0"',
    )


def soft_light(s: Stance, o: Outline, tones: Ramp, blur: str) -> str:
    """Highlights and shadows that give the side its sections: shoulder, flank, arches, crown."""
    light = lightness(tones.base)
    shine = 0.60 if light > 0.55 else 0.50 if light > 0.3 else 0.46
    shade = 0.13 if light > 0.85 else 0.22 if light > 0.55 else 0.30
    # In dark paint a hollow shows as the bright floor it reflects, in light paint as a shadow.
    floor, hollow = ("#fff", 0.11) if light < 0.3 else ("#000", shade)
    start, end = 0.05 * s.length, 0.985 * s.length
    shoulder = _lens(s, start, end, drop=0.062, thick=0.030)
    under = _lens(s, start + 0.02 * s.length, end - 0.02 * s.length, drop=0.112, thick=0.040)
    flank = _flank(s)
    crown = path(cut(o.top, 0.02 * s.length, 0.985 * s.length))
    arches = "".join(
        path(
            [
                *through(
                    [
                        Knot(x - 0.87 * r, s.tyre + 0.5 * r, 60),
                        Knot(x, s.tyre + r, 0),
                        Knot(x + 0.87 * r, s.tyre + 0.5 * r, -60),
                    ]
                )
            ]
        )
        for x, r in ((s.front_x, s.arch + 0.030 * s.height), (s.rear_x, s.arch + 0.032 * s.height))
    )
    wide = 0.03 * s.height
    return (
        f'<g filter="url(#{blur})">'
        f'<path d="{under}" fill="#000" fill-opacity="{number(shade)}"/>'
        f'<path d="{flank}" fill="{floor}" fill-opacity="{number(hollow)}"/>'
        f'<path d="{shoulder}" fill="#fff" fill-opacity="{number(shine)}"/>'
        f'<path d="{arches}" fill="none" stroke="#fff" stroke-opacity="{number(shine * 0.34)}"'
        f' stroke-width="{number(wide * 0.7)}"/>'
        f'<path d="{crown}" fill="none" stroke="#fff" stroke-opacity="{number(shine * 0.9)}"'
        f' stroke-width="{number(wide * 1.3)}"/>'
        "</g>"
    )


def _lens(s: Stance, start: float, end: float, drop: float, thick: float) -> str:
    """A sliver along the waist, `drop` under it, `thick` at its fullest (shares of height)."""
    upper: list[Knot] = []
    lower: list[Knot] = []
    for share in (0.0, 0.3, 0.65, 1.0):
        x = start + (end - start) * share
        y = _shoulder(s, x) - drop * s.height
        fat = thick * s.height * (0.1 + 0.9 * sin(3.14159 * share))
        tilt = _tilt(s, x)
        upper.append(Knot(x, y + fat / 2, tilt))
        lower.append(Knot(x, y - fat / 2, tilt))
    return _band(through(upper), through(lower))


def _shoulder(s: Stance, x: float) -> float:
    """The shoulder follows the waist and, ahead of the screen, falls to the lamp."""
    share = x / s.length
    ahead = max(0.0, 0.36 - share)
    fall = 0.62 * ahead * sqrt(ahead) * s.height
    return s.waist_front + (s.waist_rear - s.waist_front) * share - fall


def _tilt(s: Stance, x: float) -> float:
    return 57.3 * (_shoulder(s, x + 10) - _shoulder(s, x - 10)) / 20


def _flank(s: Stance) -> str:
    """The hollow of the lower doors, sweeping up towards the rear wheel."""
    left, right = s.front_x + s.arch + 40, s.rear_x - s.arch * 0.9
    low, span = s.sill, s.waist_front - s.sill
    upper = through(
        [
            Knot(left, low + 0.25 * span, 2),
            Knot((left + right) / 2, low + 0.35 * span, 4),
            Knot(right, low + 0.56 * span, 18),
        ]
    )
    lower = through(
        [
            Knot(left, low + 0.235 * span, 0),
            Knot((left + right) / 2, low + 0.20 * span, 1),
            Knot(right, low + 0.30 * span, 10),
        ]
    )
    return _band(upper, lower)


def _band(upper: list[Cubic], lower: list[Cubic]) -> str:
    pieces = [*upper]
    pieces += [(d, c, b, a) for a, b, c, d in reversed(lower)]
    first, last = upper[-1][3], lower[-1][3]
    pieces.insert(len(upper), (first, first, last, last))
    return path(pieces, close=True)


def ground(name: str, s: Stance, canvas: Canvas) -> str:
    """Soft shadow on the floor and the tyres' contact."""
    half = s.length * 0.515
    deep = min(canvas.height * 0.05, 0.03 * s.length)
    contact = "".join(
        f'<ellipse cx="{x:.0f}" cy="4" rx="{s.tyre * 0.8:.0f}" ry="{deep * 0.30:.0f}"'
        f' fill="url(#{name})"/>'
        for x in (s.front_x, s.rear_x)
    )
    return (
        f'<ellipse cx="{s.length / 2:.0f}" cy="10" rx="{half:.0f}" ry="{deep:.0f}"'
        f' fill="url(#{name})"/>' + contact
    )


def ground_gradient(name: str) -> str:
    """Shadow fading outwards."""
    stops = ((0, 0.62), (0.45, 0.42), (0.8, 0.10), (1, 0))
    return (
        f'<radialGradient id="{name}">'
        + "".join(_stop(at, "#000", alpha) for at, alpha in stops)
        + "</radialGradient>"
    )


def fade_gradient(name: str, canvas: Canvas) -> str:
    """The wheels' mirror image in the floor, gone before the sheet ends."""
    return _linear(
        name,
        [(0, "#1a1d20", 0.2), (1, "#1a1d20", 0.0)],
        f'gradientUnits="userSpaceOnUse" x1="0" x2="0" y1="0"'
        f' y2="{-(canvas.top + canvas.height) * 0.97:.0f}"',
    )


def _linear(name: str, stops: Sequence[tuple[float, str, float]], attributes: str) -> str:
    inner = "".join(_stop(at, tone, alpha) for at, tone, alpha in stops)
    return f'<linearGradient id="{name}" {attributes}>{inner}</linearGradient>'


def _stop(at: float, tone: str, alpha: float) -> str:
    opacity = "" if alpha == 1 else f' stop-opacity="{number(alpha)}"'
    return f'<stop offset="{number(at)}" stop-color="{tone}"{opacity}/>'
