"""Where and in which language the shop is open: markets, languages, addresses.

A new market is a row here (and stock in the catalogue); a new language is a row and a message
catalogue in `locale/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.kernel.zones import TIME_ZONES
from app.storefront.texts import msg
from telemetry.catalogue.labels import CURRENCY_OF_MARKET, Market


@dataclass(frozen=True, slots=True)
class Language:
    """A language that the shop speaks; `name` is its own word for itself."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Place:
    """One market. `name` is a message id; `locales` give each language its number format."""

    market: Market
    slug: str
    name: str
    locales: Mapping[str, str]

    @property
    def currency(self) -> str:
        return CURRENCY_OF_MARKET[self.market]

    @property
    def time_zone(self) -> str:
        return TIME_ZONES[self.market]


LANGUAGES: Final[Mapping[str, Language]] = {
    "sv": Language("sv", "Svenska"),
    "en": Language("en", "English"),
}

PLACES: Final[Mapping[str, Place]] = {
    place.slug: place
    for place in (
        Place("SE", "se", msg("Sweden"), {"sv": "sv_SE", "en": "en_SE"}),
        Place("NO", "no", msg("Norway"), {"sv": "sv_SE", "en": "en_NO"}),
        Place("DK", "dk", msg("Denmark"), {"sv": "sv_SE", "en": "en_DK"}),
        Place("FI", "fi", msg("Finland"), {"sv": "sv_FI", "en": "en_FI"}),
    )
}

_SPOKEN_IN: Final = {"sv": "se", "nb": "no", "nn": "no", "no": "no", "da": "dk", "fi": "fi"}
_TAG: Final = re.compile(r"([A-Za-z]{2,3})(?:-[A-Za-z]{4})?(?:-([A-Za-z]{2}))?")


def guess(accept_language: str) -> tuple[str, str]:
    """Market and language slugs for a browser's `Accept-Language`; Sweden in English if unsure.

    A region wins over a language: `sv-FI` is Finland in Swedish.
    """
    market = language = ""
    for part in accept_language[:300].split(","):
        match = _TAG.match(part.strip())
        if match is None:
            continue
        spoken, region = match.group(1).lower(), (match.group(2) or "").lower()
        language = language or (spoken if spoken in LANGUAGES else "")
        market = market or (region if region in PLACES else _SPOKEN_IN.get(spoken, ""))
    return market or "se", language or "en"


def remembered(cookie: str | None) -> tuple[str, str] | None:
    """Market and language of the cookie `se/sv`; None when it is not one of ours."""
    market, _, language = (cookie or "").partition("/")
    return (market, language) if market in PLACES and language in LANGUAGES else None
