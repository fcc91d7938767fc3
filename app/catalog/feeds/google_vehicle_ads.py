"""Google's vehicle ads format: tab-delimited text, one row per car (docs/feeds.md).

Source: vehicle ads feed specification, Merchant Center help, articles 11192663 (columns) and
14154094 (fulfilment).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import BinaryIO

from app.catalog.feeds.colours import house_colour, listed_colour
from app.catalog.feeds.delimited import Columns, Refused, Row, base, opened_rows
from app.catalog.feeds.record import (
    CarWltp,
    Colour,
    Feature,
    FeedContext,
    Handover,
    NoticeCode,
    Offer,
    Parsed,
    Reason,
    StockRecord,
)
from app.catalog.feeds.values import (
    distance_km,
    handover,
    measured,
    model_year,
    price_minor,
    registration_month,
    vin,
    vin_check_digit_fits,
)
from app.catalog.feeds.walk import walk
from app.catalog.range.dealers import Dealer
from app.catalog.range.sheets import ModelSheet, Range

FULFILLMENT = "vehicle_fulfillment(option:store_code)"
STORE_CODE = "store_code"
PLAIN_FULFILLMENT = base(FULFILLMENT)
REQUIRED = ("id", "brand", "model", "year", "condition", "mileage", "color", "price")
STORES = (FULFILLMENT, PLAIN_FULFILLMENT, STORE_CODE)
"""Columns that say where a car stands; a feed has at least one of them."""
# Where a car of several offers stands: in the store of the first kind that has one.
FULFILLMENT_OPTIONS = ("in_store", "ship_to_store", "online")
OPTIONAL = (
    *("trim", "date_first_registered", "vehicle_msrp", "vehicle_price_type", "availability"),
    *("body_style", "engine", "vehicle_option", "vin", "handover", "colour_code"),
    *("fuel_consumption", "energy_consumption", "co2_emissions", "electric_range"),
    *("custom_label_0", "vehicle_all_in_price", "build_to_order", "availability_date"),
    *("expiration_date", "quantity"),
)
# Columns of the format that say something about price or availability which no shopper would hear.
UNHEARD = (
    *("sale_price", "sale_price_effective_date", "vehicle_expenses", "shipping", "tax"),
    *("installment", "subscription_cost", "vehicle_mandatory_inspection_included", "pause"),
    *("loyalty_program", "multipack", "is_bundle", "maximum_retail_price", "disclosure_date"),
)
COLUMNS = Columns(
    required=(*REQUIRED, STORES),
    optional=frozenset((*OPTIONAL, *UNHEARD)),
    several=frozenset((*UNHEARD, PLAIN_FULFILLMENT, STORE_CODE, "vehicle_option")),
    blank=frozenset(("color",)),
)
YES = ("yes", "true", "1")
NO = ("", "no", "false", "0")
LONGEST_ID = 100
_QUANTITY = re.compile(r"[+-]?\d{1,9}(?:\.\d{1,9})?", re.ASCII)
NEW_CAR_KM = 1_000
BODIES = {
    "hatchback": "hatchback",
    "sedan": "sedan",
    "station wagon": "estate",
    "suv": "suv",
    "crossover": "suv",
    "coupe": "coupe",
    "convertible": "convertible",
    "minivan": "mpv",
    "full size van": "van",
    "truck": "pickup",
    "ute": "pickup",
}
FUELS = {
    "electric": "electric",
    "plug-in hybrid": "plugin_hybrid",
    "hybrid": "hybrid",
    "petrol": "petrol",
    "gasoline": "petrol",
    "diesel": "diesel",
}
# A consumer's price must be the whole price; the other types leave charges out.
FINAL_PRICE_TYPES = ("", "all_in_price", "drive_away_price")
# Columns that a new car in the EEA must fill, by fuel ("" when the feed names none).
CONSUMPTION_COLUMNS = {
    "electric": ("energy_consumption", "co2_emissions"),
    "plugin_hybrid": ("fuel_consumption", "energy_consumption", "co2_emissions"),
    "": ("co2_emissions",),
}
COMBUSTION_COLUMNS = ("fuel_consumption", "co2_emissions")
MESSAGES = {
    NoticeCode.VIN_CHECK_DIGIT: "the VIN's check digit does not add up; outside North America that "
    "is allowed.",
    NoticeCode.COLOUR_MISSING: "no colour is stated; the car is found under other colours.",
    NoticeCode.COLOUR_UNMAPPED: "the colour names no single known family; the car is found under "
    "other colours.",
    NoticeCode.MODEL_NOT_IN_RANGE: "the model is not in the range; the car is listed and sold, "
    "but not advised.",
    NoticeCode.BODY_FROM_SHEET: "the body style differs from the model's sheet; the sheet's is "
    "shown.",
    NoticeCode.COLUMN_NOT_HEARD: "nothing of this column reaches the shopper, who buys the car at "
    "its price, as it stands; say it in price, vehicle_price_type or availability.",
    NoticeCode.MILEAGE_DOUBTFUL: f"a new car with more than {NEW_CAR_KM} km is unusual; check "
    "condition and mileage.",
}


@dataclass(frozen=True, slots=True)
class GoogleVehicleAds:
    """The adapter for tab-delimited vehicle ads feeds of dealers in the context's market."""

    name: str = "google_vehicle_ads"

    def read(self, content: BinaryIO, context: FeedContext) -> Iterator[Parsed]:
        """See `FeedAdapter.read`."""
        with opened_rows(content, "\t", COLUMNS) as rows:
            yield from walk(rows, lambda row: _record(row, context), _remarks, MESSAGES)


