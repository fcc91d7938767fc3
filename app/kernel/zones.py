"""In which time zone a market's days begin: the one place that says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from zoneinfo import ZoneInfo

from telemetry.catalogue.labels import Market

TIME_ZONES: Final[Mapping[Market, str]] = {
    "SE": "Europe/Stockholm",
    "NO": "Europe/Oslo",
    "DK": "Europe/Copenhagen",
    "FI": "Europe/Helsinki",
    "US": "America/New_York",
}
"""IANA names. Of a country with several zones, the one whose days its numbers are told by."""

HOME: Final = ZoneInfo(TIME_ZONES["SE"])
"""By whose calendar periods of several markets are compared."""


def zone_of(market: str | None) -> ZoneInfo:
    """The zone of a market; the shop's home for several or for one that we do not know."""
    name = next((zone for known, zone in TIME_ZONES.items() if known == market), None)
    return ZoneInfo(name) if name else HOME
