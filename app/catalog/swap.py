"""What an import changes: the difference between a source's known stock and its new feed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Protocol

from app.catalog.range.dealers import Dealer
from app.catalog.range.stock import REHEARSAL_SOURCE

UNREADABLE: Final = "row"
"""A row was refused for what stands in it: its car keeps its place until it leaves the feed."""

CLAIMED: Final = "vin"
"""A row was refused because its physical car is another row's."""

PRICES_COUNT: Final = timedelta(days=30)
"""How long the last price of a car that is off sale is what a new price is compared with."""


class Documents(Protocol):
    """Where the documents of a feed's cars wait."""

    def at(self, place: int) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class OfferedCar:
    """A car as its feed offers it now; `handover_lead_seconds` counts from the order."""

    car_id: str
    stock_id: str
    dealer: Dealer
    price: int
    """Minor units of the market's currency."""
    documents: Documents
    place: int
    """Where its document (`documents.car_document`) waits."""
    handover_at: datetime | None
    handover_lead_seconds: int | None
    digest: str
    identity: str | None = None
    """Keyed hash of the VIN; None when neither the feed nor anything before states one."""
    stated: str | None = None
    """Another one, which the row states while a customer has the car by `identity`."""
    named: bool = False
    """Whether the row itself states a VIN."""
    row: int = 0

    @property
    def document(self) -> dict[str, Any]:
        return self.documents.at(self.place)

    @property
    def identities(self) -> set[str]:
        return {identity for identity in (self.identity, self.stated) if identity}


class Placed:
    """What a stored row says of its place in its feed."""

    __slots__ = ()

    listed: bool
    refused: str | None

    @property
    def placed(self) -> bool:
        """Whether it is listed, or only kept from that by what its row says just now."""
        return self.listed or self.refused == UNREADABLE


@dataclass(frozen=True, slots=True)
class KnownCar(Placed):
    """What the last import left behind; `state` is checkout's word."""

    car_id: str
    digest: str
    listed: bool
    state: str
    price: int
    identity: str | None
    stated: str | None
    stock_id: str
    refused: str | None
    """Why its row was refused, though it is still in its feed."""
    changed_at: datetime

    def sharing(self, car: OfferedCar | None) -> KnownCar:
        """The same, with the texts of the car as it is offered now where they are alike."""
        if car is None:
            return self
        return replace(
            self,
            car_id=car.car_id,
            stock_id=car.stock_id,
            digest=car.digest if car.digest == self.digest else self.digest,
            identity=car.identity if car.identity == self.identity else self.identity,
        )

    @property
    def in_feed(self) -> bool:
        return self.listed or self.refused is not None

    @property
    def taken(self) -> bool:
        """Whether a customer has it, or its dealer sold it."""
        return self.state != "available"


@dataclass(frozen=True, slots=True)
class OffSale:
    """A known car that the import does not offer. `refused`: why, though the feed still has it."""

    car: KnownCar
    refused: str | None
    identity: str | None
    stated: str | None

    @property
    def leaves(self) -> bool:
        """Whether its offer or its row ends now."""
        return self.car.listed or (self.car.in_feed and self.refused is None)


@dataclass(frozen=True, slots=True)
class Repriced:
    """A car on offer whose price the feed changes; minor units."""

    stock_id: str
    before: int
    after: int


NO_CARS: Final[Mapping[str, OfferedCar]] = MappingProxyType({})
NO_PRICES: Final[Mapping[str, int]] = MappingProxyType({})
NO_VINS: Final[Mapping[str, str | None]] = MappingProxyType({})