ADAPTER = GoogleVehicleAds()


def _check_offered(row: Row, context: FeedContext) -> None:
    """Refuse ids that cannot serve as one, and cars that cannot be bought."""
    stock_id = row.need("id")
    if len(stock_id) > LONGEST_ID or not stock_id.isprintable() or " " in stock_id:
        raise Refused(
            "id",
            Reason.MALFORMED_VALUE,
            f"id must be at most {LONGEST_ID} visible characters without blanks.",
        )
    if row.get("availability").replace("_", " ").casefold() not in ("", "in stock"):
        raise _not_available("availability", "the car is not in stock")
    if _said(row, "build_to_order"):
        raise _not_available("build_to_order", "the car is yet to be built")
    if _quantity(row) < 1:
        raise _not_available("quantity", "there is none of this car")
    expires = _day(row, "expiration_date")
    if expires and expires < context.today:
        raise Refused(
            "expiration_date",
            Reason.LISTING_EXPIRED,
            f"the listing expired on {expires}; list the car again with a later date.",
        )


def _not_available(field: str, why: str) -> Refused:
    return Refused(
        field,
        Reason.NOT_AVAILABLE,
        f"{why}; leave cars that cannot be bought today out of the feed, or say in handover when "
        "this one can be collected.",
    )


def _quantity(row: Row) -> float:
    text = row.get("quantity") or "1"
    if not _QUANTITY.fullmatch(text):
        raise Refused(
            "quantity",
            Reason.MALFORMED_VALUE,
            f"quantity {text[:40]!r} must be a number, 1 for a car that is there; leave cars that "
            "are not there out of the feed.",
        )
    return float(text)


def _handover(row: Row, context: FeedContext) -> Handover:
    """What `handover` says; `Refused` when the car is not there by then."""
    told = handover(row.get("handover"), "handover", context.today)
    available = _day(row, "availability_date")
    if available is None or available <= context.today:
        return told
    if told == Handover():
        raise _not_available("availability_date", f"the car is not there before {available}")
    # A moment counts in the zone in which it is written.
    collected = context.today + told.lead if told.lead is not None else _day(row, "handover")
    if collected is not None and collected < available:
        raise Refused(
            "availability_date",
            Reason.CONTRADICTION,
            f"the car is not there before {available}, but handover {row.get('handover')[:40]} "
            f"lets it be collected on {collected}; correct one of them.",
        )
    return told


def _said(row: Row, field: str) -> bool:
    text = row.get(field).casefold()
    if text not in YES + NO:
        raise Refused(field, Reason.MALFORMED_VALUE, f"{field} {text[:40]!r} must be yes or no.")
    return text in YES


def _day(row: Row, field: str) -> date | None:
    """The day of an ISO 8601 date or time, as written; `None` when empty."""
    text = row.get(field)
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).date()
    except ValueError as error:
        raise Refused(
            field,
            Reason.MALFORMED_VALUE,
            f"{field} {text[:40]!r} must be a day or a time, like 2026-12-01.",
        ) from error


