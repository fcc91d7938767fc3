"""The canonical stock record, what an adapter may say instead, and what an adapter is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import BinaryIO, Protocol, runtime_checkable

from app.catalog.range.dealers import Dealer
from app.catalog.range.markets import Market
from app.catalog.range.sheets import Range


class FeedUnreadable(Exception):
    """The file as a whole cannot be read; nothing of it was imported. One sentence says why."""


class Reason(StrEnum):
    """Why a row was rejected: a closed set, documented in docs/feeds.md."""

    MISSING_VALUE = "missing_value"
    MALFORMED_VALUE = "malformed_value"
    ROW_TRUNCATED = "row_truncated"
    ROW_TOO_LONG = "row_too_long"
    TEXT_TOO_LONG = "text_too_long"
    CONTROL_CHARACTER = "control_character"
    DUPLICATE_ID = "duplicate_id"
    DUPLICATE_VIN = "duplicate_vin"
    VIN_MALFORMED = "vin_malformed"
    PRICE_NOT_POSITIVE = "price_not_positive"
    PRICE_IMPLAUSIBLE = "price_implausible"
    PRICE_NOT_FINAL = "price_not_final"
    CURRENCY_NOT_OF_MARKET = "currency_not_of_market"
    COUNTRY_NOT_OF_MARKET = "country_not_of_market"
    YEAR_IMPLAUSIBLE = "year_implausible"
    MILEAGE_IMPLAUSIBLE = "mileage_implausible"
    UNKNOWN_DEALER = "unknown_dealer"
    CONSUMPTION_MISSING = "consumption_missing"
    CONTRADICTION = "contradiction"
    NOT_AVAILABLE = "not_available"
    LISTING_EXPIRED = "listing_expired"
    SALVAGE_TITLE = "salvage_title"
    NOT_A_CAR = "not_a_car"


class NoticeCode(StrEnum):
    """What an accepted row is remarked for: a closed set, documented in docs/feeds.md."""

    VIN_CHECK_DIGIT = "vin_check_digit"
    COLOUR_MISSING = "colour_missing"
    COLOUR_UNMAPPED = "colour_unmapped"
    MODEL_NOT_IN_RANGE = "model_not_in_range"
    MODEL_NOT_STATED = "model_not_stated"
    BODY_FROM_SHEET = "body_from_sheet"
    MILEAGE_DOUBTFUL = "mileage_doubtful"
    COLUMN_NOT_HEARD = "column_not_heard"
    VIN_WAITS = "vin_waits"
    VIN_ELSEWHERE = "vin_elsewhere"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was not imported. `row` counts the header as row 1; `field` is the column.

    `message` says what is wrong, where, and what to do. `value` is cut to 80 characters and is
    empty for a VIN, which may be personal data.
    """

    row: int
    stock_id: str | None
    field: str
    value: str
    reason: Reason
    message: str
    vin: str = dataclasses.field(default="", repr=False)
    """As its cell has it; told to nobody."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A remark on an accepted row; the fields are those of `Rejection`."""

    row: int
    stock_id: str
    field: str
    value: str
    code: NoticeCode
    message: str


@dataclass(frozen=True, slots=True)
class Colour:
    """A paint: `family` is a house family or "other"; `code` only for house paints."""

    family: str
    name: str
    code: str | None
    hex: str | None


@dataclass(frozen=True, slots=True)
class Feature:
    """An option as listed; `code` when it is one of the range's own."""

    code: str | None
    text: str


@dataclass(frozen=True, slots=True)
class CarWltp:
    """WLTP combined values of one car as its feed states them; `None` where it does not."""

    consumption_l_100km: float | None = None
    energy_kwh_100km: float | None = None
    co2_g_km: int | None = None
    electric_range_km: int | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """Prices in minor units of `currency`.

    `vat_percent` is `None` where none is known or no single rate applies.
    """

    price_minor: int
    list_price_minor: int | None
    currency: str
    vat_included: bool
    vat_percent: Decimal | None


@dataclass(frozen=True, slots=True)
class Handover:
    """When the car can be collected: at `at` (UTC) or `lead` after the order; neither: unknown."""

    at: datetime | None = None
    lead: timedelta | None = None

    def ready_at(self, ordered_at: datetime) -> datetime | None:
        """The moment of handover for an order placed at `ordered_at`, `None` when unknown."""
        if self.lead is not None:
            return ordered_at + self.lead
        return None if self.at is None else max(self.at, ordered_at)


@dataclass(frozen=True, slots=True)
class StockRecord:
    """One stock car of any source.

    `model_id` is `None` outside the range: such a car is listed and sold, but not advised. `model`
    is empty when the source states none. `condition`: "new", "demonstrator" or "used".
    `first_registered`: "YYYY-MM". `raw_hash`: SHA-256 over the row's named cells; equal means
    unchanged. Facts of a model in the range (body, drivetrain, transmission, power) come from its
    sheet; otherwise `None` where the source says nothing.
    """

    source: str
    market: str
    row: int
    stock_id: str
    vin: str | None
    dealer: Dealer
    make: str
    model: str
    model_id: str | None
    trim: str | None
    model_year: int
    body: str | None
    colour: Colour
    fuel: str | None
    drivetrain: str | None
    transmission: str | None
    power_kw: int | None
    wltp: CarWltp
    odometer_km: int
    condition: str
    first_registered: str | None
    features: tuple[Feature, ...]
    offer: Offer
    handover: Handover
    raw_hash: str

    @property
    def title(self) -> str:
        """Make, model, trim and year, leaving out what is not stated."""
        parts = (self.make, self.model, self.trim, str(self.model_year))
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class FeedContext:
    """What an adapter may know beside the bytes: whose feed, which market, which day.

    `dealers` maps the market's store codes; adapters whose source has no dealers derive their own.
    `options` maps the case-folded names of the range's own options, in any language, to codes.
    """

    source: str
    market: Market
    dealers: Mapping[str, Dealer]
    options: Mapping[str, str]
    shipped: Range
    today: date

    @classmethod
    def of(cls, source: str, market: str, shipped: Range, today: date) -> FeedContext:
        """The context of `source` in `market`; `KeyError` for an unknown market."""
        dealers = {dealer.dealer_id: dealer for dealer in shipped.dealers_of(market)}
        options = {
            name.casefold(): option.code
            for option in shipped.options
            for name in option.names.values()
        }
        return cls(
            source,
            shipped.markets[market],
            MappingProxyType(dealers),
            MappingProxyType(options),
            shipped,
            today,
        )


Parsed = StockRecord | Rejection | Notice


@runtime_checkable
class FeedAdapter(Protocol):
    """Reads one kind of feed.

    Every input row becomes exactly one `StockRecord` or one `Rejection`, in the file's order;
    notices precede the record they belong to. Raises `FeedUnreadable` before the first row.
    """

    @property
    def name(self) -> str:
        """The adapter's name, as settings and routes write it."""

    def read(self, content: BinaryIO, context: FeedContext) -> Iterator[Parsed]:
        """Read a whole feed from its file, some rows at a time, as often as it takes."""
