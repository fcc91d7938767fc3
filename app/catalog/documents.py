"""What the catalogue says about a car, a model and a dealer, in the shapes of the contract."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson

from app.catalog.feeds.record import StockRecord
from app.catalog.range.dealers import Dealer
from app.catalog.range.sheets import ModelSheet, Range
from app.contracts import catalog as wire
from app.contracts.wire import LANGUAGES, MoneyWire
from app.kernel.opening import Calendar
from telemetry.catalogue.labels import CURRENCY_OF_MARKET


def car_id_of(source: str, market: str, stock_id: str) -> str:
    """An opaque name that the same stock car keeps through every import."""
    named = f"{source}\x1f{market}\x1f{stock_id}".encode()
    return f"car_{hashlib.blake2b(named, digest_size=12).hexdigest()}"


def car_document(record: StockRecord, shipped: Range) -> dict[str, Any]:
    """The members of a wire `Car` that do not depend on time, caller or checkout."""
    sheet = shipped.model(record.model_id) if record.model_id else None
    offer, wltp = record.offer, record.wltp
    return {
        "car_id": car_id_of(record.source, record.market, record.stock_id),
        "model_id": record.model_id,
        "title": record.title,
        "make": record.make,
        "model_name": record.model,
        "trim": record.trim,
        "model_year": record.model_year,
        "body": record.body,
        "fuel": record.fuel,
        "drivetrain": record.drivetrain,
        "transmission": record.transmission,
        "power_kw": record.power_kw,
        "seats": sheet.seats if sheet else None,
        "condition": record.condition,
        "odometer_km": record.odometer_km,
        "wltp": {
            "consumption_l_100km": wltp.consumption_l_100km,
            "energy_kwh_100km": wltp.energy_kwh_100km,
            "co2_g_km": wltp.co2_g_km,
            "electric_range_km": wltp.electric_range_km,
        },
        "colour": {
            "family": record.colour.family,
            "name": record.colour.name,
            "hex": record.colour.hex,
            "code": record.colour.code,
        },
        "price": {"amount": offer.price_minor, "currency": offer.currency},
        "list_price": (
            None
            if offer.list_price_minor is None
            else {"amount": offer.list_price_minor, "currency": offer.currency}
        ),
        "vat_rate": vat_rate(offer.vat_percent),
        "features": [feature.text for feature in record.features],
        "market": record.market,
        "dealer": {
            "dealer_id": record.dealer.dealer_id,
            "name": record.dealer.name,
            "city": record.dealer.city,
            "lat": record.dealer.lat,
            "lon": record.dealer.lon,
        },
    }


def vat_rate(percent: Decimal | None) -> str | None:
    """A rate in percent as the decimal fraction that facts and answers carry: 25 is `0.25`."""
    return None if percent is None else f"{(percent / 100).normalize():f}"


def digest_of(document: dict[str, Any], handover: str) -> str:
    """Equal exactly when shoppers would see the same car."""
    content = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content + handover.encode()).hexdigest()


def dealer_of(dealer: Dealer) -> wire.Dealer:
    return wire.Dealer(
        dealer_id=dealer.dealer_id,
        name=dealer.name,
        market=dealer.market,  # type: ignore[arg-type]  # checked when the range was read
        city=dealer.city,
        address=", ".join(part for part in (dealer.postcode_area, dealer.region) if part),
        lat=dealer.lat,
        lon=dealer.lon,
        time_zone=dealer.timezone,
        opening_hours=[
            wire.OpeningHours(days=list(h.days), opens=h.opens, closes=h.closes)
            for h in dealer.hours
        ],
        closed_days=list(dealer.closed_days),
        phone=dealer.phone,
    )


@lru_cache(maxsize=1000)
def calendar_of(dealer: Dealer) -> Calendar:
    """Its hours as a value: thousands of cars ask for those of some dealers."""
    return Calendar.of(dealer_of(dealer))


def model_of(sheet: ModelSheet) -> wire.Model:
    """A sheet of the range as the API shows it."""
    return wire.Model.model_validate(
        {
            "model_id": sheet.model_id,
            "name": sheet.name,
            "body": sheet.body,
            "seats": sheet.seats,
            "doors": sheet.doors,
            "isofix": {
                "rear_outer": sheet.isofix.rear_outer,
                "front": sheet.isofix.front,
                "isize_positions": list(sheet.isofix.isize_positions),
                "top_tether": int(sheet.isofix.top_tether),
                "three_across": sheet.isofix.three_across,
            },
            "boot_litres": sheet.boot_litres,
            "boot_max_litres": sheet.boot_max_litres,
            "tow_kg": sheet.tow_kg,
            "drivetrain": sheet.drivetrain,
            "fuel": sheet.fuel,
            "transmission": sheet.transmission,
            "power_kw": sheet.power_kw,
            "acceleration_s": sheet.acceleration_s,
            "top_speed_kmh": sheet.top_speed_kmh,
            "battery_kwh": sheet.battery_kwh,
            "wltp": {
                "consumption_l_100km": sheet.wltp.consumption_l_100km,
                "energy_kwh_100km": sheet.wltp.energy_kwh_100km,
                "co2_g_km": sheet.wltp.co2_g_km,
                "electric_range_km": sheet.wltp.electric_range_km,
            },
            "length_mm": sheet.length_mm,
            "width_mm": sheet.width_mm,
            "height_mm": sheet.height_mm,
            "wheelbase_mm": sheet.wheelbase_mm,
            "ground_clearance_mm": sheet.ground_clearance_mm,
            "wheel_inches": sheet.wheel_inches,
            "kerb_mass_kg": sheet.kerb_mass_kg,
            "prices": {
                market: MoneyWire(amount=amount, currency=CURRENCY_OF_MARKET[market])
                for market, amount in sheet.prices.items()
            },
            "personality": dict(sheet.personality),
            "design": {
                "roofline_drop": sheet.design.roofline_drop,
                "nose_length": sheet.design.nose_length,
                "beltline": sheet.design.beltline,
                "rear_rake": sheet.design.rear_rake,
                "light_signature": sheet.design.light_signature,
                "cladding": sheet.design.cladding,
                "roof_rails": sheet.design.roof_rails,
                "two_tone": sheet.design.two_tone,
            },
            "tagline": {language: sheet.texts[language].tagline for language in LANGUAGES},
            "description": {language: sheet.texts[language].description for language in LANGUAGES},
            "equipment": {
                language: [item.names[language] for item in sheet.equipment]
                for language in LANGUAGES
            },
            "paints": [
                {
                    "code": paint.code,
                    "name": dict(paint.names),
                    "family": paint.family,
                    "hex": paint.hex,
                }
                for paint in sheet.colours
            ],
        }
    )
