"""Panels of the body side: shut lines, handles, mirror, flap, sill, cladding and rails."""

from __future__ import annotations

from math import cos, radians, sin

from app.storefront.drawings.canvas import number, path, polygon
from app.storefront.drawings.curve import Cubic, Knot, cut, inset, straight, through, y_at
from app.storefront.drawings.glass import Glass, door_edges
from app.storefront.drawings.outline import Outline
from app.storefront.drawings.shape import Shape
from app.storefront.drawings.stance import Stance

_BLACK = "#15181a"


def shut_lines(shape: Shape, s: Stance, g: Glass, o: Outline) -> str:
    """Path data of all gaps between panels."""
    foot = s.sill + 62
    start_high = max(g.front_x + 55, s.front_x + s.arch + 20)
    start_low = max(
        s.front_x + s.arch + (0.07 if shape.cladding else 0.05) * s.height, start_high - 120
    )
    first, last = door_edges(shape, s)
    lines = [
        through(
            [
                Knot(start_high, s.waist(start_high), -84),
                Knot(start_low + 8, s.sill + 0.42 * (s.waist_front - s.sill), -88),
                Knot(start_low + 40, foot, -72),
            ]
        ),
        [straight((first, s.waist(first)), (first + 12, foot))],
    ]
    if shape.side_doors == 2:
        lines.append(_rear_door(shape, s, last, foot))
    lines.append([straight((start_low + 40, foot), (_sill_end(shape, s, first), foot))])
    lines.append(_bonnet_gap(s, o))
    if shape.body in ("hatchback", "estate", "suv", "mpv", "van"):
        lines.append(_gate_gap(s))
    elif shape.body == "pickup":
        x = s.roof_x + 30
        lines.append([straight((x, s.tail_y), (x - 6, foot + 30))])
        lines.append([straight((s.length - 60, s.tail_y), (s.length - 52, s.tail_y * 0.62))])
    else:
        x = s.length * 0.90
        lines.append(
            through(
                [
                    Knot(x - 60, y_at(o.tail, x - 60) - 16, -6),
                    Knot(s.length - 130, s.tail_y - 22, -6),
                ]
            )
        )
    if shape.body == "van":
        y = s.waist_rear - 0.045 * s.height
        lines.append([straight((last + 20, y), (s.length * 0.955, y))])
    return "".join(path(line) for line in lines)


def _sill_end(shape: Shape, s: Stance, first: float) -> float:
    return s.rear_x - s.arch - 42 if shape.side_doors == 2 else first + 12


def _rear_door(shape: Shape, s: Stance, high_x: float, foot: float) -> list[Cubic]:
    """The rear door's edge: down from the waist and around the arch."""
    reach = s.arch + 44
    low_x = s.rear_x - s.arch - 42
    if shape.body == "pickup":
        low_x = min(low_x, high_x - 10)
        return [straight((high_x, s.waist(high_x)), (low_x, foot))]
    angle = 112 if high_x < s.rear_x else 100
    touch = (s.rear_x + reach * cos(radians(angle)), s.tyre + reach * sin(radians(angle)))
    side = (s.rear_x + reach * cos(radians(176)), s.tyre + reach * sin(radians(176)))
    return through(
        [
            Knot(high_x, s.waist(high_x), -102, 0.3),
            Knot(*touch, angle + 90 - 8, 0.4),
            Knot(*side, -92, 0.4),
            Knot(low_x, foot, -86),
        ]
    )


def _bonnet_gap(s: Stance, o: Outline) -> list[Cubic]:
    """The bonnet's side edge: under its crest, from above the lamp to the screen's foot."""
    start, end = s.length * 0.085, s.cowl_x - 30
    crest = cut(o.nose, start, end)
    return inset(crest, [0.030 * s.height] + [0.036 * s.height] * len(crest))


def _gate_gap(s: Stance) -> list[Cubic]:
    x, low = s.length * 0.975, s.tail_y * 0.62
    return through(
        [
            Knot(x - 20, s.tail_y + 30, -78),
            Knot(x + 4, s.tail_y - 60, -90),
            Knot(s.length - 4, low, -12, 0.5),
        ]
    )


def handles(shape: Shape, s: Stance) -> str:
    """Flush handles at the rear edge of each side door, as one element's path data."""
    first, last = door_edges(shape, s)
    ends = (
        [first] if shape.side_doors == 1 else [first, last + (0 if shape.body == "pickup" else -40)]
    )
    wide, high = 0.125 * s.height, 0.0145 * s.height
    text = ""
    for end in ends:
        x = end - wide - 58
        y = s.waist(x) - 0.083 * s.height
        text += path(
            [
                straight((x + high, y), (x + wide, y + 0.006 * s.height)),
                ((x + wide, y + 0.006 * s.height), (x + wide + high, y),
                 (x + wide + high, y - high),
                 (x + wide, y - high)),
                straight((x + wide, y - high), (x + high, y - high)),
                ((x + high, y - high), (x - high * 0.5, y - high),
                 (x - high * 0.5, y), (x + high, y)),
            ],
            close=True,
        )  # fmt: skip
    return text


