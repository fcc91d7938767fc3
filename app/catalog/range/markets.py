"""Markets: currency, dated VAT rates and the bounds a believable price lies in."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from app.catalog.range.tables import Several, Shipped, Text, read
from telemetry.catalogue import labels

HERE = Path(__file__).parent


class VatRate(Shipped):
    """`percent` applies from `valid_from`; `None` means no single rate may be stated."""

    valid_from: date = Field(alias="from")
    percent: Annotated[Decimal | None, Field(strict=False)] = None


class Market(Shipped):
    """One market; `code` is ISO 3166-1 alpha-2, `currency` ISO 4217.

    `price_min` and `price_max` bound believable prices in whole units. `eea` markets require
    consumption and CO2 of every new car offered (directive 1999/94/EC; in Sweden law 2024:221).
    `option_factor` turns kronor into this market's whole units of currency for options and paint.
    `stock` is how many cars the shipped feed holds.
    """

    code: labels.Market
    name: Text
    eea: bool
    vat_included: bool
    price_min: Annotated[int, Field(ge=1, le=10_000_000)]
    price_max: Annotated[int, Field(ge=1, le=100_000_000)]
    option_factor: Annotated[float, Field(ge=0.001, le=1_000)]
    stock: Annotated[int, Field(ge=0, le=100_000)]
    vat: Several[VatRate]
    vat_electric: Several[VatRate] = ()

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.price_min >= self.price_max:
            raise ValueError("price_max: must be above price_min")
        return self

    @property
    def currency(self) -> str:
        return labels.CURRENCY_OF_MARKET[self.code]

    @property
    def price_min_minor(self) -> int:
        return 100 * self.price_min

    @property
    def price_max_minor(self) -> int:
        return 100 * self.price_max

    def vat_percent(self, day: date, *, electric: bool) -> Decimal | None:
        """The VAT rate in percent on `day`, or `None` where no single rate applies."""
        rates = self.vat_electric if electric and self.vat_electric else self.vat
        valid = [rate for rate in rates if rate.valid_from <= day]
        return max(valid, key=lambda rate: rate.valid_from).percent if valid else None


class Markets(Shipped):
    market: Several[Market]


def load_markets(folder: Path = HERE) -> dict[str, Market]:
    """Read `markets.toml`: market code to market. Raises `RangeError`."""
    return {market.code: market for market in read(Markets, folder / "markets.toml").market}
