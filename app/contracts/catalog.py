"""The catalogue's public API: models, dealers, stock cars, stock feeds; and its client."""

from __future__ import annotations

from datetime import date
from typing import Any, Final, Literal, get_args

import httpx

from app.contracts.client import ServiceClient, segment
from app.contracts.wire import CarState, MoneyWire, Timestamp, Wire
from telemetry.catalogue.labels import Market

MAKE: Final = "Ellevar"
"""The make that this shop is of; others are sold used."""

Body = Literal[
    "hatchback", "sedan", "estate", "suv", "coupe", "convertible", "mpv", "van", "pickup"
]
BODIES: Final[tuple[Body, ...]] = get_args(Body)
Fuel = Literal["electric", "plugin_hybrid", "hybrid", "petrol", "diesel"]
FUELS: Final[tuple[Fuel, ...]] = get_args(Fuel)
Drivetrain = Literal["fwd", "rwd", "awd"]
DRIVETRAINS: Final[tuple[Drivetrain, ...]] = get_args(Drivetrain)
Transmission = Literal["single_speed", "automatic", "manual"]
TRANSMISSIONS: Final[tuple[Transmission, ...]] = get_args(Transmission)
Sort = Literal["distance", "price", "ready"]

TRAITS: Final = ("sporty", "comfort", "expressive", "practical", "adventurous", "progressive")
"""The personality matrix's axes, each 0..1."""

ColourFamily = Literal[
    "white", "black", "grey", "silver", "blue", "red", "green", "brown", "beige", "yellow", "orange"
]
COLOUR_FAMILIES: Final[tuple[ColourFamily, ...]] = get_args(ColourFamily)
LightSignature = Literal["blade", "arc", "dots", "wing", "thread", "frame"]
LIGHT_SIGNATURES: Final[tuple[LightSignature, ...]] = get_args(LightSignature)


class Isofix(Wire):
    """Child seat positions of a model (the feeds' reference: per seat, not a count)."""

    rear_outer: int = 0
    front: bool = False
    isize_positions: list[str] = []
    top_tether: int = 0
    three_across: bool = False


class Wltp(Wire):
    """WLTP figures; those that do not apply to the drivetrain are absent."""

    consumption_l_100km: float | None = None
    energy_kwh_100km: float | None = None
    co2_g_km: float | None = None
    electric_range_km: int | None = None


class Design(Wire):
    """Parameters of the parametric side-view drawing."""

    roofline_drop: float
    nose_length: float
    beltline: float
    rear_rake: float
    light_signature: str
    cladding: bool
    roof_rails: bool
    two_tone: bool


class Paint(Wire):
    code: str
    name: dict[str, str]
    """By language: `sv`, `en`."""
    family: str
    hex: str


class Model(Wire):
    """A specification sheet of the range, with its personality."""

    model_id: str
    name: str
    body: Body
    seats: int
    doors: int
    isofix: Isofix
    boot_litres: int
    boot_max_litres: int
    tow_kg: int
    drivetrain: str
    fuel: Fuel
    transmission: str
    power_kw: int
    acceleration_s: float
    top_speed_kmh: int
    battery_kwh: float | None = None
    wltp: Wltp
    length_mm: int
    width_mm: int
    height_mm: int
    wheelbase_mm: int
    ground_clearance_mm: int
    wheel_inches: int
    kerb_mass_kg: int
    prices: dict[str, MoneyWire]
    """List price with VAT by market."""
    personality: dict[str, float]
    design: Design
    tagline: dict[str, str]
    description: dict[str, str]
    equipment: dict[str, list[str]]
    paints: list[Paint]


class OpeningHours(Wire):
    """schema.org openingHoursSpecification; local time at the dealer."""

    days: list[str]
    opens: str
    closes: str


class Dealer(Wire):
    dealer_id: str
    name: str
    market: Market
    city: str
    address: str
    lat: float | None = None
    lon: float | None = None
    time_zone: str
    opening_hours: list[OpeningHours] = []
    closed_days: list[date] = []
    """Beside the market's holidays (ISO 8601, local)."""
    phone: str | None = None


class DealerOfCar(Wire):
    dealer_id: str
    name: str
    city: str
    lat: float | None = None
    lon: float | None = None
    distance_km: float | None = None
    """Only when `near` was asked."""


class Colour(Wire):
    family: str
    name: str
    hex: str | None = None
    code: str | None = None


class Car(Wire):
    """One stock car, as it stands at a dealer."""

    car_id: str
    model_id: str | None
    """None for a car outside the range: listed and sold, but not advised."""
    title: str
    make: str
    model_name: str
    trim: str | None = None
    model_year: int | None = None
    body: str | None = None
    fuel: str | None = None
    drivetrain: str | None = None
    transmission: str | None = None
    power_kw: int | None = None
    seats: int | None = None
    condition: str
    odometer_km: int | None = None
    wltp: Wltp
    colour: Colour
    price: MoneyWire
    list_price: MoneyWire | None = None
    vat_rate: str | None = None
    features: list[str] = []
    market: Market
    dealer: DealerOfCar
    state: CarState
    ready_for_handover_at: Timestamp | None = None
    ready_today: bool = False


class CarPage(Wire):
    items: list[Car]
    next_cursor: str | None = None
    total: int
    """How many cars fit the filters in all."""


class ModelList(Wire):
    items: list[Model]


class DealerList(Wire):
    items: list[Dealer]


class RowReport(Wire):
    """What became of one row of a feed that was not simply accepted."""

    row: int
    stock_id: str | None = None
    field: str
    value: str
    reason: str
    message: str


class FeedReport(Wire):
    source: str
    accepted: int
    rejected: int
    unchanged: int
    removed: int
    promised: list[str] = []
    """Stock ids that the feed left out while a shopper holds or has ordered the car: theirs."""
    rejections: list[RowReport] = []
    notices: list[RowReport] = []
    more_rejections: int = 0
    """Counted, but not listed: an answer lists the first thousand."""
    more_notices: int = 0


class CatalogClient(ServiceClient):
    """Typed client of the catalogue's public API."""

    async def cars(self, **query: Any) -> CarPage:
        """Available cars; the parameters are the API's own, None is left out."""
        response = await self.get("/api/catalog/v1/cars", params=_given(query))
        return CarPage.model_validate_json(response)

    async def car(self, car_id: str) -> Car:
        body = await self.get(f"/api/catalog/v1/cars/{segment(car_id)}")
        return Car.model_validate_json(body)

    async def models(self) -> list[Model]:
        return ModelList.model_validate_json(await self.get("/api/catalog/v1/models")).items

    async def model(self, model_id: str) -> Model:
        body = await self.get(f"/api/catalog/v1/models/{segment(model_id)}")
        return Model.model_validate_json(body)

    async def dealers(self, *, market: str | None = None) -> list[Dealer]:
        body = await self.get("/api/catalog/v1/dealers", params=_given({"market": market}))
        return DealerList.model_validate_json(body).items


def _given(query: dict[str, Any]) -> httpx.QueryParams:
    return httpx.QueryParams(
        {
            key: str(value).lower() if isinstance(value, bool) else value
            for key, value in query.items()
            if value is not None and value != ""
        }
    )
