"""Pictures of cars: which form and paint an address stands for, and the drawing itself.

An address carries a digest of the drawing code and of the form, so that a browser may keep the
picture for ever and a new drawing has a new address.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import astuple, dataclass
from hashlib import blake2s
from pathlib import Path
from typing import Final

from app.contracts.catalog import Car, Model
from app.storefront.drawings import Shape, draw, shape_from

PRIMER: Final = "#8d949a"
"""The paint of a car whose colour is not known as a value."""

KEPT: Final = 600
"""Pictures kept in memory, some 9 kB each: the whole range in all its paints fits."""

_GENERIC: Final[dict[str, tuple[int, int, int, int]]] = {
    # body: length, height, wheelbase, doors
    "hatchback": (4100, 1470, 2600, 5),
    "sedan": (4750, 1440, 2850, 4),
    "estate": (4780, 1470, 2850, 5),
    "suv": (4600, 1650, 2750, 5),
    "coupe": (4500, 1350, 2680, 2),
    "convertible": (4350, 1350, 2600, 2),
    "mpv": (4800, 1750, 2950, 5),
    "van": (5100, 1950, 3200, 5),
    "pickup": (5300, 1800, 3200, 4),
}
_HEX: Final = re.compile(r"#[0-9a-fA-F]{6}")


def _drawing_code() -> str:
    digest = blake2s(digest_size=4)
    for path in sorted((Path(__file__).parent / "drawings").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_CODE: Final = _drawing_code()


@dataclass(frozen=True, slots=True)
class Subject:
    """What a picture shows. `slug` is the model's id, or the body style of a foreign car."""

    slug: str
    shape: Shape

    def url(self, paint: str | None, *, to_scale: bool = False) -> str:
        """The picture's address in `paint` (#rrggbb), or in primer when it is not known."""
        colour = paint if paint and _HEX.fullmatch(paint) else PRIMER
        sheet = "scale" if to_scale else "close"
        return f"/assets/cars/{self.version}/{sheet}/{self.slug}-{colour[1:].lower()}.svg"

    @property
    def version(self) -> str:
        return blake2s(f"{_CODE}{astuple(self.shape)!r}".encode(), digest_size=4).hexdigest()


def subject_of_model(model: Model) -> Subject:
    design = model.design
    values = {
        "body": model.body,
        "fuel": model.fuel,
        "doors": model.doors,
        "length_mm": model.length_mm,
        "height_mm": model.height_mm,
        "wheelbase_mm": model.wheelbase_mm,
        "ground_clearance_mm": model.ground_clearance_mm,
        "wheel_inches": model.wheel_inches,
        "roofline_drop": design.roofline_drop,
        "nose_length": design.nose_length,
        "beltline": design.beltline,
        "rear_rake": design.rear_rake,
        "light_signature": design.light_signature,
        "cladding": design.cladding,
        "roof_rails": design.roof_rails,
        "two_tone": design.two_tone,
    }
    try:
        return Subject(model.model_id, shape_from(values))
    except ValueError:
        # A form that the drawings do not know (a newer catalogue) must not take the page down.
        return _generic(model.body)


def subject_of_body(body: str | None) -> Subject:
    """The plain form of a body style, for cars outside the range."""
    return _generic(body if body in _GENERIC else "sedan")


def _generic(body: str) -> Subject:
    length, height, wheelbase, doors = _GENERIC[body]
    shape = Shape(body, length, height, wheelbase, 150, 17, doors, "petrol")
    return Subject(body, shape)


def subject_of_car(car: Car, models: dict[str, Model]) -> Subject:
    model = models.get(car.model_id or "")
    return subject_of_model(model) if model else subject_of_body(car.body)


class Pictures:
    """Drawn pictures, the most recently wanted ones kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, bool], bytes] = OrderedDict()

    def svg(self, subject: Subject, paint: str, *, to_scale: bool) -> bytes:
        """The SVG document of `subject` in `paint`; ValueError for a paint that is none."""
        key = (f"{subject.slug}.{subject.version}", paint, to_scale)
        found = self._kept.get(key)
        if found is None:
            title = subject.slug.replace("-", " ").capitalize()
            found = draw(subject.shape, paint, title=title, to_scale=to_scale).encode()
            self._kept[key] = found
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return found
