"""Money as integer minor units with its currency; never a float."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

MINOR_UNITS: Final = {"SEK": 2, "NOK": 2, "DKK": 2, "EUR": 2, "USD": 2}
"""Decimal places of each supported currency's minor unit (ISO 4217)."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (öre, cent) of an ISO 4217 currency."""

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if self.currency not in MINOR_UNITS:
            raise ValueError(f"currency {self.currency!r} is not one of {sorted(MINOR_UNITS)}")

    def vat_included(self, rate: Decimal) -> Money:
        """The VAT contained in this VAT-inclusive amount at `rate` (0.25 = 25 %), half up."""
        net = Decimal(self.amount) / (1 + rate)
        return Money(
            int((self.amount - net).quantize(Decimal(1), ROUND_HALF_UP)),
            self.currency,
        )
