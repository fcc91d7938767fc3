"""The body's contour: over the top from lip to lip, and the underside with its arches."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, degrees

from app.storefront.drawings.canvas import path
from app.storefront.drawings.curve import Cubic, Knot, bends, corner, straight, sweep, through
from app.storefront.drawings.shape import Shape
from app.storefront.drawings.stance import Stance


@dataclass(frozen=True)
class Outline:
    """Lines of the body, all travelling rearwards.

    nose: front lip to the foot of the windscreen; roof: windscreen to where the tail begins (empty
    on a
    convertible); tail: from there to the rear lip; body: closed path data with wheel arches.
    """

    nose: list[Cubic]
    roof: list[Cubic]
    tail: list[Cubic]
    body: str

    @property
    def top(self) -> list[Cubic]:
        """The whole contour over the top."""
        return [*self.nose, *self.roof, *self.tail]


def outline(shape: Shape, s: Stance) -> Outline:
    """Draw the contour of `shape`."""
    nose = _nose(shape, s)
    tail_knots = _TAILS[_kind(shape)](shape, s)
    foot = corner(s.cowl_x, s.cowl_y, 0, s.screen, _cowl_radius(shape))[1]
    peak = Knot(s.peak_x, s.height, 0)
    if shape.body == "convertible":
        roof: list[Cubic] = []
        tail = bends([Knot(s.cowl_x, s.cowl_y, -4), *tail_knots])
    else:
        roof = [sweep(foot, peak, (0.82, 0.62))]
        tail = [sweep(peak, tail_knots[0], (0.62, 0.56)), *bends(tail_knots)]
    top = [*nose, *roof, *tail]
    return Outline(nose, roof, tail, path([*top, *_underside(s, top)], close=True))


def _kind(shape: Shape) -> str:
    if shape.body in ("sedan", "coupe", "convertible", "pickup"):
        return shape.body
    return "box"


def _nose(shape: Shape, s: Stance) -> list[Cubic]:
    """From the front lip up over the bonnet to the foot of the windscreen."""
    lip_y = shape.ground_clearance_mm + 62
    lead_x = s.length * (0.065 if shape.body in ("suv", "pickup") else 0.085)
    chord = degrees(atan2(s.cowl_y - s.bonnet_y, s.cowl_x - lead_x))
    rise = chord + (3 if shape.body in ("mpv", "van") else 5)
    crest = Knot(lead_x, s.bonnet_y, rise)
    tip = Knot(0, s.nose_y, 90)
    blunt = (0.72, 0.66) if shape.body in ("suv", "pickup", "van") else (0.66, 0.60)
    if shape.body == "convertible":
        cowl = [Knot(s.cowl_x, s.cowl_y, -4)]
    else:
        cowl = corner(s.cowl_x, s.cowl_y, chord - 4, s.screen, _cowl_radius(shape))
    return [
        *through([*corner(0.017 * s.length, lip_y, 176, 100, 55), tip]),
        sweep(tip, crest, blunt),
        *through([crest, *cowl]),
    ]


def _cowl_radius(shape: Shape) -> float:
    """A one-box car's bonnet flows into its screen; others have a visible break."""
    return 150 if shape.body in ("mpv", "van") else 45


def _box_tail(shape: Shape, s: Stance) -> list[Knot]:
    """Hatchback, estate, SUV, MPV and van: a long roof, then a tailgate."""
    inset = s.length * (0.006 if shape.body == "van" else 0.018)
    fall = -4 - 9 * shape.roofline_drop if shape.body != "van" else -2.5
    foot_x, foot_y = s.length - inset, s.tail_y
    gate = -degrees(atan2(s.roof_y - foot_y, max(20.0, foot_x - s.roof_x)))
    return [
        *corner(s.roof_x, s.roof_y, fall, gate + 3, 42 if shape.body != "van" else 75),
        Knot(foot_x - 12, foot_y + 30, gate - 4, 0.36),
        *_bumper(shape, s, foot_y),
    ]


