"""What an import changes: the difference between a source's known stock and its new feed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from app.catalog.range.dealers import Dealer
from app.catalog.range.stock import REHEARSAL_SOURCE


@dataclass(frozen=True, slots=True)
class OfferedCar:
    """A car as its feed offers it now; `handover_lead_seconds` counts from the order."""

    car_id: str
    stock_id: str
    dealer: Dealer
    document: Mapping[str, Any]
    handover_at: datetime | None
    handover_lead_seconds: int | None
    digest: str
    identity: str | None = None
    """Keyed hash of the VIN; None when the feed states none."""
    row: int = 0

    @property
    def price(self) -> int:
        """Minor units of the market's currency."""
        return int(self.document["price"]["amount"])


@dataclass(frozen=True, slots=True)
class KnownCar:
    """What the last import left behind; `state` is checkout's word."""

    car_id: str
    digest: str
    listed: bool
    state: str
    price: int
    identity: str | None = None
    stock_id: str = ""


@dataclass(frozen=True, slots=True)
class Repriced:
    """A car on offer whose price the feed changes; minor units."""

    stock_id: str
    before: int
    after: int


@dataclass(slots=True)
class Swap:
    """The difference. `removed` were on offer; `left` were held, reserved or sold already."""

    added: list[OfferedCar] = field(default_factory=list)
    changed: list[OfferedCar] = field(default_factory=list)
    unchanged: int = 0
    removed: list[KnownCar] = field(default_factory=list)
    left: list[KnownCar] = field(default_factory=list)
    repriced: list[Repriced] = field(default_factory=list)
    on_offer: int = 0
    """Cars of the source that could be bought before this import."""
    empties: bool = False
    """Whether the feed offers no car at all."""

    @property
    def lost(self) -> int:
        """Removed cars that did not merely get another stock id."""
        kept = {car.identity for car in self.added if car.identity}
        return sum(car.identity not in kept for car in self.removed)

    @property
    def changes(self) -> int:
        return len(self.added) + len(self.changed) + len(self.removed) + len(self.left)


def as_bought(known: Sequence[KnownCar], offered: Sequence[OfferedCar]) -> list[OfferedCar]:
    """The offered cars; which physical car somebody has does not change under them."""
    theirs = {car.car_id: car.identity for car in known if car.state != "available"}
    return [
        replace(car, identity=theirs[car.car_id]) if car.car_id in theirs else car
        for car in offered
    ]


def difference(known: Sequence[KnownCar], offered: Sequence[OfferedCar]) -> Swap:
    """Compare a source's whole feed with what is known of it.

    A sold, held or reserved car that leaves the feed is not removed stock: dealers must take such
    cars out (Google's policy), so only available cars count for the guard.
    """
    swap = Swap(
        on_offer=sum(car.listed and car.state == "available" for car in known),
        empties=not offered,
    )
    before = {car.car_id: car for car in known}
    for car in offered:
        old = before.pop(car.car_id, None)
        if old is not None and old.listed and old.state == "available" and old.price != car.price:
            swap.repriced.append(Repriced(car.stock_id, old.price, car.price))
        if old is None:
            swap.added.append(car)
        elif old.listed and (old.digest, old.identity) == (car.digest, car.identity):
            swap.unchanged += 1
        else:
            swap.changed.append(car)
    for old in before.values():
        if old.listed:
            (swap.removed if old.state == "available" else swap.left).append(old)
    return swap


def is_rehearsal(source: str) -> bool:
    """Whether only synthetic callers see the source's cars."""
    return source == REHEARSAL_SOURCE
