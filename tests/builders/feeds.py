"""Feeds for tests, in Google's vehicle ads text format, with only what a row must have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

COLUMNS = (
    "id",
    "brand",
    "model",
    "trim",
    "year",
    "condition",
    "mileage",
    "color",
    "colour_code",
    "price",
    "vehicle_fulfillment(option:store_code)",
    "handover",
    "engine",
    "energy_consumption",
    "co2_emissions",
    "vin",
)

ALKEN = {
    "brand": "Ellevar",
    "model": "Alken",
    "trim": "Linje",
    "year": "2026",
    "condition": "new",
    "mileage": "12 km",
    "color": "Snölykta",
    "colour_code": "101",
    "price": "559900.00 SEK",
    "vehicle_fulfillment(option:store_code)": "in_store:SE-STO-1",
    "handover": "PT2H",
    "engine": "electric",
    "energy_consumption": "15.4 kWh/100km",
    "co2_emissions": "0 g/km",
}
"""A car of the shipped range at a dealer in Solna."""


def car(stock_id: str, **changed: str) -> dict[str, str]:
    return {"id": stock_id, **ALKEN, **changed}


def feed(cars: Sequence[Mapping[str, str]]) -> bytes:
    """The cars as a feed's bytes."""
    rows = [COLUMNS, *(tuple(row.get(name, "") for name in COLUMNS) for row in cars)]
    return "".join("\t".join(row) + "\n" for row in rows).encode()
