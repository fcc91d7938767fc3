"""The advisor's copy of the catalogue in memory: the range, and which cars are on offer where.

Every replica keeps its own and follows the catalogue's change feed (docs/decisions/0030).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from sys import intern

from app.contracts.catalog import Car, Dealer, Model
from app.contracts.stock import CarChange
from app.kernel.opening import Calendar, first_open

Offers = Mapping[str, tuple["OfferedCar", ...]]
"""Model to its cars on offer, cheapest first."""


@dataclass(frozen=True, slots=True)
class OfferedCar:
    """A car on offer, and what its handover time follows from.

    Everything else of it is text until it is shown: thirty thousand must fit into little memory.
    """

    car_id: str
    model_id: str
    price: int
    """Minor units of the market's currency."""
    colour_family: str
    colour_name: str
    dealer: Dealer
    calendar: Calendar
    handover_at: datetime | None
    handover_lead: timedelta | None
    _wire: bytes

    @property
    def car(self) -> Car:
        return Car.model_validate_json(self._wire)

    def ready_at(self, at: datetime) -> datetime | None:
        """When it can be handed over if it is ordered at `at`; None when not stated."""
        if self.handover_lead is not None:
            return first_open(self.calendar, at + self.handover_lead)
        if self.handover_at is None:
            return None
        return first_open(self.calendar, max(self.handover_at, at))


class Showroom:
    """What may be advised, by class of caller and market."""

    def __init__(self) -> None:
        self.models: Mapping[str, Model] = {}
        self.epoch = ""
        self.version = 0
        self.unread: set[str] = set()
        """Cars whose last change cannot be read: nobody knows whether they are still on offer."""
        self._cars: dict[tuple[bool, str], dict[str, OfferedCar]] = {}
        self._dealers: dict[str, Dealer] = {}
        self._offers: dict[tuple[bool, str], Offers] = {}

    @property
    def open(self) -> bool:
        """Whether the catalogue was read at all."""
        return bool(self.models)

    def put_models(self, models: Sequence[Model]) -> None:
        self.models = {model.model_id: model for model in models}

    def clear(self) -> None:
        """Forget every car: the catalogue tells of all of them anew."""
        self.version = 0
        self.unread.clear()
        self._cars.clear()
        self._offers.clear()

    def put_changes(
        self, changes: Sequence[CarChange], version: int, *, unread: Collection[str] = ()
    ) -> None:
        """Take over changes of the catalogue up to its `version`.

        Cars outside the range are left out: there is no sheet to advise from. So are `unread` ones
        until a change of theirs can be read.
        """
        touched: set[tuple[bool, str]] = set()
        self.unread |= set(unread)
        for known, stock in self._cars.items():
            if [stock.pop(car_id) for car_id in unread if car_id in stock]:
                touched.add(known)
        for change in changes:
            self.unread.discard(change.car_id)
            aisle: tuple[bool, str] = (change.rehearsal, change.car.market)
            cars = self._cars.setdefault(aisle, {})
            touched.add(aisle)
            if change.listed and change.state == "available" and change.car.model_id:
                cars[change.car_id] = _offered(change, self._shared(change.dealer))
            else:
                cars.pop(change.car_id, None)
        for touched_aisle in touched:
            self._offers[touched_aisle] = _by_model(self._cars[touched_aisle].values())
        self.version = max(self.version, version)

    def _shared(self, dealer: Dealer) -> Dealer:
        """One object for all cars of a dealer, while it is described alike."""
        known = self._dealers.get(dealer.dealer_id)
        if known != dealer:
            known = self._dealers[dealer.dealer_id] = dealer
        return known

    def offers(self, *, rehearsal: bool, market: str) -> Offers:
        return self._offers.get((rehearsal, market), {})


def _offered(change: CarChange, dealer: Dealer) -> OfferedCar:
    car, lead = change.car, change.handover_lead_seconds
    return OfferedCar(
        car_id=car.car_id,
        model_id=intern(car.model_id or ""),
        price=car.price.amount,
        colour_family=intern(car.colour.family),
        colour_name=intern(car.colour.name.casefold()),
        dealer=dealer,
        calendar=Calendar.of(dealer),
        handover_at=change.handover_at,
        handover_lead=None if lead is None else timedelta(seconds=lead),
        _wire=car.model_dump_json(exclude_unset=True).encode(),
    )


def _by_model(cars: Iterable[OfferedCar]) -> Offers:
    found: dict[str, list[OfferedCar]] = {}
    for offered in sorted(cars, key=lambda o: (o.price, o.car_id)):
        found.setdefault(offered.model_id, []).append(offered)
    return {model_id: tuple(offers) for model_id, offers in found.items()}
