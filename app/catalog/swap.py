"""What an import changes: the difference between a source's known stock and its new feed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class KnownCar:
    """What the last import left behind; `state` is checkout's word."""

    car_id: str
    digest: str
    listed: bool
    state: str


@dataclass(slots=True)
class Swap:
    """The difference. `removed` were on offer; `left` were held, reserved or sold already."""

    added: list[OfferedCar] = field(default_factory=list)
    changed: list[OfferedCar] = field(default_factory=list)
    unchanged: int = 0
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    on_offer: int = 0
    """Cars of the source that could be bought before this import."""

    @property
    def removed_share(self) -> float:
        return len(self.removed) / self.on_offer if self.on_offer else 0.0

    @property
    def changes(self) -> int:
        return len(self.added) + len(self.changed) + len(self.removed) + len(self.left)


def difference(known: Sequence[KnownCar], offered: Sequence[OfferedCar]) -> Swap:
    """Compare a source's whole feed with what is known of it.

    A sold, held or reserved car that leaves the feed is not removed stock: dealers must take such
    cars out (Google's policy), so only available cars count for the guard.
    """
    swap = Swap(on_offer=sum(car.listed and car.state == "available" for car in known))
    before = {car.car_id: car for car in known}
    for car in offered:
        old = before.pop(car.car_id, None)
        if old is None:
            swap.added.append(car)
        elif old.listed and old.digest == car.digest:
            swap.unchanged += 1
        else:
            swap.changed.append(car)
    for old in before.values():
        if old.listed:
            (swap.removed if old.state == "available" else swap.left).append(old.car_id)
    return swap


def is_rehearsal(source: str) -> bool:
    """Whether only synthetic callers see the source's cars."""
    return source == REHEARSAL_SOURCE
