"""Words for the codes that other services use: body styles, fuels, traits, equipment, colours.

Everything here is a message id: it is translated where it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.storefront.texts import msg

BODIES: Final[Mapping[str, str]] = {
    "suv": msg("SUV"),
    "estate": msg("Estate"),
    "hatchback": msg("Hatchback"),
    "sedan": msg("Saloon"),
    "mpv": msg("People carrier"),
    "coupe": msg("Coupé"),
    "convertible": msg("Convertible"),
    "pickup": msg("Pick-up"),
    "van": msg("Van"),
}

BODIES_PLURAL: Final[Mapping[str, str]] = {
    "suv": msg("SUVs"),
    "estate": msg("Estates"),
    "hatchback": msg("Hatchbacks"),
    "sedan": msg("Saloons"),
    "mpv": msg("People carriers"),
    "coupe": msg("Coupés"),
    "convertible": msg("Convertibles"),
    "pickup": msg("Pick-ups"),
    "van": msg("Vans"),
}

FUELS: Final[Mapping[str, str]] = {
    "electric": msg("Electric"),
    "plugin_hybrid": msg("Plug-in hybrid"),
    "hybrid": msg("Hybrid"),
    "petrol": msg("Petrol"),
    "diesel": msg("Diesel"),
}

DRIVETRAINS: Final[Mapping[str, str]] = {
    "fwd": msg("Front-wheel drive"),
    "rwd": msg("Rear-wheel drive"),
    "awd": msg("All-wheel drive"),
}

TRANSMISSIONS: Final[Mapping[str, str]] = {
    "single_speed": msg("Single speed"),
    "automatic": msg("Automatic"),
    "manual": msg("Manual"),
}

CONDITIONS: Final[Mapping[str, str]] = {
    "new": msg("New"),
    "used": msg("Used"),
}

COLOURS: Final[Mapping[str, tuple[str, str]]] = {
    "white": (msg("White"), "#f1f3f2"),
    "silver": (msg("Silver"), "#b9bec3"),
    "grey": (msg("Grey"), "#6d747a"),
    "black": (msg("Black"), "#15181b"),
    "blue": (msg("Blue"), "#2c4a6e"),
    "green": (msg("Green"), "#2f4a3b"),
    "red": (msg("Red"), "#8f2326"),
    "orange": (msg("Orange"), "#b85a22"),
    "yellow": (msg("Yellow"), "#d3a52a"),
    "brown": (msg("Brown"), "#5a4334"),
    "beige": (msg("Beige"), "#cbbda4"),
}
"""Colour families of the API: a word, and a swatch's paint."""


@dataclass(frozen=True, slots=True)
class Trait:
    """One axis of the personality matrix, from `low` (0) to `high` (1)."""

    code: str
    low: str
    high: str
    question: str


TRAITS: Final = (
    Trait("sporty", msg("Calm"), msg("Sporty"), msg("On an empty, winding road")),
    Trait("comfort", msg("Taut"), msg("Cosseting"), msg("On a rough surface")),
    Trait("expressive", msg("Discreet"), msg("Expressive"), msg("In the street")),
    Trait("practical", msg("Elegant"), msg("Practical"), msg("If form and use disagree")),
    Trait("adventurous", msg("At home in town"), msg("At home outdoors"), msg("On a free weekend")),
    Trait("progressive", msg("Traditional"), msg("Forward-looking"), msg("With new technology")),
)

FEATURES: Final[Mapping[str, str]] = {
    "Dragkrok": msg("Towbar"),
    "Vinterhjul": msg("Winter wheels"),
    "Glastak": msg("Glass roof"),
    "Konserthusljud": msg("Concert hall sound"),
    "Förarstöd plus": msg("Driver support plus"),
    "Eluppvärmt baksäte": msg("Heated rear seats"),
    "Vindrutedisplay": msg("Head-up display"),
    "Rundumkamera": msg("Surround camera"),
    "Parkeringsvärmare": msg("Parking heater"),
    "Växelströmsladdning 22 kW": msg("AC charging 22 kW"),
    "Ett nummer större hjul": msg("One-inch larger wheels"),
    "Läderklädsel": msg("Leather upholstery"),
    "Lastgaller": msg("Load guard"),
    "Lasthållare": msg("Roof bars"),
}
"""Options as Swedish-language feeds write them; a word that is not here is shown as it came."""

NEEDS: Final[Mapping[str, str]] = {
    "seats": msg("seats"),
    "child_seats": msg("child seats"),
    "luggage_litres": msg("luggage space"),
    "towing_kg": msg("towing"),
    "max_price": msg("budget"),
    "min_range_km": msg("electric range"),
    "fuels": msg("fuel"),
    "bodies": msg("body style"),
    "all_wheel_drive": msg("all-wheel drive"),
}
"""Needs as relaxations name them."""


def feature(word: str) -> str:
    """The message id of an option's name in a feed."""
    return FEATURES.get(word, word)
