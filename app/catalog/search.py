"""Finding cars on the shelf: filters, order, and paging that stays stable while stock moves."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import nsmallest
from itertools import islice
from typing import Any

import orjson

from app.catalog.shelf import Shelf, ShelfCar, by_price, ready_today
from app.contracts.catalog import Sort
from app.kernel.errors import InvalidInput
from app.kernel.geo import distance_km

Key = tuple[Any, ...]
NEVER = math.inf


@dataclass(frozen=True, slots=True)
class CarQuery:
    """What a shopper asked for; empty tuples and None mean "no wish".

    `near` is (latitude, longitude) in degrees, `max_price` minor units of the market's currency.
    """

    market: str | None = None
    models: frozenset[str] = frozenset()
    bodies: frozenset[str] = frozenset()
    fuels: frozenset[str] = frozenset()
    colours: frozenset[str] = frozenset()
    dealers: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    min_seats: int | None = None
    max_price: int | None = None
    near: tuple[float, float] | None = None
    ready_today: bool = False
    sort: Sort | None = None
    limit: int = 24
    cursor: str | None = None
    rehearsal: bool = False

    @property
    def order(self) -> Sort:
        """Nearest first when a place is known, else cheapest first."""
        return self.sort or ("distance" if self.near else "price")


def find_cars(shelf: Shelf, query: CarQuery, *, now: datetime) -> bytes:
    """The wire `CarPage` as JSON. `now` is a whole minute, so that equal answers are equal bytes.

    A page's cursor names the last car's place in the order, not a count: cars that come or go
    between two pages shift nothing. Raises `InvalidInput` for a cursor that is not ours.
    """
    after, as_of = read_cursor(query) if query.cursor else (None, now)
    distances, ready = _Distances(query.near), _Readiness(as_of)
    found = shelf.on_offer(rehearsal=query.rehearsal, market=query.market)
    for fits in _wishes(query, shelf, now, _Readiness(now)):
        found = [car for car in found if fits(car)]
    key = _key(query.order, distances, ready)
    rest = (car for car in found if after is None or key(car) > after)
    if query.order == "price" and query.market is not None:  # as they stand on the shelf
        page = list(islice(rest, query.limit + 1))
    else:
        page = nsmallest(query.limit + 1, rest, key=key)
    cursor = None
    if len(page) > query.limit:
        page.pop()
        cursor = _cursor(query.order, as_of, key(page[-1]))
    items = b",".join(
        car.json(
            at=now,
            distance_km=distances.to(car),
            closing=shelf.closing(car.dealer, now),
        )
        for car in page
    )
    return b'{"items":[%s],"next_cursor":%s,"total":%d}' % (
        items,
        orjson.dumps(cursor),
        len(found),
    )


def _wishes(
    query: CarQuery, shelf: Shelf, now: datetime, readiness: _Readiness
) -> Iterator[Callable[[ShelfCar], bool]]:
    """What a car must be, for each wish that was made; the dearest to find out comes last."""
    if query.models:
        yield lambda car: car.model_id in query.models
    if query.bodies:
        yield lambda car: car.body in query.bodies
    if query.fuels:
        yield lambda car: car.fuel in query.fuels
    if query.colours:
        yield lambda car: car.colour_family in query.colours or car.colour_name in query.colours
    if query.dealers:
        yield lambda car: car.dealer.dealer_id in query.dealers
    if query.exclude:
        yield lambda car: car.car_id not in query.exclude
    if query.min_seats is not None:
        least = query.min_seats
        yield lambda car: car.seats >= least
    if query.max_price is not None:
        most = query.max_price
        yield lambda car: car.price_minor <= most
    if query.ready_today:
        yield lambda car: ready_today(readiness.of(car), shelf.closing(car.dealer, now))


class _Distances:
    """Kilometres to each dealer, worked out once per dealer and to 0.1 km (a stable order)."""

    def __init__(self, near: tuple[float, float] | None) -> None:
        self._near = near
        self._known: dict[str, float] = {}

    def to(self, car: ShelfCar) -> float | None:
        dealer = car.dealer
        if self._near is None or dealer.lat is None or dealer.lon is None:
            return None
        known = self._known.get(dealer.dealer_id)
        if known is None:
            known = round(distance_km(*self._near, dealer.lat, dealer.lon), 1)
            self._known[dealer.dealer_id] = known
        return known


class _Readiness:
    """When cars are ready, worked out once for all of a dealer's with the same handover."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._known: dict[tuple[str, datetime | None, timedelta | None], datetime | None] = {}

    def of(self, car: ShelfCar) -> datetime | None:
        alike = (car.dealer.dealer_id, car.handover_at, car.handover_lead)
        if alike not in self._known:
            self._known[alike] = car.ready_at(self._at)
        return self._known[alike]


def _key(order: Sort, distances: _Distances, readiness: _Readiness) -> Callable[[ShelfCar], Key]:
    """A car's place in the order; the car's id at the end makes every place unique."""

    def distance(car: ShelfCar) -> Key:
        away = distances.to(car)
        return (NEVER if away is None else away, car.price_minor, car.car_id)

    def ready(car: ShelfCar) -> Key:
        at = readiness.of(car)
        return (NEVER if at is None else int(at.timestamp()), car.price_minor, car.car_id)

    return {"distance": distance, "price": by_price, "ready": ready}[order]


def _cursor(order: Sort, as_of: datetime, place: Key) -> str:
    # JSON has no infinity: null stands for "no distance or time known", which sorts last.
    parts = [None if part == NEVER else part for part in place]
    raw = orjson.dumps([order, int(as_of.timestamp()), *parts])
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_cursor(query: CarQuery) -> tuple[Key, datetime]:
    """The place after which to go on, and the moment for which the first page was sorted."""
    try:
        raw = base64.b64decode(
            f"{query.cursor}{'=' * (-len(query.cursor or '') % 4)}", altchars=b"-_", validate=True
        )
        order, moment, *place = orjson.loads(raw)
        as_of = datetime.fromtimestamp(moment, UTC)
    except (ValueError, TypeError, OverflowError, OSError) as error:
        raise _not_ours() from error
    first, *others = place or [None]
    expected: tuple[type, ...] = (str,) if order == "price" else (int, float, type(None))
    if (
        order != query.order
        or [type(part) for part in others] != [int, str]
        or type(first) not in expected
    ):
        raise _not_ours()
    return (NEVER if first is None else first, *others), as_of


def _not_ours() -> InvalidInput:
    message = "is not a cursor of this query; ask for the first page again"
    return InvalidInput(
        f"cursor: {message}.", errors=[{"field": "cursor", "in": "query", "message": message}]
    )


def minute(now: datetime) -> datetime:
    """The whole minute in which answers stay byte for byte the same."""
    return now.replace(second=0, microsecond=0)
