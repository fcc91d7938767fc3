"""The stock as answers need it: in memory, each car's JSON prepared, refreshed by version.

Every replica keeps its own shelf and asks the database for what changed (docs/decisions/0030);
nothing here is the truth.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from sys import intern
from typing import Any, Final, TypeVar

import orjson

from app.catalog.store import StockCar, Store
from app.catalog.swap import is_rehearsal
from app.contracts.catalog import Dealer
from app.contracts.packed import pack, unpack
from app.kernel.clock import rfc3339
from app.kernel.opening import Calendar, closing_today, first_open

REFRESH_SECONDS: Final = 0.3
READ_AT_ONCE: Final = 500
"""Cars: one that is being read takes ten times what is kept of it."""

Aisle = tuple[bool, str]
"""For which callers, in which market."""

Piece = TypeVar("Piece", bytes, timedelta)


@dataclass(frozen=True, slots=True)
class ShelfCar:
    """One car with what filters and sorting look at, and its JSON in prepared pieces."""

    car_id: str
    model_id: str | None
    market: str
    rehearsal: bool
    body: str | None
    fuel: str | None
    colour_family: str
    colour_name: str
    seats: int
    price_minor: int
    currency: str
    dealer: Dealer
    calendar: Calendar
    state: str
    listed: bool
    handover_at: datetime | None
    handover_lead: timedelta | None
    version: int
    _packed: bytes
    _dealer: bytes
    _state: bytes

    @property
    def on_offer(self) -> bool:
        return self.listed and self.state == "available"

    @property
    def known_to_shoppers(self) -> bool:
        """On offer, or held, reserved or sold: then its page says so."""
        return self.listed or self.state != "available"

    def ready_at(self, at: datetime) -> datetime | None:
        """When the car can be handed over if it is ordered at `at`; None when not stated."""
        if self.handover_lead is not None:
            return first_open(self.calendar, at + self.handover_lead)
        if self.handover_at is None:
            return None
        return first_open(self.calendar, max(self.handover_at, at))

    def json(self, *, at: datetime, distance_km: float | None, closing: datetime | None) -> bytes:
        """The wire `Car`. `closing` is when the dealer closes today (`Shelf.closing`)."""
        ready = self.ready_at(at)
        return b"".join(
            (
                unpack(self._packed),
                self._dealer,
                b"null" if distance_km is None else b"%.1f" % distance_km,
                self._state,
                b"null" if ready is None else b'"%s"' % rfc3339(ready).encode(),
                b',"ready_today":',
                b"true" if ready_today(ready, closing) and self.on_offer else b"false",
                b"}",
            )
        )


def ready_today(ready: datetime | None, closing: datetime | None) -> bool:
    """The dealer is still to close today, and the car is ready before that."""
    return ready is not None and closing is not None and ready < closing


def by_price(car: ShelfCar) -> tuple[str, int, str]:
    """A car's place in the order of prices; its id at the end makes every place unique."""
    return car.currency, car.price_minor, car.car_id


def shelf_car(stored: StockCar, dealer: Dealer) -> ShelfCar:
    document: dict[str, Any] = dict(stored.document)
    of_dealer = document.pop("dealer")
    lead = stored.handover_lead_seconds
    return ShelfCar(
        car_id=stored.car_id,
        model_id=_shared(document["model_id"]),
        market=intern(stored.market),
        rehearsal=is_rehearsal(stored.source),
        body=_shared(document["body"]),
        fuel=_shared(document["fuel"]),
        colour_family=intern(document["colour"]["family"]),
        colour_name=intern(document["colour"]["name"].casefold()),
        seats=document["seats"] or 0,
        price_minor=document["price"]["amount"],
        currency=intern(document["price"]["currency"]),
        dealer=dealer,
        calendar=Calendar.of(dealer),
        state=intern(stored.state),
        listed=stored.listed,
        handover_at=stored.handover_at,
        handover_lead=None if lead is None else _once(timedelta(seconds=lead)),
        version=stored.version,
        _packed=pack(orjson.dumps(document)[:-1]),
        _dealer=_once(b',"dealer":%s,"distance_km":' % orjson.dumps(of_dealer)[:-1]),
        _state=_once(b'},"state":"%s","ready_for_handover_at":' % stored.state.encode()),
    )


