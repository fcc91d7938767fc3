"""On which days dealers of a market are closed whatever their week says.

Law and custom by country from the `holidays` package, and by hand what it does not know. A market
that is not in the table has no such days: there, only the dealer's own hours count.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Final

import holidays

CATEGORIES: Final[dict[str, tuple[str, ...]]] = {
    "SE": ("public", "de_facto"),  # the eves of Christmas, New Year and Midsummer
    "NO": ("public",),
    "DK": ("public", "optional"),  # 1 May, Constitution Day, the eves of Christmas and New Year
    "FI": ("public",),  # Christmas Eve and Midsummer Eve are among them
    "US": ("public",),
}
EVES: Final[dict[str, frozenset[tuple[int, int]]]] = {
    "NO": frozenset({(12, 24), (12, 31)}),
    "FI": frozenset({(12, 31)}),
}
"""(month, day) that the package does not count as closed, and where dealers are."""

EASTER_SATURDAY: Final = frozenset({"SE", "NO"})
"""Where dealers are closed on the Saturday between Good Friday and Easter Sunday."""


@lru_cache(maxsize=200)
def closed_days(market: str, year: int) -> frozenset[date]:
    """The days of `year` on which dealers of `market` (ISO 3166-1 alpha-2) are closed."""
    if market not in CATEGORIES:
        return frozenset()
    named = holidays.country_holidays(market, years=year, categories=CATEGORIES[market])
    found = set(named) | {date(year, month, day) for month, day in EVES.get(market, ())}
    if market in EASTER_SATURDAY:
        day = timedelta(days=1)
        found |= {
            friday + day
            for friday in named
            if friday.weekday() == 4 and friday.month in (3, 4) and friday + 2 * day in named
        }
    return frozenset(found)