@dataclass(slots=True)
class Swap:
    """The difference. `removed` were on offer; `left` were held, reserved or sold already."""

    added: list[OfferedCar] = field(default_factory=list)
    changed: list[OfferedCar] = field(default_factory=list)
    unchanged: int = 0
    removed: list[OffSale] = field(default_factory=list)
    left: list[OffSale] = field(default_factory=list)
    marked: list[OffSale] = field(default_factory=list)
    """Off sale before; only what their rows say of them changes."""
    noted: list[OfferedCar] = field(default_factory=list)
    """Unknown before and refused: their stock ids are known by what their rows state."""
    displaced: list[str] = field(default_factory=list)
    """Ids of other feeds' rows of cars that customers of this source have."""
    repriced: list[Repriced] = field(default_factory=list)
    on_offer: int = 0
    """Cars of the source that could be bought before this import."""
    empties: bool = False
    """Whether no car of the feed is taken."""

    @property
    def lost(self) -> int:
        """Removed cars that did not merely get another stock id, and are not sold elsewhere."""
        return sum(off.refused != CLAIMED for off in self.removed)

    @property
    def off_sale(self) -> list[OffSale]:
        return [*self.removed, *self.left, *self.marked]

    @property
    def changes(self) -> int:
        offered = (self.added, self.noted, self.changed)
        return sum(map(len, offered)) + len(self.off_sale) + len(self.displaced)


def difference(
    known: Sequence[KnownCar],
    offered: Sequence[OfferedCar],
    *,
    unreadable: Mapping[str, str | None] = NO_VINS,
    claimed: Mapping[str, OfferedCar] = NO_CARS,
    prices: Mapping[str, int] = NO_PRICES,
    now: datetime,
) -> Swap:
    """Compare a source's whole feed with what is known of it.

    A sold, held or reserved car that leaves the feed is not removed stock: dealers must take such
    cars out (Google's policy), so only available cars count for the guard. `unreadable` are the
    ids of cars whose rows were refused for what stands in them, with the identity that those state,
    `claimed` those whose physical car is somebody else's: both are still in the feed. `prices` are
    last prices by identity.
    """
    swap = Swap(
        on_offer=sum(car.listed and not car.taken for car in known),
        empties=not offered,
    )
    before = {car.car_id: car for car in known}
    for car in offered:
        old = before.pop(car.car_id, None)
        price = _last_price(old, now)
        if old is None or not offers_still(old, car):
            price = prices.get(car.identity or "", price)
        if price is not None and price != car.price:
            swap.repriced.append(Repriced(car.stock_id, price, car.price))
        if old is None:
            swap.added.append(car)
        elif old.listed and _of_offer(old) == _of_offer(car):
            swap.unchanged += 1
        else:
            swap.changed.append(car)
    elsewhere = {i: UNREADABLE for i in unreadable.values() if i}
    elsewhere |= {i: CLAIMED for car in (*offered, *claimed.values()) for i in car.identities}
    swap.noted = [car for car_id, car in claimed.items() if car_id not in before]
    for old in before.values():
        if not (old.in_feed or old.car_id in claimed or old.car_id in unreadable):
            continue
        off = _off_sale(old, unreadable, claimed.get(old.car_id), elsewhere)
        if old.listed:
            (swap.left if old.taken else swap.removed).append(off)
        elif (off.refused, off.identity, off.stated) != (old.refused, old.identity, old.stated):
            swap.marked.append(off)
    return swap


def offers_still(old: KnownCar, car: OfferedCar) -> bool:
    """Whether a row that is on offer goes on to name the same physical car."""
    return old.listed and old.identity == car.identity


def _of_offer(car: OfferedCar | KnownCar) -> tuple[str, str | None, str | None]:
    return car.digest, car.identity, car.stated


def _off_sale(
    old: KnownCar,
    unreadable: Mapping[str, str | None],
    claimed: OfferedCar | None,
    elsewhere: Mapping[str, str],
) -> OffSale:
    # What a row says of which car it is counts though the row is refused.
    if claimed is not None:
        refused = CLAIMED if old.in_feed or not old.taken else None
        return OffSale(old, refused, claimed.identity, claimed.stated)
    if old.car_id in unreadable:
        stated = unreadable[old.car_id] or old.stated
        identity = old.identity or stated
        # A row that cannot be read keeps a place, and wins none.
        refused = (old.refused or UNREADABLE) if old.in_feed else None
        return OffSale(old, refused, identity, None if stated == identity else stated)
    return OffSale(old, elsewhere.get(old.identity or ""), old.identity, old.stated)


def _last_price(old: KnownCar | None, now: datetime) -> int | None:
    if old is None or not (old.listed or now - old.changed_at < PRICES_COUNT):
        return None
    return old.price


def is_rehearsal(source: str) -> bool:
    """Whether only synthetic callers see the source's cars."""
    return source == REHEARSAL_SOURCE