def _record(row: Row, context: FeedContext) -> StockRecord:
    _check_offered(row, context)
    sheet = context.shipped.model_named(row.need("brand"), row.need("model"))
    fuel = _fuel(row, sheet)
    body = _body(row)
    condition = _condition(row)
    year = model_year(row.need("year"), "year", context.today)
    if condition == "new" and year < context.today.year - 2:
        raise Refused(
            "year",
            Reason.YEAR_IMPLAUSIBLE,
            f"the car is new and of model year {year}; correct year or condition.",
        )
    return StockRecord(
        source=context.source,
        market=context.market.code,
        row=row.number,
        stock_id=row.need("id"),
        vin=vin(row.get("vin"), "vin"),
        dealer=_dealer(row, context),
        make=row.need("brand"),
        model=sheet.name if sheet else row.need("model"),
        model_id=sheet.model_id if sheet else None,
        trim=row.get("trim") or None,
        model_year=year,
        body=sheet.body if sheet else body,
        colour=_colour(row, sheet, context.shipped),
        fuel=fuel,
        drivetrain=sheet.drivetrain if sheet else None,
        transmission=sheet.transmission if sheet else None,
        power_kw=sheet.power_kw if sheet else None,
        wltp=_wltp(row, fuel, required=context.market.eea and condition == "new"),
        odometer_km=distance_km(row.need("mileage"), "mileage"),
        condition=condition,
        first_registered=registration_month(
            row.get("date_first_registered"), "date_first_registered", context.today
        ),
        features=_features(row, context),
        offer=_offer(row, context, electric=fuel == "electric"),
        handover=_handover(row, context),
        raw_hash=row.digest(),
    )


def _condition(row: Row) -> str:
    condition = row.need("condition").casefold()
    if condition not in ("new", "used"):
        raise Refused(
            "condition",
            Reason.MALFORMED_VALUE,
            f"condition {row.get('condition')[:40]!r} must be new or used.",
        )
    demonstrator = row.get("custom_label_0").casefold() == "demonstrator"
    return "demonstrator" if demonstrator and condition == "used" else condition


def _dealer(row: Row, context: FeedContext) -> Dealer:
    """The dealer where the car stands: the first known store, those in store before others."""
    field, codes = _stores(row)
    dealer = next((context.dealers[code] for code in codes if code in context.dealers), None)
    if dealer is None:
        raise Refused(
            field,
            Reason.UNKNOWN_DEALER,
            f"the store code {codes[0][:40]!r} is not a dealer in {context.market.code}; correct "
            "it, or have the dealership registered first.",
        )
    listed = row.get(STORE_CODE)
    if listed and not set(_codes(listed)) & set(codes):
        raise Refused(
            STORE_CODE,
            Reason.CONTRADICTION,
            f"store_code {listed[:40]!r} is none of the stores in {field}; correct one of them.",
        )
    return dealer


def _stores(row: Row) -> tuple[str, list[str]]:
    """The column that names stores, and their codes, the likeliest place first; at least one."""
    fields = [name for name in row.cells if base(name) == PLAIN_FULFILLMENT and row.get(name)]
    by_option: dict[str, list[str]] = {option: [] for option in FULFILLMENT_OPTIONS}
    for field in fields:
        parts = field.removeprefix(PLAIN_FULFILLMENT).strip("()").split(":")
        for offer in row.get(field).split(","):
            option, stores = _offered(offer, parts)
            if option not in by_option or not (stores or option == "online" or parts == ["option"]):
                raise _no_store(row, field)
            by_option[option] += stores
    codes = [code for option in FULFILLMENT_OPTIONS for code in by_option[option]]
    if codes:
        return fields[0], codes
    codes = _codes(row.get(STORE_CODE))
    if codes:
        return STORE_CODE, codes
    field = fields[0] if fields else next((n for n in STORES if n in row.cells), FULFILLMENT)
    row.need(field)
    raise _no_store(row, field)


def _offered(offer: str, parts: list[str]) -> tuple[str, list[str]]:
    """Option and store codes of one offer; the heading names the order of its parts."""
    pieces = offer.split(":")
    if parts == [STORE_CODE]:
        option = FULFILLMENT_OPTIONS[0]
    else:
        option = pieces.pop(-1 if parts[0] == STORE_CODE else 0)
    return option.strip().casefold().replace(" ", "_"), _codes(":".join(pieces))


def _codes(text: str) -> list[str]:
    return [code.strip() for code in re.split("[:,]", text) if code.strip()]


def _no_store(row: Row, field: str) -> Refused:
    return Refused(
        field,
        Reason.MALFORMED_VALUE,
        f"{field} {row.get(field)[:40]!r} must name option and stores, like in_store:SE-STO-1 or "
        "in_store:SE-STO-1:SE-UPP-1,online.",
    )


def _fuel(row: Row, sheet: ModelSheet | None) -> str | None:
    text = row.get("engine").replace("_", " ").casefold()
    if not text:
        return sheet.fuel if sheet else None
    fuel = FUELS.get(text.replace("plug in", "plug-in"))
    if fuel is None:
        raise Refused(
            "engine",
            Reason.MALFORMED_VALUE,
            f"engine {text[:40]!r} must be one of {', '.join(FUELS)}.",
        )
    if sheet and fuel != sheet.fuel:
        raise Refused(
            "engine",
            Reason.CONTRADICTION,
            f"engine is {text}, but every {sheet.name} is {sheet.fuel.replace('_', ' ')}; correct "
            "model or engine.",
        )
    return fuel


