"""Dealerships: where they are and when they are open.

Hours follow schema.org `openingHoursSpecification`: local wall time, groups of days, a day named
nowhere is closed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.catalog.range.tables import RangeError, Table, read_table

HERE = Path(__file__).parent
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """Open from `opens` to `closes` ("HH:MM", local wall time) on each of `days`."""

    days: tuple[str, ...]
    opens: str
    closes: str


@dataclass(frozen=True, slots=True)
class Dealer:
    """A dealership; `dealer_id` is the store code that feeds name.

    `lat` and `lon` are WGS 84 degrees. `place_is_approximate` marks dealers derived from a region's
    name, whose coordinates are the region's middle. Empty `hours` means: not stated.
    """

    dealer_id: str
    name: str
    market: str
    city: str
    postcode_area: str | None
    region: str
    lat: float
    lon: float
    timezone: str
    hours: tuple[OpeningHours, ...]
    phone: str | None
    closed_days: tuple[date, ...] = ()
    """Beside the market's holidays: stocktaking, a move, a local feast."""
    weight: int = 1
    place_is_approximate: bool = False


def load_dealers(markets: Collection[str], folder: Path = HERE) -> tuple[Dealer, ...]:
    """Read `dealers.toml`; raises `RangeError` naming file, dealer and field."""
    table = read_table(folder / "dealers.toml")
    named = table.table("hours")
    patterns = {name: _hours(named.table(name)) for name in named.values}
    dealers = tuple(_dealer(entry, patterns, markets) for entry in table.tables("dealer"))
    table.finish()
    codes = [dealer.dealer_id for dealer in dealers]
    for code in codes:
        if codes.count(code) > 1:
            raise RangeError(f"dealers.toml: dealer {code}: dealer_id: is used twice")
    return dealers


def _hours(table: Table) -> tuple[OpeningHours, ...]:
    hours: list[OpeningHours] = []
    for entry in table.tables("specification"):
        group = OpeningHours(
            days=entry.texts("days", among=DAYS),
            opens=entry.text("opens"),
            closes=entry.text("closes"),
        )
        for name, value in (("opens", group.opens), ("closes", group.closes)):
            if not _CLOCK.fullmatch(value):
                raise entry.wrong(name, f"must be a time like 09:30, not {value!r}")
        if group.opens >= group.closes:
            raise entry.wrong("closes", f"must be after opens ({group.opens})")
        entry.finish()
        hours.append(group)
    table.finish()
    return tuple(hours)


def _dealer(
    table: Table, patterns: dict[str, tuple[OpeningHours, ...]], markets: Collection[str]
) -> Dealer:
    dealer = Dealer(
        dealer_id=table.text("dealer_id"),
        name=table.text("name"),
        market=table.text("market", among=markets),
        city=table.text("city"),
        postcode_area=table.text("postcode_area"),
        region=table.text("region"),
        lat=table.number("lat", -90, 90),
        lon=table.number("lon", -180, 180),
        timezone=table.text("timezone"),
        hours=patterns[table.text("hours", among=patterns)],
        phone=table.text("phone") if table.has("phone") else None,
        closed_days=table.days("closed_days") if table.has("closed_days") else (),
        weight=table.integer("weight", 1, 100),
    )
    try:
        ZoneInfo(dealer.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise table.wrong("timezone", f"{dealer.timezone!r} is not an IANA time zone") from error
    table.finish()
    return dealer
