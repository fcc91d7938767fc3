"""What reasons and trade-offs say, in the shopper's language, with numbers as it writes them.

One table per language with the same keys (a test compares them); `{…}` are formatted numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from babel import Locale
from babel.numbers import format_currency, format_decimal

from app.advisor.needs import Candidate
from app.advisor.viewpoint import Viewpoint
from app.advisor.wishes import Rating
from app.contracts.catalog import TRAITS

Side = Literal["because", "trade_off"]

SENTENCES: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "weakest": "Its least strong point: {fact}",
        "price.budget.because": "From {price}, {margin} within your budget",
        "price.because": "From {price}",
        "price.lowest.because": "The most affordable match, from {price}",
        "price.trade_off": "{above} above the cheapest match",
        "space.asked.because": "{litres} l of boot (you asked for {wanted} l)",
        "space.because": "{litres} l of boot",
        "space.trade_off": "{litres} l of boot, less than other matches have",
        "emissions.none.because": "No exhaust emissions",
        "emissions.because": "{grams} g of CO₂ per km",
        "emissions.trade_off": "{grams} g of CO₂ per km, more than other matches",
        "soon.now.because": "Ready for handover at once",
        "soon.because": "Ready for handover in {days} days",
        "soon.trade_off": "Handover in {days} days at the earliest",
        "soon.unknown": "The handover time is not stated",
        "range.because": "{km} km of electric range (you asked for {wanted} km)",
        "range.trade_off": "{km} km of electric range, less than other matches",
        "range.unknown": "Refuels instead of charging, so range is not compared",
        "towing.because": "Tows {kg} kg (you asked for {wanted} kg)",
        "towing.trade_off": "Tows {kg} kg, less than other matches",
        "reach.because": "{km} km away, in {city}",
        "reach.trade_off": "The nearest one stands {km} km away, in {city}",
        "reach.unknown": "The distance is not known",
        "colour.because": "In stock in a colour you like",
        "colour.trade_off": "Not in stock in your colours",
        "trait.because": "{Trait}: {value} of 100, you asked for {wanted}",
        "trait.more.trade_off": "More {trait} than you asked for: {value} of 100, not {wanted}",
        "trait.less.trade_off": "Less {trait} than you asked for: {value} of 100, not {wanted}",
        "trait.unknown": "The character is not described",
        "sporty": "sporty",
        "comfort": "comfortable",
        "expressive": "expressive",
        "practical": "practical",
        "adventurous": "adventurous",
        "progressive": "progressive",
    },
    "sv": {
        "weakest": "Minst stark sida: {fact}",
        "price.budget.because": "Från {price}, {margin} inom din budget",
        "price.because": "Från {price}",
        "price.lowest.because": "Det förmånligaste förslaget, från {price}",
        "price.trade_off": "{above} dyrare än det billigaste förslaget",
        "space.asked.because": "{litres} l bagage (du bad om {wanted} l)",
        "space.because": "{litres} l bagage",
        "space.trade_off": "{litres} l bagage, mindre än andra förslag har",
        "emissions.none.because": "Inga avgaser",
        "emissions.because": "{grams} g koldioxid per km",
        "emissions.trade_off": "{grams} g koldioxid per km, mer än andra förslag",
        "soon.now.because": "Kan hämtas på en gång",
        "soon.because": "Kan hämtas om {days} dagar",
        "soon.trade_off": "Kan hämtas tidigast om {days} dagar",
        "soon.unknown": "Tiden för utlämning är inte angiven",
        "range.because": "{km} km elektrisk räckvidd (du bad om {wanted} km)",
        "range.trade_off": "{km} km elektrisk räckvidd, mindre än andra förslag",
        "range.unknown": "Tankas i stället för att laddas, så räckvidden jämförs inte",
        "towing.because": "Drar {kg} kg (du bad om {wanted} kg)",
        "towing.trade_off": "Drar {kg} kg, mindre än andra förslag",
        "reach.because": "{km} km bort, i {city}",
        "reach.trade_off": "Den närmaste står {km} km bort, i {city}",
        "reach.unknown": "Avståndet är inte känt",
        "colour.because": "Finns i lager i en färg du gillar",
        "colour.trade_off": "Finns inte i lager i dina färger",
        "trait.because": "{Trait}: {value} av 100, du bad om {wanted}",
        "trait.more.trade_off": "Mer {trait} än du bad om: {value} av 100, inte {wanted}",
        "trait.less.trade_off": "Mindre {trait} än du bad om: {value} av 100, inte {wanted}",
        "trait.unknown": "Karaktären är inte beskriven",
        "sporty": "sportig",
        "comfort": "bekväm",
        "expressive": "uttrycksfull",
        "practical": "praktisk",
        "adventurous": "äventyrlig",
        "progressive": "nytänkande",
    },
}

LOCALES: Final = {"en": Locale.parse("en_GB"), "sv": Locale.parse("sv_SE")}
MONEY: Final = {"en": "¤¤ #,##0", "sv": "#,##0 ¤"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What texts compare with: the cheapest match's price, the currency, where the shopper is."""

    cheapest: int
    currency: str
    view: Viewpoint


