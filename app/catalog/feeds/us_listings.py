"""Auction listings from the United States as a scraper left them: comma-separated, market US.

The source has no dealers, no fuel and no options: a dealer is derived per state, and what the
listing does not say stays empty. `condition` is the auction's remaining time, not the car's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

from app.catalog.feeds.colours import listed_colour
from app.catalog.feeds.delimited import Columns, Refused, Row, opened_rows
from app.catalog.feeds.record import (
    CarWltp,
    FeedContext,
    FeedUnreadable,
    Handover,
    NoticeCode,
    Offer,
    Parsed,
    Reason,
    StockRecord,
)
from app.catalog.feeds.us_words import body, us_words
from app.catalog.feeds.values import (
    distance_km,
    model_year,
    plausible_price,
    vin,
    vin_check_digit_fits,
)
from app.catalog.feeds.walk import walk
from app.catalog.range.dealers import Dealer, Latitude, Longitude, Zone
from app.catalog.range.tables import Several, Shipped, Text, read

MARKET = "US"
COUNTRY = "usa"
PLACES = Path(__file__).parent / "us_places.toml"
REQUIRED = (
    "id",
    "price",
    "brand",
    "model",
    "year",
    "title_status",
    "mileage",
    "color",
    "vin",
    "state",
    "country",
    "condition",
)
COLUMNS = Columns(required=REQUIRED, blank=frozenset(("color",)))
MAKES = {
    "bmw": "BMW",
    "gmc": "GMC",
    "land": "Land Rover",
    "aston": "Aston Martin",
    "alfa": "Alfa Romeo",
}
TITLES = ("clean vehicle", "salvage insurance")
_TIME_LEFT = re.compile(r"\d+ (days|hours|minutes)( left)?", re.ASCII)
MESSAGES = {
    NoticeCode.VIN_CHECK_DIGIT: "the VIN's check digit does not add up; compare it with the car.",
    NoticeCode.COLOUR_MISSING: "no colour is stated; the car is found under other colours.",
    NoticeCode.COLOUR_UNMAPPED: "the colour names no single known family; the car is found under "
    "other colours.",
    NoticeCode.MODEL_NOT_IN_RANGE: "the model is not in the range; the car is listed and sold, "
    "but not advised.",
    NoticeCode.MODEL_NOT_STATED: "the model column describes the car instead of naming a model; "
    "the car is shown by its make alone.",
    NoticeCode.MILEAGE_DOUBTFUL: "an odometer at 0 or 1 mile on a used car is most likely a "
    "placeholder; compare it with the car.",
}


@dataclass(frozen=True, slots=True)
class UsListings:
    """The adapter for the scraped listings; only for the market US."""

    name: str = "us_listings"

    def read(self, content: BinaryIO, context: FeedContext) -> Iterator[Parsed]:
        """See `FeedAdapter.read`."""
        if context.market.code != MARKET:
            raise FeedUnreadable(
                f"These listings belong to the market {MARKET}, not to {context.market.code}."
            )
        with opened_rows(content, ",", COLUMNS) as rows:
            yield from walk(rows, lambda row: _record(row, context), _remarks, MESSAGES)


ADAPTER = UsListings()


class Place(Shipped):
    name: Text
    code: Text
    lat: Latitude
    lon: Longitude
    timezone: Zone


class Places(Shipped):
    place: Several[Place]


@cache
def places() -> dict[str, Dealer]:
    """State name to the dealer that stands for its listings; hours and telephone are unknown."""
    return {
        place.name: Dealer(
            dealer_id=f"US-{place.code}",
            name=f"Listings in {place.name.title()}",
            market=MARKET,
            city=place.name.title(),
            region=place.name.title(),
            lat=place.lat,
            lon=place.lon,
            timezone=place.timezone,
            hours=(),
            place_is_approximate=True,
        )
        for place in read(Places, PLACES).place
    }


def _check_listing(row: Row) -> None:
    """Refuse rows that are no offer of one whole car in this market."""
    if row.need("country").casefold() != COUNTRY:
        raise Refused(
            "country",
            Reason.COUNTRY_NOT_OF_MARKET,
            f"the car is in {row.get('country')[:40]}, and the market {MARKET} is the United "
            "States only.",
        )
    make, model = row.need("brand"), row.need("model")
    if us_words().no_car_make(make):
        raise Refused(
            "brand",
            Reason.NOT_A_CAR,
            f"{make[:40]} makes motorcycles, trailers, lorries, boats or machines, not cars; leave "
            "it out.",
        )
    if us_words().no_car_model(make, model):
        raise Refused(
            "model",
            Reason.NOT_A_CAR,
            f"{make[:40]} {model[:40]} is a lorry, a motorcycle or a trailer, not a car; leave it "
            "out.",
        )
    _check_title(row)
    _check_time_left(row)


def _check_title(row: Row) -> None:
    title = row.need("title_status").casefold()
    if title not in TITLES:
        raise Refused(
            "title_status",
            Reason.MALFORMED_VALUE,
            f"title_status {title[:40]!r} must be one of: {', '.join(TITLES)}.",
        )
    if title == "salvage insurance":
        raise Refused(
            "title_status",
            Reason.SALVAGE_TITLE,
            "an insurer has written the car off; such cars are not sold here.",
        )


def _check_time_left(row: Row) -> None:
    left = row.need("condition").casefold()
    if left == "listing expired":
        raise Refused(
            "condition", Reason.LISTING_EXPIRED, "the listing has expired; list the car again."
        )
    if not _TIME_LEFT.fullmatch(left):
        raise Refused(
            "condition",
            Reason.MALFORMED_VALUE,
            f"condition {left[:40]!r} must be the listing's remaining time, like 2 days left.",
        )


def _record(row: Row, context: FeedContext) -> StockRecord:
    offer = _offer(row, context)
    _check_listing(row)
    listed = row.need("model")
    words = us_words().described(listed)
    make = row.need("brand")
    sheet = context.shipped.model_named(make, listed)
    return StockRecord(
        source=context.source,
        market=MARKET,
        row=row.number,
        stock_id=row.need("id"),
        vin=vin(row.need("vin"), "vin"),
        dealer=_dealer(row),
        make=MAKES.get(make.casefold(), make.title()),
        model=listed.title() if words is None else "",
        model_id=sheet.model_id if sheet else None,
        trim=None,
        model_year=model_year(row.need("year"), "year", context.today),
        body=sheet.body if sheet else body(words or frozenset()),
        colour=listed_colour(row.get("color"))[0],
        fuel=sheet.fuel if sheet else None,
        drivetrain=sheet.drivetrain if sheet else None,
        transmission=sheet.transmission if sheet else None,
        power_kw=sheet.power_kw if sheet else None,
        wltp=CarWltp(),
        odometer_km=_odometer_km(row),
        condition="used",
        first_registered=None,
        features=(),
        offer=offer,
        handover=Handover(),
        raw_hash=row.digest(),
    )


def _dealer(row: Row) -> Dealer:
    dealer = places().get(row.need("state").casefold())
    if dealer is None:
        raise Refused(
            "state",
            Reason.UNKNOWN_DEALER,
            f"state {row.get('state')[:40]!r} is not a state of the United States; write its full "
            "name.",
        )
    return dealer


def _odometer_km(row: Row) -> int:
    miles = row.need("mileage")
    if not re.fullmatch(r"[0-9]{1,9}", miles):
        raise Refused(
            "mileage",
            Reason.MALFORMED_VALUE,
            f"mileage {miles[:40]!r} must be whole miles without a unit.",
        )
    return distance_km(f"{miles} miles", "mileage")


def _offer(row: Row, context: FeedContext) -> Offer:
    dollars = row.need("price")
    if not re.fullmatch(r"-?[0-9]{1,9}", dollars):
        raise Refused(
            "price",
            Reason.MALFORMED_VALUE,
            f"price {dollars[:40]!r} must be whole dollars without a sign.",
        )
    return Offer(
        price_minor=plausible_price(int(dollars) * 100, "price", context.market),
        list_price_minor=None,
        currency=context.market.currency,
        vat_included=context.market.vat_included,
        vat_percent=None,
    )


def _remarks(row: Row, record: StockRecord) -> Iterator[tuple[NoticeCode, str]]:
    if record.vin and not vin_check_digit_fits(record.vin):
        yield NoticeCode.VIN_CHECK_DIGIT, "vin"
    if not record.model:
        yield NoticeCode.MODEL_NOT_STATED, "model"
    elif record.model_id is None:
        yield NoticeCode.MODEL_NOT_IN_RANGE, "model"
    colour = listed_colour(row.get("color"))[1]
    if colour:
        yield colour, "color"
    if int(row.get("mileage")) <= 1:
        yield NoticeCode.MILEAGE_DOUBTFUL, "mileage"