@lru_cache(maxsize=5_000)
def _once(piece: Piece) -> Piece:
    """One object for all cars of which the same is said."""
    return piece


def _shared(name: str | None) -> str | None:
    """One object for all cars that have this name."""
    return None if name is None else intern(name)


class Shelf:
    """The cars on offer, held or reserved; sold ones and those that left are looked up."""

    def __init__(self, store: Store, shipped_dealers: Sequence[Dealer]) -> None:
        self._store = store
        self._shipped_dealers = {dealer.dealer_id: dealer for dealer in shipped_dealers}
        self._cars: dict[str, ShelfCar] = {}
        self._aisles: dict[Aisle, list[ShelfCar]] = {}
        self._closings: dict[tuple[str, datetime], datetime | None] = {}
        self.dealers: Mapping[str, Dealer] = self._shipped_dealers
        self._refreshing = asyncio.Lock()
        self.epoch = ""
        self.version = 0

    async def refresh(self) -> None:
        """Take over everything that was committed since the last time."""
        # One at a time: an older answer that arrives late must not overwrite a newer one.
        async with self._refreshing:
            gone = await self._begin_anew_if_restored()
            changed = await self._store.changed_since(self.version, limit=READ_AT_ONCE)
            while changed:
                if any(car.dealer_id not in self.dealers for car in changed):
                    await self._load_dealers()
                self._put(changed)
                gone -= {car.car_id for car in changed}
                if len(changed) < READ_AT_ONCE:
                    break
                changed = await self._store.changed_since(self.version, limit=READ_AT_ONCE)
            self._take_away(gone)

    async def _begin_anew_if_restored(self) -> set[str]:
        """Read all from the start when the database is an older one; cars it may not know."""
        epoch, version = await self._store.edition()
        restored = self.epoch not in ("", epoch) or version < self.version
        self.epoch = epoch
        if not restored:
            return set()
        self.version = 0
        return set(self._cars)

    def _take_away(self, car_ids: Iterable[str]) -> None:
        for car_id in car_ids:
            car = self._cars.pop(car_id, None)
            if car is not None and car.on_offer:
                aisle = self._aisles[car.rehearsal, car.market]
                del aisle[bisect_left(aisle, by_price(car), key=by_price)]

    async def car(self, car_id: str) -> ShelfCar | None:
        """A car in whatever state; None when no feed ever offered it."""
        found = self._cars.get(car_id)
        if found is not None:
            return found
        stored = await self._store.car(car_id)
        if stored is None:
            return None
        if stored.dealer_id not in self.dealers:
            await self._load_dealers()
        return shelf_car(stored, self.dealers[stored.dealer_id])

    def on_offer(self, *, rehearsal: bool, market: str | None) -> Sequence[ShelfCar]:
        """Available cars of one market, cheapest first, or of all, for one class of callers."""
        if market is not None:
            return self._aisles.get((rehearsal, market), ())
        return [
            car for (kind, _), cars in self._aisles.items() if kind == rehearsal for car in cars
        ]

    def closing(self, dealer: Dealer, at: datetime) -> datetime | None:
        """When the dealer closes today; None when it is closed for the rest of the day."""
        key = (dealer.dealer_id, at)
        if key not in self._closings:
            if len(self._closings) > 10_000:
                self._closings.clear()
            self._closings[key] = closing_today(Calendar.of(dealer), at)
        return self._closings[key]

    def _put(self, changed: Sequence[StockCar]) -> None:
        self._take_away(stored.car_id for stored in changed)
        for stored in changed:
            car = shelf_car(stored, self.dealers[stored.dealer_id])
            if car.listed and car.state != "sold":
                self._cars[car.car_id] = car
            if car.on_offer:
                aisle = self._aisles.setdefault((car.rehearsal, car.market), [])
                insort(aisle, car, key=by_price)
            self.version = max(self.version, car.version)

    async def _load_dealers(self) -> None:
        # The shipped range wins: its hours may be newer than what the last import stored.
        stored = {dealer.dealer_id: dealer for dealer in await self._store.dealers()}
        self.dealers = {**stored, **self._shipped_dealers}
