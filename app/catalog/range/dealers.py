"""Dealerships: where they are and when they are open.

Hours follow schema.org `openingHoursSpecification`: local wall time, groups of days, a day named
nowhere is closed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from app.catalog.range.markets import Market
from app.catalog.range.tables import Several, Shipped, Text, known, like, read

HERE = Path(__file__).parent
Day = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
DAYS: tuple[Day, ...] = get_args(Day)
Clock = Annotated[str, like(r"([01]\d|2[0-3]):[0-5]\d", "a time like 09:30")]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{name!r} is not an IANA time zone") from error
    return name


Zone = Annotated[Text, AfterValidator(_zone)]


class OpeningHours(Shipped):
    """Open from `opens` to `closes` ("HH:MM", local wall time) on each of `days`."""

    days: Several[Day]
    opens: Clock
    closes: Clock

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError(f"closes: must be after opens ({self.opens})")
        return self


class Dealer(Shipped):
    """A dealership; `dealer_id` is the store code that feeds name.

    `lat` and `lon` are WGS 84 degrees. `place_is_approximate` marks dealers derived from a region's
    name, whose coordinates are the region's middle. Empty `hours` means: not stated.
    """

    dealer_id: Text
    name: Text
    market: Annotated[Text, AfterValidator(known("markets"))]
    city: Text
    postcode_area: Text | None = None
    region: Text
    lat: Latitude
    lon: Longitude
    timezone: Zone
    hours: Several[OpeningHours]
    phone: Text | None = None
    closed_days: Several[date] = ()
    """Beside the market's holidays: stocktaking, a move, a local feast."""
    weight: Annotated[int, Field(ge=1, le=100)] = 1
    place_is_approximate: bool = False


class Pattern(Shipped):
    specification: Several[OpeningHours]


class Dealers(Shipped):
    """The file: patterns of opening hours, and dealers that name one of them."""

    hours: dict[str, Pattern]
    dealer: Several[Dealer]

    @model_validator(mode="before")
    @classmethod
    def _hours_by_name(cls, values: dict[str, Any]) -> dict[str, Any]:
        patterns = values.get("hours", {})
        for dealer in values.get("dealer", []):
            if dealer.get("hours") not in patterns:
                raise ValueError(
                    f"dealer {dealer.get('dealer_id')}: hours: must be one of {', '.join(patterns)}"
                )
        return values | {
            "dealer": [
                dealer | {"hours": patterns[dealer["hours"]].get("specification")}
                for dealer in values.get("dealer", [])
            ]
        }

    @model_validator(mode="after")
    def _once(self) -> Self:
        code, times = Counter(dealer.dealer_id for dealer in self.dealer).most_common(1)[0]
        if times > 1:
            raise ValueError(f"dealer {code}: dealer_id: is used twice")
        return self


def load_dealers(markets: Mapping[str, Market], folder: Path = HERE) -> tuple[Dealer, ...]:
    """Read `dealers.toml`; raises `RangeError` naming file, dealer and field."""
    return read(Dealers, folder / "dealers.toml", markets=markets).dealer
