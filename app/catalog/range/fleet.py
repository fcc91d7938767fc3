"""What the stock generator believes about a Nordic fleet: popularity, ages, discounts, handover."""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.catalog.range.dealers import Dealer
from app.catalog.range.markets import Market
from app.catalog.range.sheets import ModelSheet, Option, Paint, Trim

# The feeds describe the stock of this month; only differences from it matter.
STOCK_YEAR, STOCK_MONTH = 2026, 11

# How much likelier a fuel is in a market than in Sweden's mix (new registrations 2024-2025 are the
# rough guide: nearly all cars in Norway are electric, Finland keeps most hybrids).
_FUEL_BY_MARKET = {
    "SE": {"electric": 1.0, "plugin_hybrid": 1.2, "hybrid": 1.0, "petrol": 0.8, "diesel": 0.8},
    "NO": {"electric": 2.2, "plugin_hybrid": 0.4, "hybrid": 0.3, "petrol": 0.12, "diesel": 0.5},
    "DK": {"electric": 1.6, "plugin_hybrid": 0.6, "hybrid": 0.8, "petrol": 0.9, "diesel": 0.4},
    "FI": {"electric": 0.9, "plugin_hybrid": 1.3, "hybrid": 1.5, "petrol": 0.9, "diesel": 0.6},
}
_BODY = {
    "hatchback": 1.0,
    "sedan": 0.7,
    "estate": 1.3,
    "suv": 1.5,
    "coupe": 0.45,
    "convertible": 0.45,
    "mpv": 0.8,
    "van": 0.6,
    "pickup": 0.7,
}


@dataclass(frozen=True, slots=True)
class Car:
    """One drawn stock car; prices in minor units of the market's currency."""

    stock_id: str
    market: Market
    dealer: Dealer
    sheet: ModelSheet
    trim: Trim
    paint: Paint
    options: tuple[Option, ...]
    condition: str
    age_months: int
    kilometres: int
    list_minor: int
    price_minor: int
    handover: str

    @property
    def first_registered(self) -> str | None:
        """Month of first registration as YYYY-MM; `None` for a new car."""
        if self.condition == "new":
            return None
        months = STOCK_YEAR * 12 + STOCK_MONTH - 1 - self.age_months
        return f"{months // 12}-{months % 12 + 1:02d}"

    @property
    def model_year(self) -> int:
        """The model year: a new car's is next year's or this year's; a used car's that it began."""
        if self.condition == "new":
            return STOCK_YEAR + (1 if int(self.stock_id[-1]) % 3 == 0 else 0)
        return (STOCK_YEAR * 12 + STOCK_MONTH - 1 - self.age_months) // 12


@dataclass(frozen=True, slots=True)
class Condition:
    """New, demonstrator or used: its share of the stock and how it ages."""

    name: str
    share: float
    least_months: int
    most_months: int

    def months(self, chance: float) -> int:
        """Age in months."""
        return self.least_months + int(chance * (self.most_months - self.least_months + 1))

    def kilometres(self, months: int, chance: float) -> int:
        """Odometer: a new car was only moved about; others drive with their age."""
        if self.name == "new":
            return 4 + int(chance * 40)
        if self.name == "demonstrator":
            return 900 + months * 350 + int(chance * 3_500)
        return int(months * (650 + 900 * chance)) + 1_200

    def discount(self, months: int, kilometres: int, chance: float) -> float:
        """The share taken off list price."""
        if self.name == "new":
            # Most new cars cost what the list says.
            return 0.0 if chance < 0.55 else round(0.01 + 0.06 * (chance - 0.55) / 0.45, 3)
        if self.name == "demonstrator":
            return 0.06 + 0.006 * months + 0.03 * chance
        return min(0.55, 0.10 + 0.0075 * months + kilometres / 1_200_000 + 0.03 * chance)


CONDITIONS = (
    Condition("new", 0.70, 0, 0),
    Condition("demonstrator", 0.12, 2, 8),
    Condition("used", 0.18, 11, 40),
)


def model_weight(sheet: ModelSheet, market: str) -> float:
    """How often a model stands in stock there: the dearer, the rarer."""
    cheap_first = math.pow(400_000 / (sheet.prices["SE"] / 100), 0.45)
    return _BODY[sheet.body] * _FUEL_BY_MARKET[market][sheet.fuel] * cheap_first


def fits(option: Option, sheet: ModelSheet) -> bool:
    """Whether the model can carry the option."""
    standard = {item.code for item in sheet.equipment}
    possible = {
        None: True,
        "tow": sheet.tow_kg > 0 and "towbar_fold" not in standard,
        "roof": sheet.body not in ("convertible", "pickup") and "glass_roof" not in standard,
        "rear": sheet.seats >= 4 and sheet.body != "convertible",
        "engine": sheet.fuel != "electric" and "fuel_heater" not in standard,
        "plug": sheet.fuel == "electric",
        "cargo": sheet.body in ("estate", "suv", "mpv"),
    }
    return possible[option.needs]


def in_market(price_sek: int, market: Market) -> float:
    """Kronor for options and paint as whole units of the market's currency."""
    return price_sek * market.option_factor


def rounded_price(minor: float, market: Market) -> int:
    """A price as a dealer writes it, in minor units: whole hundreds, in euro whole tens."""
    step = 1_000 if market.currency == "EUR" else 10_000
    return round(minor / step) * step


def handover_of(condition: str, kind: float, length: float) -> str:
    """The `handover` column: a lead time from the order, or the hour a car in transit is due.

    Cars on the forecourt are ready at once; a used car may still be in the workshop.
    """
    if kind < (0.45 if condition == "new" else 0.65):
        return "PT0S"
    if kind < 0.60:
        return f"PT{2 + int(length * 3) * 2}H"
    if kind < 0.92 or condition != "new":
        return f"P{1 + int(length * 9)}D"
    day = 1 + int(length * 19)
    return f"2026-12-{day:02d}T09:00:00Z"
