"""Single values of a row: prices, years, VINs, distances, times. Each refuses with a sentence."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta

from app.catalog.feeds.delimited import Refused
from app.catalog.feeds.record import Handover, Reason
from app.catalog.range.markets import Market

KM_PER_MILE = 1.609344
FURTHEST_KM = 1_000_000
EARLIEST_YEAR = 1900
LONGEST_LEAD = timedelta(days=366)
_PRICE = re.compile(r"(-?\d{1,12})(?:\.(\d{1,2}))? ([A-Z]{3})", re.ASCII)
_DISTANCE = re.compile(r"(\d{1,9}) ?(km|kms|mi|mile|miles)", re.IGNORECASE | re.ASCII)
_NUMBER_UNIT = re.compile(r"(\d{1,5}(?:\.\d{1,3})?) ?(\S+)", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?", re.ASCII)
_DURATION = re.compile(
    r"P(?=\d|T\d)(?:(?P<weeks>\d{1,3})W)?(?:(?P<days>\d{1,3})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,4})H)?(?:(?P<minutes>\d{1,5})M)?(?:(?P<seconds>\d{1,6})S)?)?",
    re.ASCII,
)

# ISO 3779: no I, O or Q. The check digit (position 9) is compulsory in North America only.
_VIN_BETWEEN = re.compile(r"[\s\u200b\u2060\ufeff\u2010-\u2015\u2212-]+")
_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")
_VIN_VALUES = {
    **{digit: int(digit) for digit in "0123456789"},
    **dict(zip("ABCDEFGH", range(1, 9), strict=True)),
    **dict(zip("JKLMN", range(1, 6), strict=True)),
    "P": 7,
    "R": 9,
    **dict(zip("STUVWXYZ", range(2, 10), strict=True)),
}
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def price_minor(text: str, field: str, market: Market) -> int:
    """A price like "489900.00 SEK" in minor units, in the market's currency and bounds."""
    match = _PRICE.fullmatch(text)
    if not match:
        raise Refused(
            field,
            Reason.MALFORMED_VALUE,
            f"{field} {text[:40]!r} is not a price; write digits, a point and the currency, "
            f"like 489900.00 {market.currency}.",
        )
    whole, cents, currency = match.groups()
    if currency != market.currency:
        raise Refused(
            field,
            Reason.CURRENCY_NOT_OF_MARKET,
            f"{field} is in {currency}; the market {market.code} trades in {market.currency}. "
            "Send the car in the feed of its own market.",
        )
    sign = -1 if whole.startswith("-") else 1
    minor = int(whole) * 100 + sign * int((cents or "0").ljust(2, "0"))
    return plausible_price(minor, field, market)


def plausible_price(minor: int, field: str, market: Market) -> int:
    """The price itself when a car may cost that in the market."""
    if minor <= 0:
        raise Refused(
            field,
            Reason.PRICE_NOT_POSITIVE,
            f"{field} is {minor / 100:.2f}; a car for sale needs a price above zero.",
        )
    if not market.price_min_minor <= minor <= market.price_max_minor:
        raise Refused(
            field,
            Reason.PRICE_IMPLAUSIBLE,
            f"{field} {minor // 100} {market.currency} lies outside "
            f"{market.price_min_minor // 100} to {market.price_max_minor // 100}; "
            "check for a missing or surplus digit.",
        )
    return minor


def model_year(text: str, field: str, today: date) -> int:
    """A model year from 1900 to two years ahead."""
    if not re.fullmatch(r"[0-9]{4}", text):
        raise Refused(
            field, Reason.MALFORMED_VALUE, f"{field} {text[:40]!r} is not a year of four digits."
        )
    year = int(text)
    if not EARLIEST_YEAR <= year <= today.year + 2:
        raise Refused(
            field,
            Reason.YEAR_IMPLAUSIBLE,
            f"{field} {year} lies outside {EARLIEST_YEAR} to {today.year + 2}; correct it.",
        )
    return year