def _body(row: Row) -> str | None:
    text = row.get("body_style").replace("_", " ").casefold()
    if text and text not in BODIES:
        raise Refused(
            "body_style",
            Reason.MALFORMED_VALUE,
            f"body_style {text[:40]!r} must be one of {', '.join(BODIES)}.",
        )
    return BODIES.get(text)


def _colour(row: Row, sheet: ModelSheet | None, shipped: Range) -> Colour:
    house = house_colour(row.get("color"), row.get("colour_code"), shipped) if sheet else None
    return house or listed_colour(row.get("color"))[0]


def _wltp(row: Row, fuel: str | None, *, required: bool) -> CarWltp:
    columns = CONSUMPTION_COLUMNS.get(fuel or "", COMBUSTION_COLUMNS)
    missing = [column for column in columns if not row.get(column)]
    if not fuel and not row.get("fuel_consumption") and not row.get("energy_consumption"):
        missing.insert(0, "fuel_consumption")
    if required and missing:
        raise Refused(
            missing[0],
            Reason.CONSUMPTION_MISSING,
            f"a new car may not be offered without consumption and CO2; fill {', '.join(missing)}.",
        )
    co2 = measured(row.get("co2_emissions"), "co2_emissions", "g/km", 600)
    electric_range = measured(row.get("electric_range"), "electric_range", "km", 1_500)
    return CarWltp(
        consumption_l_100km=measured(
            row.get("fuel_consumption"), "fuel_consumption", "l/100km", 40
        ),
        energy_kwh_100km=measured(
            row.get("energy_consumption"), "energy_consumption", "kWh/100km", 80
        ),
        co2_g_km=None if co2 is None else round(co2),
        electric_range_km=None if electric_range is None else round(electric_range),
    )


def _offer(row: Row, context: FeedContext, *, electric: bool) -> Offer:
    kind = row.get("vehicle_price_type").casefold()
    if kind not in FINAL_PRICE_TYPES:
        raise Refused(
            "vehicle_price_type",
            Reason.PRICE_NOT_FINAL,
            f"the price is of type {kind[:40]!r}, which leaves charges out; send the all_in_price.",
        )
    listed = row.get("vehicle_msrp")
    price = price_minor(row.need("price"), "price", context.market)
    whole = row.get("vehicle_all_in_price")
    if whole and price_minor(whole, "vehicle_all_in_price", context.market) != price:
        raise Refused(
            "vehicle_all_in_price",
            Reason.CONTRADICTION,
            f"the whole price is {whole}, but price says {row.get('price')}; a shopper pays one "
            "price, so send the whole one in both.",
        )
    return Offer(
        price_minor=price,
        list_price_minor=(price_minor(listed, "vehicle_msrp", context.market) if listed else None),
        currency=context.market.currency,
        vat_included=context.market.vat_included,
        vat_percent=context.market.vat_percent(context.today, electric=electric),
    )


def _features(row: Row, context: FeedContext) -> tuple[Feature, ...]:
    texts = dict.fromkeys(text.strip() for text in row.get("vehicle_option").split(","))
    return tuple(Feature(context.options.get(text.casefold()), text) for text in texts if text)


def _remarks(row: Row, record: StockRecord) -> Iterator[tuple[NoticeCode, str]]:
    """The remarks on an accepted row, each with the column it is about."""
    if record.vin and not vin_check_digit_fits(record.vin):
        yield NoticeCode.VIN_CHECK_DIGIT, "vin"
    if record.model_id is None:
        yield NoticeCode.MODEL_NOT_IN_RANGE, "model"
    elif row.get("body_style") and _body(row) != record.body:
        yield NoticeCode.BODY_FROM_SHEET, "body_style"
    if record.colour.family == "other":
        remark = listed_colour(row.get("color"))[1]
        if remark:
            yield remark, "color"
    if record.condition == "new" and record.odometer_km > NEW_CAR_KM:
        yield NoticeCode.MILEAGE_DOUBTFUL, "mileage"
    for column in row.cells:
        if base(column) in UNHEARD and _says_something(row.get(column)):
            yield NoticeCode.COLUMN_NOT_HEARD, column


def _says_something(text: str) -> bool:
    return any(part.strip().casefold() not in NO for part in text.split(","))