def _sedan_tail(shape: Shape, s: Stance) -> list[Knot]:
    deck_x = s.length * (0.868 + 0.045 * s.rake)
    glass_x = s.length * (0.765 + 0.03 * (s.rake - 0.5))
    glass_y = s.tail_y + (s.height - s.tail_y) * (0.65 - 0.12 * (shape.roofline_drop - 0.5))
    return [
        Knot(glass_x, glass_y, -20 - 3 * shape.roofline_drop),
        Knot(deck_x, s.tail_y + 14, -8, 0.46),
        *corner(s.length - 42, s.tail_y + 4, 1, -76, 34),
        *_bumper(shape, s, s.tail_y),
    ]


def _coupe_tail(shape: Shape, s: Stance) -> list[Knot]:
    deck_x = s.length * (0.90 + 0.03 * s.rake)
    return [
        Knot(deck_x, s.tail_y + 48, -19 - 3 * shape.roofline_drop),
        *corner(s.length - 66, s.tail_y + 6, -6, -72, 36),
        *_bumper(shape, s, s.tail_y),
    ]


def _convertible_tail(shape: Shape, s: Stance) -> list[Knot]:
    hood_x = s.length * (0.70 + 0.02 * s.rake)
    return [
        Knot(hood_x, s.waist(hood_x) + 20, 3, 0.36),
        Knot(s.length * 0.84, s.waist(hood_x) + 14, -5, 0.36),
        *corner(s.length - 58, s.tail_y + 4, -7, -74, 36),
        *_bumper(shape, s, s.tail_y),
    ]


def _pickup_tail(shape: Shape, s: Stance) -> list[Knot]:
    bed_y = s.tail_y
    back = 40 + 120 * s.rake
    return [
        *corner(s.roof_x, s.roof_y, -5 - 4 * shape.roofline_drop, -80, 70),
        *corner(s.roof_x + back, bed_y, -80, 0, 26),
        *corner(s.length - 30, bed_y + 6, 0.4, -86, 32),
        *_bumper(shape, s, bed_y),
    ]


_TAILS = {
    "box": _box_tail,
    "sedan": _sedan_tail,
    "coupe": _coupe_tail,
    "convertible": _convertible_tail,
    "pickup": _pickup_tail,
}


def _bumper(shape: Shape, s: Stance, tail_y: float) -> list[Knot]:
    """From under the tail's edge down to the rear lip."""
    lip_y = shape.ground_clearance_mm + 100
    proud = lip_y + (tail_y - lip_y) * 0.42
    return [
        Knot(s.length, proud, -90, 0.36),
        *corner(s.length - 0.016 * s.length, lip_y, -106, 184, 60),
    ]


def _underside(s: Stance, top: list[Cubic]) -> list[Cubic]:
    """From the rear lip forwards: bumper, arch, sill, arch, front lip."""
    rear_lip, front_lip = top[-1][3], top[0][0]
    low_rear = min(rear_lip[1], s.tyre * 0.98)
    low_front = min(front_lip[1], s.tyre * 0.98)
    return [
        straight(rear_lip, (s.rear_x + s.arch + 16, low_rear)),
        *arch(s.rear_x, s.tyre, s.arch, low_rear, s.sill),
        straight((s.rear_x - s.arch - 16, s.sill), (s.front_x + s.arch + 16, s.sill)),
        *arch(s.front_x, s.tyre, s.arch, s.sill, low_front),
        straight((s.front_x - s.arch - 16, low_front), front_lip),
    ]


def arch(x: float, y: float, radius: float, behind: float, ahead: float) -> list[Cubic]:
    """A wheel arch travelled forwards around the wheel centre (x, y).

    A half circle with nearly straight legs down to the bottom edges `behind` and `ahead` of the
    wheel.
    """
    k = 0.5523 * radius
    right, left = x + radius, x - radius
    return [
        (
            (right + 16, behind),
            (right + 2, behind),
            (right, behind + 20),
            (right, (behind + y) / 2),
        ),
        straight((right, (behind + y) / 2), (right, y)),
        ((right, y), (right, y + k), (x + k, y + radius), (x, y + radius)),
        ((x, y + radius), (x - k, y + radius), (left, y + k), (left, y)),
        straight((left, y), (left, (ahead + y) / 2)),
        ((left, (ahead + y) / 2), (left, ahead + 20), (left - 2, ahead), (left - 16, ahead)),
    ]