def flap(shape: Shape, s: Stance) -> str:
    """Charging or fuel flap on the rear wing."""
    if shape.body == "pickup":
        x, y = s.rear_x - s.arch - 190, s.waist_rear - 0.17 * s.height
    else:
        x, y = s.rear_x + 0.55 * s.arch, s.waist_rear - 0.105 * s.height
    size = 0.075 * s.height
    return (
        f'<rect x="{number(x)}" y="{number(-y)}" width="{number(size * 1.1)}"'
        f' height="{number(size)}"'
        f' rx="{number(size * 0.28)}"/>'
    )


def mirror(shape: Shape, s: Stance, g: Glass) -> tuple[str, str]:
    """The mirror's housing and its dark foot, as path data."""
    size = 0.072 * s.height if shape.body != "van" else 0.064 * s.height
    x, y = g.front_x + 0.098 * s.height, s.waist(g.front_x) + 0.012 * s.height
    housing = through(
        [
            Knot(x - 0.95 * size, y + 0.55 * size, 80, 0.42),
            Knot(x + 0.2 * size, y + 1.22 * size, 0, 0.42),
            Knot(x + 1.0 * size, y + 0.95 * size, -60, 0.42),
            Knot(x + 0.85 * size, y + 0.12 * size, -150, 0.42),
            Knot(x - 0.3 * size, y + 0.08 * size, 178, 0.36),
            Knot(x - 0.95 * size, y + 0.55 * size, 80, 0.42),
        ]
    )
    foot = polygon(
        [
            (x - 0.2 * size, y + 0.25 * size),
            (x + 0.5 * size, y + 0.25 * size),
            (x + 0.55 * size, s.waist(x) - 12),
            (x - 0.05 * size, s.waist(x) - 12),
        ]
    )
    return path(housing, close=True), foot


def cladding(s: Stance) -> str:
    """Unpainted arches, sill and bumper edges; to be clipped by the body."""
    width = 0.040 * s.height
    rings = "".join(
        f'<circle cx="{number(x)}" cy="{number(-s.tyre)}" r="{number(s.arch + width / 2)}"/>'
        for x in (s.front_x, s.rear_x)
    )
    high = s.sill + 0.062 * s.height
    band = polygon(
        [
            (-50, high + 55), (s.front_x - s.arch - width, high + 20),
            (s.front_x + s.arch, high - 4), (s.rear_x - s.arch, high + 14),
            (s.rear_x + s.arch + width, high + 40), (s.length + 50, high + 75),
            (s.length + 50, 0), (-50, 0),
        ]
    )  # fmt: skip
    return (
        f'<g fill="none" stroke="#24282b" stroke-width="{number(width)}">{rings}</g>'
        f'<path d="{band}" fill="#24282b"/>'
    )


def skirt(s: Stance) -> str:
    """The dark sill blade and bumper edges of a car without cladding; to be clipped by the body."""
    high = s.sill + 26
    band = polygon(
        [
            (-50, high + 40), (s.front_x - s.arch, high + 14), (s.front_x + s.arch, high - 6),
            (s.rear_x - s.arch, high + 6), (s.rear_x + s.arch, high + 62),
            (s.length + 50, high + 96), (s.length + 50, 0), (-50, 0),
        ]
    )  # fmt: skip
    return f'<path d="{band}" fill="{_BLACK}"/>'


def rails(s: Stance, o: Outline) -> str:
    """Roof rails: a slim bar over the roof with two feet."""
    start, end = s.header_x + 0.055 * s.length, s.roof_x - 0.035 * s.length
    bar = inset(cut(o.top, start, end), [-24] * 9)
    feet = "".join(
        path([straight((x, y_at(bar, x)), (x + lean, y_at(o.top, x + lean) - 6))])
        for x, lean in ((bar[0][0][0], -50), (bar[-1][3][0], 40))
    )
    return path(bar) + feet


def grille(shape: Shape, s: Stance) -> str:
    """Dark air intakes at the very front, seen edge-on; to be clipped by the body."""
    low, high = s.sill + 0.05 * s.height, s.nose_y - 0.05 * s.height
    middle = (low + high) / 2
    lower = polygon(
        [
            (0.024 * s.length, low + 0.034 * s.height),
            (0.038 * s.length, low + 0.026 * s.height),
            (0.027 * s.length, high),
            (0.020 * s.length, high - 0.01 * s.height),
        ]
    )
    if shape.electric:
        return lower
    upper = polygon(
        [(-20, middle + 40), (0.009 * s.length, middle + 40), (0.006 * s.length, s.nose_y + 20),
         (-20, s.nose_y + 40)]
    )  # fmt: skip
    return lower + upper


def bed_rail(s: Stance, o: Outline) -> str:
    """The black cap along the top of a pickup's bed."""
    rail = inset(cut(o.tail, s.roof_x + 190, s.length - 75), [11] * 9)
    return f'<path d="{path(rail)}" fill="none" stroke="{_BLACK}" stroke-width="26"/>'


def exhaust(shape: Shape, s: Stance) -> str:
    """A tail pipe under the rear bumper; nothing on an electric car."""
    if shape.electric:
        return ""
    x, y = s.length - 0.055 * s.length, s.sill + 72
    return (
        f'<rect x="{number(x)}" y="{number(-y)}" width="{number(0.035 * s.length)}" height="42"'
        f' rx="16"'
        ' fill="#7d8388" stroke="#2a2e31" stroke-width="6"/>'
    )