class Texts:
    """Sentences in one language; `language` is a key of `SENTENCES`."""

    def __init__(self, language: str) -> None:
        self._sentences = SENTENCES[language]
        self._locale = LOCALES[language]
        self._money = MONEY[language]
        self._numbers: Mapping[str, Callable[[Rating], dict[str, str]]] = {
            "space": self._one("litres"),
            "emissions": self._one("grams"),
            "soon": self._one("days"),
            "range": self._one("km"),
            "towing": self._one("kg"),
            "reach": self._one("km"),
        }

    def reason(self, rating: Rating, side: Side, candidate: Candidate, around: Surroundings) -> str:
        """One rating's sentence; a trade-off in which nobody does better is called just that."""
        if side == "trade_off" and rating.shortfall <= 0:
            fact = self._sentence(rating, "because", candidate, around)
            return self._sentences["weakest"].format(fact=fact)
        return self._sentence(rating, side, candidate, around)

    def _sentence(
        self, rating: Rating, side: Side, candidate: Candidate, around: Surroundings
    ) -> str:
        code = rating.wish.code
        family = "trait" if code in TRAITS else code
        if rating.value is None:
            return self._sentences[f"{family}.unknown"]
        if family == "trait":
            return self._trait(rating, side)
        if family == "price":
            return self._price(rating, side, around)
        named = self._numbers[code](rating) if code in self._numbers else {}
        if code == "reach":
            named["city"] = _nearest_city(candidate, around.view)
        return self._sentences[_key(rating, side)].format(**named)

    def _trait(self, rating: Rating, side: Side) -> str:
        trait = self._sentences[rating.wish.code]
        value, wanted = float(rating.value or 0), float(rating.wish.wanted or 0)
        direction = "more." if value > wanted else "less."
        key = "trait.because" if side == "because" else f"trait.{direction}trade_off"
        return self._sentences[key].format(
            trait=trait,
            Trait=trait.capitalize(),
            value=self._number(100 * value),
            wanted=self._number(100 * wanted),
        )

    def _price(self, rating: Rating, side: Side, around: Surroundings) -> str:
        price, budget = int(rating.value or 0), rating.wish.wanted
        if side == "trade_off":
            key = "price.trade_off"
        elif budget is not None:
            key = "price.budget.because"
        else:
            key = "price.lowest.because" if price == around.cheapest else "price.because"
        return self._sentences[key].format(
            price=self._currency(price, around),
            margin=self._currency(int(budget or price) - price, around),
            above=self._currency(price - around.cheapest, around),
        )

    def _one(self, name: str) -> Callable[[Rating], dict[str, str]]:
        def named(rating: Rating) -> dict[str, str]:
            wanted = rating.wish.wanted
            return {
                name: self._number(float(rating.value or 0)),
                "wanted": "" if wanted is None else self._number(float(wanted)),
            }

        return named

    def _number(self, value: float) -> str:
        return str(format_decimal(round(value, 1), format="#,##0.#", locale=self._locale))

    def _currency(self, minor: int, around: Surroundings) -> str:
        return str(
            format_currency(
                Decimal(minor) / 100,
                around.currency,
                format=self._money,
                locale=self._locale,
                currency_digits=False,
            )
        )


def _key(rating: Rating, side: Side) -> str:
    code = rating.wish.code
    if side == "trade_off":
        return f"{code}.trade_off"
    if code == "space" and rating.wish.wanted is not None:
        return "space.asked.because"
    if code == "emissions" and not rating.value:
        return "emissions.none.because"
    if code == "soon" and not rating.value:
        return "soon.now.because"
    if code == "colour" and not rating.value:
        return "colour.trade_off"
    return f"{code}.because"


def _nearest_city(candidate: Candidate, view: Viewpoint) -> str:
    nearest = min(candidate.cars, key=lambda offered: view.distance_km(offered.stand) or 0.0)
    return nearest.dealer.city