def distance_km(text: str, field: str) -> int:
    """A distance like "1200 km" or "746 miles", in whole kilometres."""
    match = _DISTANCE.fullmatch(text)
    if not match:
        raise Refused(
            field,
            Reason.MALFORMED_VALUE,
            f"{field} {text[:40]!r} is not a distance; write a whole number and km or miles, "
            "like 1200 km.",
        )
    number, unit = int(match[1]), match[2].casefold()
    kilometres = number if unit.startswith("k") else round(number * KM_PER_MILE)
    if kilometres > FURTHEST_KM:
        raise Refused(
            field,
            Reason.MILEAGE_IMPLAUSIBLE,
            f"{field} {text} is more than {FURTHEST_KM} km; check for a surplus digit.",
        )
    return kilometres


def measured(text: str, field: str, unit: str, most: float) -> float | None:
    """A number with its unit like "6.2 l/100km"; `None` when empty."""
    if not text:
        return None
    match = _NUMBER_UNIT.fullmatch(text)
    if not match or match[2].casefold() != unit.casefold() or float(match[1]) > most:
        raise Refused(
            field,
            Reason.MALFORMED_VALUE,
            f"{field} {text[:40]!r} must be a number up to {most:g} and its unit, like 5.4 {unit}.",
        )
    return float(match[1])


def vin(text: str, field: str) -> str | None:
    """A VIN in capitals; `None` when empty. The message does not repeat it (personal data)."""
    value = plain_vin(text)
    if not value:
        return None
    if not _VIN.fullmatch(value):
        raise Refused(
            field,
            Reason.VIN_MALFORMED,
            f"{field} has {len(value)} characters or uses signs outside A-Z (without I, O, Q) "
            "and 0-9; a VIN has exactly 17. Correct it, or leave it out.",
        )
    return value


def plain_vin(text: str) -> str:
    """A VIN as ISO 3779 writes it: people add blanks and hyphens, keyboards full-width letters."""
    return _VIN_BETWEEN.sub("", unicodedata.normalize("NFKC", text)).upper()


def vin_check_digit_fits(value: str) -> bool:
    """Whether position 9 is the North American check digit (49 CFR 565.15)."""
    total = sum(_VIN_VALUES[c] * weight for c, weight in zip(value, _VIN_WEIGHTS, strict=True))
    return value[8] == "0123456789X"[total % 11]


def registration_month(text: str, field: str, today: date) -> str | None:
    """A month of first registration as "YYYY-MM"; `None` when empty."""
    if not text:
        return None
    match = _MONTH.fullmatch(text)
    try:
        day = date(*(int(part or 1) for part in match.groups())) if match else None
    except ValueError:  # 31 February
        day = None
    if match is None or day is None or day.year < EARLIEST_YEAR or day > today:
        raise Refused(
            field,
            Reason.MALFORMED_VALUE,
            f"{field} {text[:40]!r} must be a month or day of the past, like 2024-03.",
        )
    return f"{match[1]}-{match[2]}"


def handover(text: str, field: str, today: date) -> Handover:
    """An RFC 3339 time or an ISO 8601 duration counted from the order; empty is unknown.

    Months and years are refused in durations: their length is not fixed. A time before yesterday
    means ready now; one more than a year ago or two years ahead is a typing error.
    """
    if not text:
        return Handover()
    match = _DURATION.fullmatch(text)
    if match:
        lead = timedelta(**{unit: int(n) for unit, n in match.groupdict().items() if n})
        if lead <= LONGEST_LEAD:
            return Handover(lead=lead)
    elif "T" in text.upper():
        try:
            moment = datetime.fromisoformat(text)
            at = None if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):  # the last hours of year 9999, told in another zone
            at = None
        if at is not None and -365 <= (days := (at.date() - today).days) <= 2 * 365:
            return Handover(at=at) if days >= -1 else Handover(lead=timedelta(0))
    raise Refused(
        field,
        Reason.MALFORMED_VALUE,
        f"{field} {text[:40]!r} must be a time with its zone, like 2026-12-01T09:00:00+01:00, "
        "at most two years ahead, or a lead time of at most a year, like PT0S (ready now) or P2D.",
    )
