"""Where things are on a car: wheels, waist, bonnet, screen and roof, in millimetres.

The habits of each body style are one row of HABITS; everything else follows from the shape by the
same arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import radians, tan

from app.storefront.drawings.shape import Shape


@dataclass(frozen=True)
class Habit:
    """How a body style is usually proportioned; heights are measured from the ground.

    front: share of both overhangs that lies ahead of the front wheel.
    tyre: wheel diameter with tyre, share of height.
    dash: bonnet length from front wheel centre to the foot of the windscreen, share of length.
    bonnet: height of the bonnet's leading edge; cowl: foot of the windscreen; waist: bottom of the
    side windows.
    screen: windscreen's angle from the horizontal, degrees.
    peak: where the roof is highest, share of length.
    roof: where the roof ends, share of length from the rear; drop: how far it has fallen there,
    share of height.
    tail: height of the boot lid or of the foot of the rear window.
    wedge: rise of the waist from front to rear, share of height.
    """

    front: float
    tyre: float
    dash: float
    bonnet: float
    cowl: float
    waist: float
    screen: float
    peak: float
    roof: float
    drop: float
    tail: float
    wedge: float


HABITS: Mapping[str, Habit] = {
    "hatchback": Habit(
        0.54, 0.448, 0.080, 0.575, 0.660, 0.640, 33, 0.49, 0.105, 0.055, 0.66, 0.040
    ),
    "sedan": Habit(0.470, 0.475, 0.100, 0.555, 0.660, 0.650, 30, 0.51, 0.300, 0.07, 0.715, 0.026),
    "estate": Habit(0.45, 0.470, 0.100, 0.555, 0.660, 0.645, 31, 0.48, 0.085, 0.055, 0.66, 0.034),
    "suv": Habit(0.48, 0.450, 0.078, 0.615, 0.675, 0.650, 36, 0.48, 0.075, 0.045, 0.63, 0.032),
    "coupe": Habit(0.475, 0.515, 0.125, 0.555, 0.670, 0.665, 29, 0.525, 0.300, 0.095, 0.690, 0.028),
    "convertible": Habit(
        0.455, 0.505, 0.12, 0.56, 0.670, 0.665, 31, 0.50, 0.300, 0.09, 0.690, 0.016
    ),
    "mpv": Habit(0.50, 0.415, 0.030, 0.530, 0.645, 0.600, 31, 0.50, 0.060, 0.050, 0.60, 0.024),
    "van": Habit(0.47, 0.365, 0.000, 0.520, 0.615, 0.580, 43, 0.50, 0.030, 0.018, 0.57, 0.010),
    "pickup": Habit(0.40, 0.440, 0.075, 0.630, 0.680, 0.650, 36, 0.40, 0.352, 0.030, 0.66, 0.014),
}


@dataclass(frozen=True)
class Stance:
    """Landmarks of one car in millimetres: x from the front bumper, y up from the ground."""

    length: float
    height: float
    front_x: float
    rear_x: float
    tyre: float
    rim: float
    arch: float
    sill: float
    nose_y: float
    bonnet_y: float
    cowl_x: float
    cowl_y: float
    header_x: float
    header_y: float
    screen: float
    peak_x: float
    roof_x: float
    roof_y: float
    waist_front: float
    waist_rear: float
    tail_y: float
    rake: float

    def waist(self, x: float) -> float:
        """Height of the bottom of the side windows at x; rises faster towards the rear."""
        start, end = self.cowl_x, self.length * 0.93
        share = max(0.0, min(1.0, (x - start) / (end - start)))
        return self.waist_front + (self.waist_rear - self.waist_front) * share * (0.6 + 0.4 * share)


def stance(shape: Shape) -> Stance:
    """Place the landmarks of `shape`."""
    habit = HABITS[shape.body]
    length, height, base = shape.length_mm, shape.height_mm, shape.wheelbase_mm
    rim = shape.wheel_inches * 25.4 / 2 + 14  # the flange outside the bead seat
    # A sidewall thinner than 42 mm or thicker than 125 mm is no road tyre, so the rim wins over
    # the habit.
    tyre = rim + max(42, min(125, habit.tyre * height / 2 - rim))
    ahead = (length - base) * (habit.front + 0.05 * (shape.nose_length - 0.5))
    ahead = max(ahead, tyre + 120)
    ahead = min(ahead, length - base - tyre - 110)
    front_x, rear_x = ahead, ahead + base
    arch = tyre + (46 if shape.body in ("suv", "pickup") or shape.cladding else 32)
    high = 0.035 * (shape.beltline - 0.5)
    cowl_x = front_x + length * (habit.dash + 0.055 * (shape.nose_length - 0.5))
    cowl_y = height * (habit.cowl + 0.4 * high)
    header_y = height * (0.965 if shape.body != "convertible" else 0.955)
    header_x = cowl_x + (header_y - cowl_y) / tan(radians(habit.screen))
    peak_x = max(length * habit.peak, header_x + 0.09 * length)
    roof_x = max(length * (1 - habit.roof - _rake_share(shape)), peak_x + 0.05 * length)
    waist_front = height * (habit.waist + high)
    return Stance(
        length=length,
        height=height,
        front_x=front_x,
        rear_x=rear_x,
        tyre=tyre,
        rim=rim,
        arch=arch,
        sill=shape.ground_clearance_mm + 50,
        nose_y=height * (habit.bonnet - 0.17),
        bonnet_y=height * habit.bonnet,
        cowl_x=cowl_x,
        cowl_y=cowl_y,
        header_x=header_x,
        header_y=header_y,
        screen=habit.screen,
        peak_x=peak_x,
        roof_x=roof_x,
        roof_y=height * (1 - habit.drop * (0.45 + 1.1 * shape.roofline_drop)),
        waist_front=waist_front,
        waist_rear=waist_front + height * (habit.wedge + 0.5 * high),
        tail_y=height * habit.tail,
        rake=shape.rear_rake,
    )


def _rake_share(shape: Shape) -> float:
    """How much earlier the roof ends on a faster tail, share of length."""
    per_body = {"van": 0.012, "pickup": 0.01, "sedan": 0.04, "coupe": 0.04, "convertible": 0.02}
    return per_body.get(shape.body, 0.05) * (shape.rear_rake - 0.2)
