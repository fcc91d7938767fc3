"""Which physical car a row is about: one identity across sources, markets and stock ids. Pure.

A VIN can be personal data, so only a keyed hash of it is kept and told. Without a VIN a car has no
identity beyond its stock id.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime

from app.kernel.resale import RESALE_AFTER


class VinHash:
    """HMAC-SHA256 over a VIN, with a hexadecimal key that the catalogue's database drew.

    It lasts as long as the database: the identity of somebody's car must not change under them.
    """

    def __init__(self, key: str) -> None:
        self._key = bytes.fromhex(key)

    def __call__(self, vin: str | None) -> str | None:
        return hmac.digest(self._key, vin.encode(), "sha256").hex() if vin else None


@dataclass(frozen=True, slots=True)
class Claim:
    """A stored row that may have an identity already. `changed_at`: its state or offer."""

    car_id: str
    source: str
    market: str
    stock_id: str
    identity: str
    listed: bool
    state: str
    changed_at: datetime

    def keeps(self, source: str, market: str, now: datetime) -> bool:
        """Whether no other row may be listed with the identity in `source`'s feed."""
        if self.state == "sold":
            return self.listed or now - self.changed_at < RESALE_AFTER
        if self.state != "available":
            return True
        # Within one feed the row is renumbered or corrected: a VIN that stands there twice is
        # refused before.
        return self.listed and (self.source, self.market) != (source, market)

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
