"""Markets: currency, dated VAT rates and the bounds a believable price lies in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from app.catalog.range.tables import Table, read_table

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class VatRate:
    """`percent` applies from `valid_from`; `None` means no single rate may be stated."""

    valid_from: date
    percent: Decimal | None


@dataclass(frozen=True, slots=True)
class Market:
    """One market; `code` is ISO 3166-1 alpha-2, `currency` ISO 4217.

    `price_min_minor` and `price_max_minor` bound believable prices in minor units.
    `eea` markets require consumption and CO2 of every new car offered (directive 1999/94/EC;
    in Sweden law 2024:221). `option_factor` turns kronor into this market's whole units of
    currency for options and paint. `stock` is how many cars the shipped feed holds.
    """

    code: str
    name: str
    currency: str
    eea: bool
    vat_included: bool
    price_min_minor: int
    price_max_minor: int
    option_factor: float
    stock: int
    vat: tuple[VatRate, ...]
    vat_electric: tuple[VatRate, ...]

    def vat_percent(self, day: date, *, electric: bool) -> Decimal | None:
        """The VAT rate in percent on `day`, or `None` where no single rate applies."""
        rates = self.vat_electric if electric and self.vat_electric else self.vat
        valid = [rate for rate in rates if rate.valid_from <= day]
        return max(valid, key=lambda rate: rate.valid_from).percent if valid else None


def load_markets(folder: Path = HERE) -> dict[str, Market]:
    """Read `markets.toml`: market code to market. Raises `RangeError`."""
    table = read_table(folder / "markets.toml")
    markets = {market.code: market for market in map(_market, table.tables("market"))}
    table.finish()
    return markets


def _market(table: Table) -> Market:
    market = Market(
        code=table.text("code"),
        name=table.text("name"),
        currency=table.text("currency"),
        eea=table.flag("eea"),
        vat_included=table.flag("vat_included"),
        price_min_minor=100 * table.integer("price_min", 1, 10_000_000),
        price_max_minor=100 * table.integer("price_max", 1, 100_000_000),
        option_factor=table.number("option_factor", 0.001, 1_000),
        stock=table.integer("stock", 0, 100_000),
        vat=tuple(map(_vat_rate, table.tables("vat"))),
        vat_electric=(
            tuple(map(_vat_rate, table.tables("vat_electric"))) if table.has("vat_electric") else ()
        ),
    )
    if market.price_min_minor >= market.price_max_minor:
        raise table.wrong("price_max", "must be above price_min")
    table.finish()
    return market


def _vat_rate(table: Table) -> VatRate:
    rate = VatRate(
        valid_from=table.day("from"),
        percent=Decimal(table.text("percent")) if table.has("percent") else None,
    )
    table.finish()
    return rate
