"""Finding cars on the shelf: filters, order, and paging that stays stable while stock moves."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from app.catalog.shelf import Shelf, ShelfCar, ready_today
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
    distances = _Distances(query.near)
    found = [
        car
        for car in shelf.on_offer(rehearsal=query.rehearsal, market=query.market)
        if _fits(car, query)
        and (
            not query.ready_today or ready_today(car.ready_at(now), shelf.closing(car.dealer, now))
        )
    ]
    key = _key(query.order, distances, as_of)
    placed = sorted(((key(car), car) for car in found), key=lambda pair: pair[0])
    rest = [pair for pair in placed if after is None or pair[0] > after]
    page = rest[: query.limit]
    cursor = _cursor(query.order, as_of, page[-1][0]) if page and len(rest) > len(page) else None
    items = b",".join(
        car.json(
            at=now,
            distance_km=distances.to(car),
            closing=shelf.closing(car.dealer, now),
        )
        for _, car in page
    )
    return b'{"items":[%s],"next_cursor":%s,"total":%d}' % (
        items,
        orjson.dumps(cursor),
        len(found),
    )


def _fits(car: ShelfCar, query: CarQuery) -> bool:
    return (
        (not query.models or car.model_id in query.models)
        and (not query.bodies or car.body in query.bodies)
        and (not query.fuels or car.fuel in query.fuels)
        and (
            not query.colours
            or car.colour_family in query.colours
            or car.colour_name in query.colours
        )
        and (not query.dealers or car.dealer.dealer_id in query.dealers)
        and (query.min_seats is None or car.seats >= query.min_seats)
        and (query.max_price is None or car.price_minor <= query.max_price)
        and car.car_id not in query.exclude
    )


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


def _key(order: Sort, distances: _Distances, as_of: datetime) -> Callable[[ShelfCar], Key]:
    """A car's place in the order; the car's id at the end makes every place unique."""

    def distance(car: ShelfCar) -> Key:
        away = distances.to(car)
        return (NEVER if away is None else away, car.price_minor, car.car_id)

    def price(car: ShelfCar) -> Key:
        return (car.currency, car.price_minor, car.car_id)

    def ready(car: ShelfCar) -> Key:
        at = car.ready_at(as_of)
        return (NEVER if at is None else int(at.timestamp()), car.price_minor, car.car_id)

    return {"distance": distance, "price": price, "ready": ready}[order]


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
