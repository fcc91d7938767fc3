"""The car list's wishes: read from the address, written into addresses, told to the catalogue.

Whatever an address says that makes no sense is left out: a link from somewhere must not break.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final
from urllib.parse import urlencode

from app.contracts.catalog import Dealer
from app.kernel.money import MINOR_UNITS
from app.storefront.places import Place
from app.storefront.vocabulary import BODIES, COLOURS, FUELS

PER_PAGE: Final = 18
SORTS: Final = ("distance", "price", "ready")
MANY: Final = ("model", "body", "fuel", "colour")
_POINT: Final = re.compile(r"(-?\d{1,2}(?:\.\d{1,6})?),(-?\d{1,3}(?:\.\d{1,6})?)")
_CURRENCY: Final = r"(?:kr\.?|kronor|kroner|sek|nok|dkk|eur|euro|€)"
_PRICE: Final = re.compile(
    rf"(?:{_CURRENCY}\s*)?(\d(?:[\s'’]?\d|[.,]\d{{3}}(?!\d))*)"
    rf"(?:[.,]\d{{1,2}}|[.,:]\s?[-\u2013])?\s*{_CURRENCY}?"
)
_APOSTROPHES: Final = {ord(mark): None for mark in "'\u2019"}
_SLUG: Final = re.compile(r"[a-z0-9-]{1,40}")
_CLOSED: Final[Mapping[str, Sequence[str]]] = {
    "body": tuple(BODIES),
    "fuel": tuple(FUELS),
    "colour": tuple(COLOURS),
}


@dataclass(frozen=True, slots=True)
class City:
    """A town with dealers; where it is, in degrees, is the mean of its dealers' places."""

    name: str
    lat: float
    lon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the shopper asked the list for. `max_price` is whole units of the currency."""

    model: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    fuel: tuple[str, ...] = ()
    colour: tuple[str, ...] = ()
    seats: int | None = None
    max_price: int | None = None
    today: bool = False
    near: str = ""
    """A city's name, or `lat,lon`."""
    sort: str = ""
    cursor: str = field(default="", compare=False)

    def query(self, **changes: Any) -> str:
        """The address's query for these wishes with `changes`; the cursor never stays."""
        wishes = replace(self, **{"cursor": "", **changes})
        pairs: list[tuple[str, str]] = []
        for each in fields(wishes):
            value = getattr(wishes, each.name)
            if isinstance(value, tuple):
                pairs += [(each.name, item) for item in value]
            elif value:
                pairs.append((each.name, "1" if value is True else str(value)))
        return urlencode(pairs)

    def without(self, name: str, value: str = "") -> str:
        """The query without one wish (or one value of it)."""
        current = getattr(self, name)
        if isinstance(current, tuple):
            return self.query(**{name: tuple(item for item in current if item != value)})
        return self.query(**{name: type(current)() if isinstance(current, str | bool) else None})

    @property
    def any(self) -> bool:
        """Whether anything narrows the list (place and order do not)."""
        return bool(self.query(near="", sort=""))


def read_wishes(items: Sequence[tuple[str, str]]) -> Wishes:
    """The wishes of an address's query pairs."""
    many: dict[str, list[str]] = {name: [] for name in MANY}
    one: dict[str, str] = {}
    for name, value in items:
        if name in many:
            if _allowed(name, value) and value not in many[name]:
                many[name].append(value)
        else:
            one[name] = value.strip()
    sort = one.get("sort", "")
    near = one.get("near", "")[:60]
    return Wishes(
        **{name: tuple(values[:20]) for name, values in many.items()},
        seats=_whole(one.get("seats", ""), 1, 9),
        max_price=_price(one.get("max_price", "")),
        today=one.get("today", "") in ("1", "true", "on"),
        near=near,
        sort=sort if sort in SORTS else "",
        cursor=one.get("cursor", "")[:300],
    )


def fewer_wishes(wishes: Wishes) -> list[tuple[str, Wishes]]:
    """Each narrowing wish by name, with the wishes that remain when it alone is given up."""
    return [
        (name, replace(wishes, **{name: _NOTHING[name], "cursor": ""}))
        for name in _NOTHING
        if getattr(wishes, name)
    ]


_NOTHING: Final[Mapping[str, Any]] = {
    "today": False,
    "colour": (),
    "max_price": None,
    "seats": None,
    "fuel": (),
    "body": (),
    "model": (),
}


def _allowed(name: str, value: str) -> bool:
    closed = _CLOSED.get(name)
    return value in closed if closed else bool(_SLUG.fullmatch(value))


def _whole(text: str, low: int, high: int) -> int | None:
    digits = re.sub(r"[\s.,\u00a0\u202f]", "", text)
    if not digits.isascii() or not digits.isdigit() or len(digits) > 10:
        return None
    value = int(digits)
    return value if low <= value <= high else None


def _price(text: str) -> int | None:
    """Whole units of a price as people type and paste it: `449 900,00 kr`."""
    match = _PRICE.fullmatch(unicodedata.normalize("NFKC", text).strip().lower())
    return _whole(match.group(1).translate(_APOSTROPHES), 1, 10**9) if match else None


def point_of(near: str, cities: Mapping[str, City]) -> tuple[float, float] | None:
    """Degrees of a city or of a `lat,lon`; None when it is neither."""
    city = cities.get(near.casefold())
    if city is not None:
        return (city.lat, city.lon)
    match = _POINT.fullmatch(near)
    if match is None:
        return None
    lat, lon = float(match.group(1)), float(match.group(2))
    return (lat, lon) if abs(lat) <= 90 and abs(lon) <= 180 else None


def api_query(wishes: Wishes, place: Place, cities: Mapping[str, City]) -> dict[str, Any]:
    """The catalogue's parameters for these wishes."""
    point = point_of(wishes.near, cities)
    sort = wishes.sort
    if sort == "distance" and point is None:
        sort = ""
    maximum = wishes.max_price
    return {
        "market": place.market,
        "model": list(wishes.model),
        "body": list(wishes.body),
        "fuel": list(wishes.fuel),
        "colour": list(wishes.colour),
        "min_seats": wishes.seats,
        "max_price": None if maximum is None else maximum * 10 ** MINOR_UNITS[place.currency],
        "near": None if point is None else f"{point[0]:.4f},{point[1]:.4f}",
        "ready_today": True if wishes.today else None,
        "sort": sort or None,
        "limit": PER_PAGE,
        "cursor": wishes.cursor or None,
    }


def cities_of(dealers: Sequence[Dealer]) -> dict[str, City]:
    """Towns with dealers that have a place, by their name in lower case, in alphabetical order."""
    found: dict[str, list[tuple[float, float]]] = {}
    for dealer in dealers:
        if dealer.lat is not None and dealer.lon is not None:
            found.setdefault(dealer.city, []).append((dealer.lat, dealer.lon))
    return {
        name.casefold(): City(
            name,
            sum(lat for lat, _ in points) / len(points),
            sum(lon for _, lon in points) / len(points),
        )
        for name, points in sorted(found.items())
    }
