"""Wheels: tyre, rim, spokes and the brake behind them, drawn once around (0, 0) and used twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import cos, radians, sin

from app.contracts.catalog import LIGHT_SIGNATURES
from app.storefront.drawings.canvas import number, polygon
from app.storefront.drawings.shape import Shape
from app.storefront.drawings.stance import Stance

#: Per design: how often its blades repeat, and the blades as (share of rim radius, degrees)
#: corners.
_Blade = Sequence[tuple[float, float]]
DESIGNS: Mapping[str, tuple[int, Sequence[_Blade]]] = {
    "five": (5, [[(0.15, -34), (0.5, -11), (0.95, -15), (0.95, 15), (0.5, 11), (0.15, 34)]]),
    "twin": (
        5,
        [
            [(0.17, -34), (0.5, -18), (0.95, -17), (0.95, -9), (0.5, -5), (0.17, 0)],
            [(0.17, 34), (0.5, 18), (0.95, 17), (0.95, 9), (0.5, 5), (0.17, 0)],
        ],
    ),
    "ten": (10, [[(0.16, -17), (0.5, -5), (0.95, -5), (0.95, 5), (0.5, 5), (0.16, 17)]]),
    "turbine": (
        10,
        [
            [
                (0.17, -20), (0.42, -10), (0.7, 0), (0.95, 13),
                (0.95, 25), (0.7, 9), (0.42, 2), (0.17, 12),
            ]
        ],
    ),
    "aero": (
        5,
        [[(0.1, -36), (0.45, -28), (0.95, -31), (0.95, 20), (0.45, 14), (0.1, 36)]],
    ),
    "fork": (
        7,
        [
            [
                (0.16, -24), (0.45, -7), (0.95, -20), (0.95, -11), (0.6, -1),
                (0.6, 1), (0.95, 11), (0.95, 20), (0.45, 7), (0.16, 24),
            ]
        ],
    ),
}  # fmt: skip


def design(shape: Shape) -> str:
    """The spoke design: closed on small electric wheels, else by signature and size."""
    if shape.electric and shape.wheel_inches < 18:
        return "aero"
    number = LIGHT_SIGNATURES.index(shape.light_signature) * 5 + round(shape.wheel_inches)
    return list(DESIGNS)[number % 6]


def wheel(shape: Shape, s: Stance, name: str) -> str:
    """One wheel around the origin. `name` prefixes the gradients that the drawing defines."""
    tyre, rim = s.tyre, s.rim
    count, blades = DESIGNS[design(shape)]
    spokes = "".join(
        polygon([_polar(rim * share, turn * 360 / count + angle + 90) for share, angle in blade])
        for turn in range(count)
        for blade in blades
    )
    wall = (tyre + rim) / 2
    brake = rim * 0.66
    caliper = polygon(
        [_polar(brake * r, a) for r, a in [(0.62, -24), (1.06, -20), (1.06, 22), (0.62, 26)]]
    )
    return (
        f'<circle r="{number(tyre)}" fill="#1c1f21"/>'
        f'<circle r="{number(wall + 4)}" fill="none" stroke="#33383c"'
        f' stroke-width="{number((tyre - rim) * 0.34)}"/>'
        f'<circle r="{number(rim + 5)}" fill="#0b0c0d"/>'
        f'<circle r="{number(rim)}" fill="url(#{name}a)"/>'
        f'<circle r="{number(rim * 0.925)}" fill="#15181a"/>'
        f'<circle r="{number(brake)}" fill="#5d6266" stroke="#34383b" stroke-width="9"/>'
        f'<circle r="{number(brake * 0.55)}" fill="#24282b"/>'
        f'<path d="{caliper}" fill="#8d949a"/>'
        f'<path d="{spokes}" fill="url(#{name}a)" stroke="#0d0f10" stroke-opacity=".45"'
        f' stroke-width="5"'
        ' stroke-linejoin="round"/>'
        f'<circle r="{number(rim * 0.2)}" fill="url(#{name}a)"/>'
        f'<circle r="{number(rim * 0.115)}" fill="#1b1e21" stroke="#cfd3d6" stroke-width="4"/>'
    )


def rim_gradient(name: str) -> str:
    """Alloy lit from above."""
    stops = ((0, "#f4f6f7"), (0.45, "#b9bec3"), (0.7, "#8a9096"), (1, "#a9afb4"))
    return (
        f'<linearGradient id="{name}a" x1="0" y1="0" x2=".25" y2="1">'
        + "".join(f'<stop offset="{number(at)}" stop-color="{tone}"/>' for at, tone in stops)
        + "</linearGradient>"
    )


def _polar(radius: float, degrees: float) -> tuple[float, float]:
    return radius * cos(radians(degrees)), radius * sin(radians(degrees))
