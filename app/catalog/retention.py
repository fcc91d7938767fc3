"""How long cars stay in the catalogue's books after they left their feed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, delete, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog.models import cars, stock_head
from app.catalog.settings import CatalogSettings
from app.frame.data.retention import Keys, Rule

KEPT: Final[Mapping[str, str]] = {
    "identity_key": "one row",
    "dealers": "one row for each dealer of the range",
    "feeds": "one row for each source and market",
    "stock_head": "one row",
}
"""Tables that need no rule, and why; of the others, what no rule names stays as well."""

OFF_SALE: Final = text("NOT listed")
"""In the words of the index, which no parameter would be recognised by."""


def rules(settings: CatalogSettings) -> tuple[Rule, ...]:
    """What leaves the catalogue's database, and when. A car that somebody has or had stays."""
    return (
        Rule(
            cars,
            "cars that left their feed, and that nobody has bought",
            cars.c.changed_at,
            timedelta(days=settings.cars_days),
            "CATALOG_CARS_DAYS",
            which=and_(OFF_SALE, cars.c.state == "available", cars.c.refused.is_(None)),
            remove=remove,
        ),
    )


async def remove(transaction: AsyncConnection, rule: Rule, keys: Keys, before: datetime) -> int:
    """Behind `stock_head`, like every write: no import has read what leaves."""
    await transaction.execute(update(stock_head).values(version=stock_head.c.version))
    gone = delete(cars).where(rule.among(keys), rule.over(before))
    return (await transaction.execute(gone)).rowcount
