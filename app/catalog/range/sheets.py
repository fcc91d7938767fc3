"""Specification sheets of the range, and everything a stock car can be fitted with.

`load_range()` reads and checks all of it once; what it returns is immutable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.catalog.range.dealers import Dealer
from app.catalog.range.markets import Market

MAKE = "Ellevar"
ISIZE_POSITIONS = ("front_passenger", "rear_left", "rear_centre", "rear_right")


@dataclass(frozen=True, slots=True)
class Isofix:
    """Child-seat anchorages (UN R14, R129): counted per seat, not per car.

    `rear_outer` counts the outer rear seats with anchorages, `front` is the passenger seat,
    `three_across` says that the centre of the same row has them too.
    """

    rear_outer: int
    front: bool
    isize_positions: tuple[str, ...]
    top_tether: bool
    three_across: bool

    @property
    def positions(self) -> int:
        """How many seats have ISOFIX anchorages."""
        return self.rear_outer + int(self.three_across) + int(self.front)


@dataclass(frozen=True, slots=True)
class Wltp:
    """WLTP combined values (regulation (EU) 2017/1151); weighted combined for plug-in hybrids.

    Electric energy is measured at the socket, charging losses included.
    """

    consumption_l_100km: float | None
    energy_kwh_100km: float | None
    co2_g_km: int
    electric_range_km: int | None


@dataclass(frozen=True, slots=True)
class Design:
    """Proportions for the parametric side view; 0..1 unless boolean.

    `roofline_drop`: how early and far the roof falls; `nose_length`: bonnet share of the length;
    `beltline`: height of the window line; `rear_rake`: slope of the rear window.
    """

    roofline_drop: float
    nose_length: float
    beltline: float
    rear_rake: float
    light_signature: str
    cladding: bool
    roof_rails: bool
    two_tone: bool


@dataclass(frozen=True, slots=True)
class ModelText:
    """What the model says of itself in one language."""

    tagline: str
    description: str


@dataclass(frozen=True, slots=True)
class Equipment:
    """An equipment highlight; `names` by language."""

    code: str
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Paint:
    """A house colour; `hex` is "#RRGGBB", `price_sek` whole kronor with VAT."""

    code: str
    names: Mapping[str, str]
    family: str
    hex: str
    popularity: int
    price_sek: int


@dataclass(frozen=True, slots=True)
class Trim:
    """A trim: its price is `percent_of_price` of the model's price on top of it."""

    code: str
    name: str
    percent_of_price: int
    share: float


@dataclass(frozen=True, slots=True)
class Option:
    """An option; `price_sek` whole kronor with VAT, `share` how often cars carry it.

    `needs` limits it to models that can have it ("tow", "roof", "rear", "engine", "plug", "cargo").
    """

    code: str
    names: Mapping[str, str]
    price_sek: int
    share: float
    needs: str | None


@dataclass(frozen=True, slots=True)
class ModelSheet:
    """The specification sheet of one model. Units are in the names.

    `prices`: market code to list price in minor units with VAT and registration taxes.
    `personality`: trait to 0..1. `texts`: language to text. `acceleration_s`: 0 to 100 km/h.
    `battery_kwh`: usable; `None` without a traction battery.
    """

    model_id: str
    name: str
    body: str
    seats: int
    doors: int
    fuel: str
    drivetrain: str
    transmission: str
    isofix: Isofix
    boot_litres: int
    boot_max_litres: int
    tow_kg: int
    power_kw: int
    acceleration_s: float
    top_speed_kmh: int
    battery_kwh: float | None
    wltp: Wltp
    length_mm: int
    width_mm: int
    height_mm: int
    wheelbase_mm: int
    ground_clearance_mm: int
    wheel_inches: int
    kerb_mass_kg: int
    prices: Mapping[str, int]
    personality: Mapping[str, float]
    design: Design
    texts: Mapping[str, ModelText]
    equipment: tuple[Equipment, ...]
    colours: tuple[Paint, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Everything shipped: models, what they can be fitted with, markets and dealers."""

    models: tuple[ModelSheet, ...]
    paints: Mapping[str, Paint]
    equipment: Mapping[str, Equipment]
    trims: tuple[Trim, ...]
    options: tuple[Option, ...]
    markets: Mapping[str, Market]
    dealers: tuple[Dealer, ...]

    def model(self, model_id: str) -> ModelSheet:
        """The sheet of `model_id`; raises `KeyError`."""
        for sheet in self.models:
            if sheet.model_id == model_id:
                return sheet
        raise KeyError(model_id)

    def model_named(self, make: str, name: str) -> ModelSheet | None:
        """The sheet of a make and model as a feed writes them, or `None` outside the range."""
        if make.casefold() != MAKE.casefold():
            return None
        wanted = name.casefold()
        return next((sheet for sheet in self.models if sheet.name.casefold() == wanted), None)

    def dealers_of(self, market: str) -> tuple[Dealer, ...]:
        """The dealers of a market."""
        return tuple(dealer for dealer in self.dealers if dealer.market == market)
