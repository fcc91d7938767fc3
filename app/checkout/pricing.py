"""Deposit and VAT: dated facts as data, arithmetic in minor units."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from app.kernel.money import Money

DEPOSIT: Final = {"SEK": 500_000, "NOK": 500_000, "DKK": 350_000, "EUR": 50_000, "USD": 50_000}
"""Minor units by currency: about what Auto Trader's £99 to BMW's €500 reservations cost."""


def deposit_of(price: Money) -> Money:
    """What is paid online; never more than a tenth of the price."""
    return Money(min(DEPOSIT[price.currency], price.amount // 10), price.currency)


def vat_of(price: Money, rate: str) -> Money:
    """VAT contained in a price that includes it; `rate` is a decimal fraction as text."""
    return price.vat_included(Decimal(rate))
