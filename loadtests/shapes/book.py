"""The shapes by name."""

from collections.abc import Mapping
from typing import Final

from loadtests.shapes.holiday_day import HolidayDay
from loadtests.shapes.shape import Shape
from loadtests.shapes.smoke import Smoke

SHAPES: Final[Mapping[str, type[Smoke] | type[HolidayDay]]] = {
    Smoke.name: Smoke,
    HolidayDay.name: HolidayDay,
}


def shape_called(name: str, duration_seconds: float | None = None) -> Shape:
    """The shape of that name, at its own duration unless another is given."""
    kind = SHAPES[name]
    return kind() if duration_seconds is None else kind(duration_seconds)
