"""Feeds for tests, in Google's vehicle ads text format, with only what a row must have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

from app.catalog.range.stock import REHEARSAL_SOURCE, shipped_feeds

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


def exported(count: int, *, dearer: int = 0, characters: int = 0) -> bytes:
    """A Swedish feed of `count` cars as a dealer's system writes it, each with a VIN of its own.

    The shipped stock over and over, `dearer` kronor dearer and with a description of `characters`.
    """
    shipped = next(f for f in shipped_feeds() if f.market == "SE" and f.source != REHEARSAL_SOURCE)
    header, *rows = shipped.read().decode().splitlines()
    price = header.split("\t").index("price")
    prose = ("Välskött och servad enligt bok. " * (characters // 32 + 1))[:characters]
    lines = [f"{header}\tvin\tdescription"]
    for number, row in zip(range(count), cycle(rows), strict=False):
        _, *cells = row.split("\t")
        amount = 150_000 + number * 37 % 700_000 + dearer
        cells[price - 1] = f"{amount}.00 SEK"
        lines.append("\t".join((f"BIG{number}", *cells, f"YV1ZZZ{number:011d}", prose)))
    return "\n".join(lines).encode()
