"""The advisor's public API: needs and preferences in, ranked models with exact cars out."""

from __future__ import annotations

from pydantic import Field

from app.contracts.catalog import Body, Car, Fuel, Model
from app.contracts.client import ServiceClient
from app.contracts.events import AdviceResult
from app.contracts.wire import Term, Wire
from telemetry.catalogue.labels import Market


class Needs(Wire):
    """Hard needs; None means "no need stated". `max_price` in the market's minor units."""

    seats: int | None = Field(None, ge=1, le=9)
    child_seats: int | None = Field(None, ge=0, le=6)
    luggage_litres: int | None = Field(None, ge=0, le=5000)
    towing_kg: int | None = Field(None, ge=0, le=5000)
    max_price: int | None = Field(None, ge=1, le=10**12)
    min_range_km: int | None = Field(None, ge=0, le=2000)
    fuels: list[Fuel] = []
    bodies: list[Body] = []
    all_wheel_drive: bool | None = None


class Location(Wire):
    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)


class MatchRequest(Wire):
    market: Market
    needs: Needs = Needs()
    preferences: dict[str, float] = {}
    """Trait -> 0..1; unknown traits are refused, missing ones are neutral."""
    location: Location | None = None
    colours: list[Term] = []
    limit: int = Field(5, ge=1, le=20)


class Reason(Wire):
    """One reason or trade-off, from stored numbers."""

    code: str
    text: str
    value: float | str | bool | None
    wanted: float | str | bool | None
    weight: float
    contribution: float
    """`weight * (utility - average)`: how much this lifts or lowers the score."""
    utility: float = 0.0
    """How well the wish is met, 0..1."""
    average: float = 0.0
    """The same over everything that met the needs."""


class ChosenCars(Wire):
    """Exact cars of the model at dealers; each None when there is none."""

    nearest: Car | None = None
    cheapest: Car | None = None
    ready_today: Car | None = None
    colour: Car | None = None


class Match(Wire):
    model: Model
    score: float
    """Share of the shopper's weighted wishes that are met, 0..1; not a probability."""
    because: list[Reason]
    trade_offs: list[Reason]
    cars: ChosenCars
    available: int
    """How many cars of the model are on offer in the market and meet the needs."""


class NeedChange(Wire):
    """One need loosened; `bool` first, so that false stays false."""

    need: str
    from_: bool | int | list[str] | None = Field(alias="from", serialization_alias="from")
    to: bool | int | list[str] | None


class Relaxation(NeedChange):
    """A need that, loosened, would bring results; fewest changes first, child seats last."""

    also: list[NeedChange] = []
    """Needs that must give way together with it; empty when it is enough alone."""
    models: int
    cars: int


class MatchResponse(Wire):
    advice_id: str
    result: AdviceResult
    matches: list[Match]
    relaxations: list[Relaxation]


class AdvisorClient(ServiceClient):
    """Typed client of the advisor's public API."""

    async def match(self, request: MatchRequest) -> MatchResponse:
        body = await self.post("/api/advisor/v1/matches", request.model_dump(mode="json"))
        return MatchResponse.model_validate_json(body)
