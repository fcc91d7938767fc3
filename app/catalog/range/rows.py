"""A drawn car as a row of Google's vehicle ads text format.

Attribute names and values follow the vehicle ads feed specification (Merchant Center help,
article 11192663); `custom_label_0` marks demonstrators, `handover` and `colour_code` are this
project's extension columns (docs/feeds.md).
"""

from __future__ import annotations

from app.catalog.range.fleet import Car
from app.contracts.catalog import MAKE

# "Vehicles & Parts > Vehicles > Motor Vehicles > Cars, Trucks & Vans" in Google's taxonomy.
CARS_CATEGORY = "916"
SITE = "https://ellevar.example"
BODY_STYLES = {
    "hatchback": "hatchback",
    "sedan": "sedan",
    "estate": "station wagon",
    "suv": "suv",
    "coupe": "coupe",
    "convertible": "convertible",
    "mpv": "minivan",
    "van": "full size van",
    "pickup": "truck",
}
ENGINES = {
    "electric": "electric",
    "plugin_hybrid": "plug-in hybrid",
    "hybrid": "hybrid",
    "petrol": "petrol",
    "diesel": "diesel",
}
HEADER = (
    "id",
    "title",
    "google_product_category",
    "brand",
    "model",
    "trim",
    "year",
    "condition",
    "custom_label_0",
    "mileage",
    "date_first_registered",
    "color",
    "colour_code",
    "price",
    "vehicle_msrp",
    "vehicle_price_type",
    "vehicle_fulfillment(option:store_code)",
    "handover",
    "link",
    "link_template",
    "image_link",
    "body_style",
    "engine",
    "vehicle_option",
    "fuel_consumption",
    "energy_consumption",
    "co2_emissions",
    "electric_range",
    "emissions_standard",
)


def row_of(car: Car) -> tuple[str, ...]:
    """The cells of `car`, in the order of `HEADER`."""
    language = "en" if car.market.code == "FI" else "sv"
    wltp = car.sheet.wltp
    link = f"{SITE}/cars/{car.stock_id}"
    return (
        car.stock_id,
        f"{MAKE} {car.sheet.name} {car.trim.name} {car.model_year}",
        CARS_CATEGORY,
        MAKE,
        car.sheet.name,
        car.trim.name,
        str(car.model_year),
        "new" if car.condition == "new" else "used",
        "demonstrator" if car.condition == "demonstrator" else "",
        f"{car.kilometres} km",
        car.first_registered or "",
        car.paint.names[language],
        car.paint.code,
        _price(car.price_minor, car.market.currency),
        _price(car.list_minor, car.market.currency),
        "all_in_price",
        f"in_store:{car.dealer.dealer_id}",
        car.handover,
        link,
        f"{link}?store={{store_code}}",
        f"{SITE}/images/{car.sheet.model_id}-{car.paint.code}.png",
        BODY_STYLES[car.sheet.body],
        ENGINES[car.sheet.fuel],
        ",".join(option.names[language] for option in car.options),
        _with_unit(wltp.consumption_l_100km, "l/100km"),
        _with_unit(wltp.energy_kwh_100km, "kWh/100km"),
        _with_unit(wltp.co2_g_km, "g/km"),
        _with_unit(wltp.electric_range_km, "km"),
        "zero_emissions" if car.sheet.fuel == "electric" else "euro6e",
    )


def _price(minor: int, currency: str) -> str:
    return f"{minor // 100}.{minor % 100:02d} {currency}"


def _with_unit(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value} {unit}"
