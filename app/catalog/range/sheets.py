"""Specification sheets of the range, and everything a stock car can be fitted with.

`load_range()` reads and checks all of it once; what it returns is immutable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from app.catalog.range.dealers import Dealer
from app.catalog.range.markets import Market
from app.catalog.range.tables import Several, Share, Shipped, Text, exactly, known, like
from app.contracts.catalog import (
    MAKE,
    TRAITS,
    Body,
    ColourFamily,
    Drivetrain,
    Fuel,
    LightSignature,
    Transmission,
)
from app.contracts.wire import LANGUAGES

IsizePosition = Literal["front_passenger", "rear_left", "rear_centre", "rear_right"]


class Isofix(Shipped):
    """Child-seat anchorages (UN R14, R129): counted per seat, not per car.

    `rear_outer` counts the outer rear seats with anchorages, `front` is the passenger seat,
    `three_across` says that the centre of the same row has them too.
    """

    rear_outer: int = Field(ge=0, le=4)
    front: bool
    isize_positions: Several[IsizePosition]
    top_tether: bool
    three_across: bool

    @property
    def positions(self) -> int:
        """How many seats have ISOFIX anchorages."""
        return self.rear_outer + int(self.three_across) + int(self.front)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.isize_positions) > self.positions:
            raise ValueError("isize_positions: are more than the ISOFIX positions")
        if self.three_across and self.rear_outer < 2:
            raise ValueError("three_across: needs two outer rear positions")
        return self


class Wltp(Shipped):
    """WLTP combined values (regulation (EU) 2017/1151); weighted combined for plug-in hybrids.

    Electric energy is measured at the socket, charging losses included.
    """

    consumption_l_100km: float | None = Field(None, ge=0.1, le=25)
    energy_kwh_100km: float | None = Field(None, ge=0.1, le=45)
    co2_g_km: int = Field(ge=0, le=500)
    electric_range_km: int | None = Field(None, ge=10, le=1_000)


class Design(Shipped):
    """Proportions for the parametric side view; 0..1 unless boolean.

    `roofline_drop`: how early and far the roof falls; `nose_length`: bonnet share of the length;
    `beltline`: height of the window line; `rear_rake`: slope of the rear window.
    """

    roofline_drop: Share
    nose_length: Share
    beltline: Share
    rear_rake: Share
    light_signature: LightSignature
    cladding: bool
    roof_rails: bool
    two_tone: bool


class ModelText(Shipped):
    """What the model says of itself in one language."""

    tagline: Text
    description: Text


class Named(Shipped):
    """Something with a name in each language."""

    sv: Text
    en: Text

    @property
    def names(self) -> dict[str, str]:
        return {language: getattr(self, language) for language in LANGUAGES}


class Equipment(Named):
    """An equipment highlight."""

    code: str


class Paint(Named):
    """A house colour; `price_sek` whole kronor with VAT."""

    code: Text
    family: ColourFamily
    hex: Annotated[str, like(r"#[0-9A-F]{6}", "like #1C3B59")]
    popularity: int = Field(ge=1, le=100)
    price_sek: int = Field(ge=0, le=100_000)


class Trim(Shipped):
    """A trim: its price is `percent_of_price` of the model's price on top of it."""

    code: Text
    name: Text
    percent_of_price: int = Field(ge=0, le=50)
    share: Share


class Option(Named):
    """An option; `price_sek` whole kronor with VAT, `share` how often cars carry it.

    `needs` limits it to models that can have it.
    """

    code: Text
    price_sek: int = Field(ge=0, le=200_000)
    share: Share
    needs: Literal["tow", "roof", "rear", "engine", "plug", "cargo"] | None = None


class ModelSheet(Shipped):
    """The specification sheet of one model. Units are in the names.

    `prices`: market code to list price in minor units with VAT and registration taxes.
    `personality`: trait to 0..1. `texts`: language to text. `acceleration_s`: 0 to 100 km/h.
    `battery_kwh`: usable; `None` without a traction battery.
    """

    model_id: Annotated[Text, like("[a-z][a-z0-9-]*", "a slug equal to the file's name")]
    name: Text
    body: Body
    seats: int = Field(ge=2, le=9)
    doors: int = Field(ge=2, le=5)
    fuel: Fuel
    drivetrain: Drivetrain
    transmission: Transmission
    isofix: Isofix
    boot_litres: int = Field(ge=50, le=3_000)
    boot_max_litres: int = Field(ge=50, le=8_000)
    tow_kg: int = Field(ge=0, le=3_500)
    power_kw: int = Field(ge=30, le=1_000)
    acceleration_s: float = Field(ge=2, le=25)
    top_speed_kmh: int = Field(ge=100, le=330)
    battery_kwh: float | None = Field(None, ge=0.5, le=250)
    wltp: Wltp
    length_mm: int = Field(ge=2_500, le=6_000)
    width_mm: int = Field(ge=1_400, le=2_100)
    height_mm: int = Field(ge=1_100, le=2_600)
    wheelbase_mm: int = Field(ge=1_600, le=4_000)
    ground_clearance_mm: int = Field(ge=80, le=300)
    wheel_inches: int = Field(ge=14, le=23)
    kerb_mass_kg: int = Field(ge=700, le=3_500)
    prices: dict[str, Annotated[int, Field(ge=100_000, le=1_000_000_000)]] = Field(alias="price")
    personality: dict[str, Share]
    design: Design
    texts: dict[str, ModelText] = Field(alias="text")
    equipment: Annotated[Several[Equipment], BeforeValidator(known("equipment"))]
    colours: Annotated[Several[Paint], BeforeValidator(known("paints"))]

    @model_validator(mode="after")
    def _whole(self, info: ValidationInfo) -> Self:
        context = info.context or {}
        if context["file"] != f"{self.model_id}.toml":
            raise ValueError(
                f"model_id: must be a slug equal to the file's name ({context['file']})"
            )
        exactly(context["markets"], self.prices, "price")
        exactly(TRAITS, self.personality, "personality")
        exactly(LANGUAGES, self.texts, "text")
        if self.boot_max_litres < self.boot_litres:
            raise ValueError("boot_max_litres: must not be below boot_litres")
        if self.isofix.positions > self.seats - 1:
            raise ValueError(
                f"isofix: rear_outer: gives more child seats than passengers ({self.seats - 1})"
            )
        return self

    @model_validator(mode="after")
    def _drive(self) -> Self:
        """Fuel, battery and WLTP values must name the same kind of car."""
        wltp, plugs = self.wltp, self.fuel in ("electric", "plugin_hybrid")
        for name, value, wanted in (
            ("battery_kwh", self.battery_kwh, plugs or self.fuel == "hybrid"),
            ("wltp: consumption_l_100km", wltp.consumption_l_100km, self.fuel != "electric"),
            ("wltp: energy_kwh_100km", wltp.energy_kwh_100km, plugs),
            ("wltp: electric_range_km", wltp.electric_range_km, plugs),
        ):
            if (value is not None) != wanted:
                problem = "is missing" if wanted else "must be left out"
                raise ValueError(f"{name}: {problem} when fuel is {self.fuel}")
        if (self.fuel == "electric") != (wltp.co2_g_km == 0):
            raise ValueError("wltp: co2_g_km: is zero exactly when fuel is electric")
        return self


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
