"""Which physical car a row is about: one identity across sources, markets and stock ids. Pure.

A VIN can be personal data, so only a keyed hash of it is kept and told. Without a VIN a car has no
identity beyond its stock id.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.catalog.swap import PRICES_COUNT, KnownCar, OfferedCar, Placed, offers_still
from app.kernel.resale import RESALE_AFTER


class VinHash:
    """HMAC-SHA256 over a VIN, with a hexadecimal key that the catalogue's database drew.

    It lasts as long as the database: the identity of somebody's car must not change under them.
    """

    def __init__(self, key: str) -> None:
        self._key = bytes.fromhex(key)

    def __call__(self, vin: str | None) -> str | None:
        return hmac.digest(self._key, vin.encode(), "sha256").hex() if vin else None


class Row(Protocol):
    """What is stored of a car, as far as it says whose it is."""

    @property
    def state(self) -> str: ...

    @property
    def placed(self) -> bool: ...

    @property
    def changed_at(self) -> datetime: ...


def is_somebodys(row: Row, now: datetime) -> bool:
    """Whether a customer has the car; who bought it has it until it may be traded in."""
    if row.state == "sold":
        return row.placed or now - row.changed_at < RESALE_AFTER
    return row.state != "available"


@dataclass(frozen=True, slots=True)
class Claim(Placed):
    """A stored row that may have an identity already. `changed_at`: its state or offer."""

    car_id: str
    source: str
    market: str
    stock_id: str
    identity: str | None
    stated: str | None
    listed: bool
    refused: str | None
    state: str
    price: int
    changed_at: datetime

    def keeps(self, source: str, market: str, now: datetime, *, but_listed: bool = False) -> bool:
        """Whether no other row may be listed with the identity in `source`'s feed.

        `but_listed`: nothing but a listed row, or a customer, keeps it from a row that has it now.
        """
        if self.state != "available":
            return is_somebodys(self, now)
        # Within one feed the row is renumbered or corrected: a VIN that stands there twice is
        # refused before.
        if (self.source, self.market) == (source, market):
            return False
        return self.listed or (self.placed and not but_listed)

    def why(self, source: str, market: str) -> str:
        """The sentence for whoever sends the car once more."""
        if self.state == "available":
            return (
                f"the source {self.source} lists a car with this VIN in {self.market}; one car is"
                " sold in one place. It can be listed here at the first import after it has left"
                " the other feed."
            )
        if (self.source, self.market) == (source, market):
            return (
                f"this is the car with the id {self.stock_id!r}, which a customer has held,"
                " reserved or bought; it is not offered again under another id. If it came back"
                " to you, list it under that id."
            )
        return (
            f"a customer has held, reserved or bought the car with this VIN from the source"
            f" {self.source}; leave it out."
        )


def own_claims(
    known: Iterable[KnownCar], offered: Iterable[OfferedCar], place: tuple[str, str]
) -> list[Claim]:
    """What the stored rows of a feed itself claim, but for those that it offers as before.

    These are nearly all: what they claim and cost is known by their own rows (`swap.difference`).
    """
    cars = {car.car_id: car for car in offered}
    return [
        Claim(
            car_id=row.car_id,
            source=place[0],
            market=place[1],
            stock_id=row.stock_id,
            identity=row.identity,
            stated=row.stated,
            listed=row.listed,
            refused=row.refused,
            state=row.state,
            price=row.price,
            changed_at=row.changed_at,
        )
        for row in known
        if (car := cars.get(row.car_id)) is None or not offers_still(row, car)
    ]


def last_prices(claims: Iterable[Claim], market: str, now: datetime) -> dict[str, int]:
    """What each physical car was last offered for in the market, by identity."""
    priced = [
        claim
        for claim in claims
        if claim.market == market and (claim.listed or now - claim.changed_at < PRICES_COUNT)
    ]
    priced.sort(key=lambda claim: (claim.listed, claim.changed_at))
    return {claim.identity: claim.price for claim in priced if claim.identity}
