"""What a car looks like, as plain numbers: the input of a drawing, checked on entry.

Lengths are millimetres and design parameters run from 0 to 1, so that a catalogue can carry a
shape as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from app.contracts.catalog import BODIES, FUELS, LIGHT_SIGNATURES

#: Inclusive range of each number; outside it a car would not be one, and the geometry is not
#: tested.
RANGES: Mapping[str, tuple[float, float]] = {
    "length_mm": (3000, 6000),
    "height_mm": (1150, 2250),
    "wheelbase_mm": (2000, 3900),
    "ground_clearance_mm": (90, 320),
    "wheel_inches": (14, 23),
    "doors": (2, 5),
    "roofline_drop": (0, 1),
    "nose_length": (0, 1),
    "beltline": (0, 1),
    "rear_rake": (0, 1),
}
_WHOLE = ("doors",)
_FLAGS = ("cladding", "roof_rails", "two_tone")
_WORDS: Mapping[str, tuple[str, ...]] = {
    "body": BODIES,
    "fuel": FUELS,
    "light_signature": LIGHT_SIGNATURES,
}

#: Share of the length that lies between the axles. Below it the overhangs outgrow the wheels;
#: above it a
#: wheel would leave the body.
WHEELBASE_SHARE = (0.50, 0.70)

#: Height as a share of length, from a low coupe to a tall city van.
HEIGHT_SHARE = (0.22, 0.56)


@dataclass(frozen=True)
class Shape:
    """One model's drawn form. ValueError names the field that cannot be drawn.

    body, fuel, light_signature: one of the catalogue's.
    length_mm, height_mm, wheelbase_mm, ground_clearance_mm: millimetres, drawn in true proportion.
    wheel_inches: rim diameter in inches.
    doors: as sold, the tailgate counts (2 and 3 show one side door, 4 and 5 two).
    roofline_drop: 0 level roof, 1 falls towards the rear.
    nose_length: 0 cab forward, 1 long bonnet.
    beltline: 0 deep windows, 1 high waist.
    rear_rake: 0 upright tail, 1 fast tail.
    """

    body: str
    length_mm: float
    height_mm: float
    wheelbase_mm: float
    ground_clearance_mm: float
    wheel_inches: float
    doors: int
    fuel: str
    roofline_drop: float = 0.5
    nose_length: float = 0.5
    beltline: float = 0.5
    rear_rake: float = 0.5
    light_signature: str = "blade"
    cladding: bool = False
    roof_rails: bool = False
    two_tone: bool = False

    def __post_init__(self) -> None:
        for name, words in _WORDS.items():
            value = getattr(self, name)
            if value not in words:
                raise ValueError(f"{name}: {value!r} is not one of {', '.join(words)}")
        for name, (low, high) in RANGES.items():
            _check_number(name, getattr(self, name), low, high)
        for name in _FLAGS:
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ValueError(f"{name}: {value!r} is not true or false")  # noqa: TRY004 - callers catch one type
        share = self.wheelbase_mm / self.length_mm
        low, high = WHEELBASE_SHARE
        if not low <= share <= high:
            raise ValueError(
                f"wheelbase_mm: {self.wheelbase_mm:g} is {share:.0%} of length_mm "
                f"{self.length_mm:g}; a drawing needs {low:.0%} to {high:.0%}"
            )
        share = self.height_mm / self.length_mm
        low, high = HEIGHT_SHARE
        if not low <= share <= high:
            raise ValueError(
                f"height_mm: {self.height_mm:g} is {share:.0%} of length_mm "
                f"{self.length_mm:g}; a drawing needs {low:.0%} to {high:.0%}"
            )

    @property
    def electric(self) -> bool:
        """True when there is neither a grille to open nor an exhaust to show."""
        return self.fuel == "electric"

    @property
    def side_doors(self) -> int:
        """Doors on the visible side: 1 or 2."""
        return 1 if self.doors <= 3 else 2


def shape_from(values: Mapping[str, object]) -> Shape:
    """Build a Shape from decoded JSON or TOML. ValueError names an unknown or a missing field."""
    known = {field.name: field for field in fields(Shape)}
    for name in values:
        if name not in known:
            raise ValueError(f"{name}: not a field of a shape ({', '.join(known)})")
    required = (
        "body",
        "fuel",
        "doors",
        *(name for name in RANGES if name.endswith(("mm", "inches"))),
    )
    for name in required:
        if name not in values:
            raise ValueError(f"{name}: missing")
    return Shape(**values)  # type: ignore[arg-type]  # __post_init__ checks every value's type


def _check_number(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name}: {value!r} is not a number")  # noqa: TRY004 - callers catch one type
    if name in _WHOLE and value != int(value):
        raise ValueError(f"{name}: {value!r} is not a whole number")
    if not low <= value <= high:
        raise ValueError(f"{name}: {value:g} is outside {low:g} to {high:g}")
