"""The advisor's copy of the catalogue in memory: the range, and which cars are on offer where.

Every replica keeps its own and follows the catalogue's change feed (docs/decisions/0030).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from sys import intern
from weakref import WeakValueDictionary

from app.contracts.catalog import Car, Dealer, Model
from app.contracts.packed import pack, unpack
from app.contracts.stock import CarChange
from app.kernel.opening import Calendar, first_open

Offers = Mapping[str, Sequence["OfferedCar"]]
"""Model to its cars on offer, cheapest first; at least one each."""


Alike = tuple[str, datetime | None, int | None]
"""A dealer's id, and a car's handover time and lead."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Stand:
    """Where a car stands and what its handover time follows from.

    One object for all cars that are alike in this, and so compared as one.
    """

    dealer: Dealer
    calendar: Calendar
    handover_at: datetime | None
    handover_lead: timedelta | None

    def ready_at(self, at: datetime) -> datetime | None:
        """When a car can be handed over if it is ordered at `at`; None when not stated."""
        if self.handover_lead is not None:
            return first_open(self.calendar, at + self.handover_lead)
        if self.handover_at is None:
            return None
        return first_open(self.calendar, max(self.handover_at, at))


@dataclass(frozen=True, slots=True)
class OfferedCar:
    """A car on offer.

    What is not compared is packed until it is shown: thirty thousand must fit into little
    memory.
    """

    car_id: str
    model_id: str
    price: int
    """Minor units of the market's currency."""
    colour_family: str
    colour_name: str
    stand: Stand
    _packed: bytes

    @property
    def dealer(self) -> Dealer:
        return self.stand.dealer

    @property
    def car(self) -> Car:
        return Car.model_validate_json(unpack(self._packed))


class Showroom:
    """What may be advised, by class of caller and market."""

    def __init__(self) -> None:
        self.models: Mapping[str, Model] = {}
        self.epoch = ""
        self.version = 0
        self.unread: set[str] = set()
        """Cars whose last change cannot be read: nobody knows whether they are still on offer."""
        self._cars: dict[str, tuple[tuple[bool, str], OfferedCar]] = {}
        """By id, each with its class of callers and market."""
        self._offers: dict[tuple[bool, str], dict[str, list[OfferedCar]]] = {}
        self._dealers: dict[str, Dealer] = {}
        self._stands: WeakValueDictionary[Alike, Stand] = WeakValueDictionary()

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
        self.unread |= set(unread)
        for car_id in unread:
            self._take(car_id)
        for change in changes:
            self.unread.discard(change.car_id)
            self._take(change.car_id)
            if change.listed and change.state == "available" and change.car.model_id:
                aisle: tuple[bool, str] = (change.rehearsal, change.car.market)
                self._put(aisle, _offered(change, self._stand(change)))
        self.version = max(self.version, version)

    def _put(self, aisle: tuple[bool, str], offered: OfferedCar) -> None:
        self._cars[offered.car_id] = (aisle, offered)
        insort(
            self._offers.setdefault(aisle, {}).setdefault(offered.model_id, []),
            offered,
            key=_order,
        )

    def _take(self, car_id: str) -> None:
        if car_id not in self._cars:
            return
        aisle, offered = self._cars.pop(car_id)
        offers = self._offers[aisle]
        cars = offers[offered.model_id]
        del cars[bisect_left(cars, _order(offered), key=_order)]
        if not cars:
            del offers[offered.model_id]

    def _stand(self, change: CarChange) -> Stand:
        dealer, lead = self._shared(change.dealer), change.handover_lead_seconds
        alike = (dealer.dealer_id, change.handover_at, lead)
        known = self._stands.get(alike)
        if known is None or known.dealer is not dealer:
            known = self._stands[alike] = Stand(
                dealer=dealer,
                calendar=Calendar.of(dealer),
                handover_at=change.handover_at,
                handover_lead=None if lead is None else timedelta(seconds=lead),
            )
        return known

    def _shared(self, dealer: Dealer) -> Dealer:
        """One object for all cars of a dealer, while it is described alike."""
        known = self._dealers.get(dealer.dealer_id)
        if known != dealer:
            known = self._dealers[dealer.dealer_id] = dealer
        return known

    def offers(self, *, rehearsal: bool, market: str) -> Offers:
        return self._offers.get((rehearsal, market), {})


def _offered(change: CarChange, stand: Stand) -> OfferedCar:
    car = change.car
    return OfferedCar(
        car_id=car.car_id,
        model_id=intern(car.model_id or ""),
        price=car.price.amount,
        colour_family=intern(car.colour.family),
        colour_name=intern(car.colour.name.casefold()),
        stand=stand,
        _packed=pack(car.model_dump_json(exclude_unset=True).encode()),
    )


def _order(offered: OfferedCar) -> tuple[int, str]:
    return offered.price, offered.car_id
