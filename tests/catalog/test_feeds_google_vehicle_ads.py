"""Dealer feeds in the vehicle ads format, and each way to get one wrong."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.catalog.feeds.google_vehicle_ads import ADAPTER, FULFILLMENT
from app.catalog.feeds.packaging import LARGEST_UNPACKED
from app.catalog.feeds.record import (
    CarWltp,
    Colour,
    Feature,
    FeedContext,
    FeedUnreadable,
    Handover,
    Notice,
    NoticeCode,
    Offer,
    Parsed,
    Reason,
    Rejection,
    StockRecord,
)
from app.catalog.range.loading import load_range

TODAY = date(2026, 11, 22)
FJORDAN = {
    "id": "A1",
    "brand": "Ellevar",
    "model": "Fjordan",
    "trim": "Linje",
    "year": "2026",
    "condition": "new",
    "mileage": "12 km",
    "color": "Djupfjord",
    "colour_code": "501",
    "price": "661900.00 SEK",
    "vehicle_msrp": "684700.00 SEK",
    FULFILLMENT: "in_store:SE-STO-1",
    "handover": "P2D",
    "body_style": "suv",
    "engine": "electric",
    "vehicle_option": "Vinterhjul,Egen matta",
    "energy_consumption": "19.1 kWh/100km",
    "co2_emissions": "0 g/km",
    "electric_range": "495 km",
    "date_first_registered": "",
    "vin": "",
    "custom_label_0": "",
    "vehicle_price_type": "all_in_price",
    "availability": "",
    "fuel_consumption": "",
}
STRANGER = {
    "brand": "Tolvik",
    "model": "Fram",
    "engine": "",
    "condition": "used",
    "color": "röd metallic",
    "colour_code": "",
    "body_style": "station wagon",
}


def _feed(*rows: dict[str, str]) -> bytes:
    columns = dict.fromkeys([*FJORDAN, *(column for row in rows for column in row)], "")
    lines = ["\t".join(columns)]
    lines += ["\t".join({**columns, **FJORDAN, **row}.values()) for row in rows]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _read(content: bytes, market: str = "SE") -> list[Parsed]:
    return list(
        ADAPTER.read(BytesIO(content), FeedContext.of("dealer", market, load_range(), TODAY))
    )


def _told(content: bytes) -> list[str]:
    return [
        outcome.stock_id if isinstance(outcome, StockRecord) else outcome.reason
        for outcome in _read(content)
        if not isinstance(outcome, Notice)
    ]


def _one(**changes: str) -> StockRecord | Rejection:
    [outcome] = [o for o in _read(_feed(changes)) if not isinstance(o, Notice)]
    return outcome


def _rejected(**changes: str) -> Rejection:
    outcome = _one(**changes)
    assert isinstance(outcome, Rejection)
    return outcome


def _accepted(**changes: str) -> StockRecord:
    outcome = _one(**changes)
    assert isinstance(outcome, StockRecord)
    return outcome


def _remarks(**changes: str) -> list[NoticeCode]:
    return [outcome.code for outcome in _read(_feed(changes)) if isinstance(outcome, Notice)]


def test_a_complete_row_becomes_the_canonical_record() -> None:
    dealers = {dealer.dealer_id: dealer for dealer in load_range().dealers}
    record = _accepted()
    assert record == StockRecord(
        source="dealer",
        market="SE",
        row=2,
        stock_id="A1",
        vin=None,
        dealer=dealers["SE-STO-1"],
        make="Ellevar",
        model="Fjordan",
        model_id="fjordan",
        trim="Linje",
        model_year=2026,
        body="suv",
        colour=Colour("blue", "Djupfjord", "501", "#1C3B59"),
        fuel="electric",
        drivetrain="awd",
        transmission="single_speed",
        power_kw=250,
        wltp=CarWltp(None, 19.1, 0, 495),
        odometer_km=12,
        condition="new",
        first_registered=None,
        features=(Feature("winter_wheels", "Vinterhjul"), Feature(None, "Egen matta")),
        offer=Offer(66_190_000, 68_470_000, "SEK", True, Decimal(25)),
        handover=Handover(lead=timedelta(days=2)),
        raw_hash=record.raw_hash,
    )
    assert record.title == "Ellevar Fjordan Linje 2026"


def test_a_row_of_another_make_is_taken_with_what_it_says_and_no_more() -> None:
    record = _accepted(**STRANGER)
    assert (record.model_id, record.fuel, record.drivetrain, record.body) == (
        None,
        None,
        None,
        "estate",
    )
    assert record.colour == Colour("red", "röd metallic", None, "#9B1B26")
    assert _remarks(**STRANGER) == [NoticeCode.MODEL_NOT_IN_RANGE]


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"id": ""}, "id", Reason.MISSING_VALUE),
        ({"id": "A 1"}, "id", Reason.MALFORMED_VALUE),
        ({"id": "A" * 101}, "id", Reason.MALFORMED_VALUE),
        ({"brand": " "}, "brand", Reason.MISSING_VALUE),
        ({"price": "0.00 SEK"}, "price", Reason.PRICE_NOT_POSITIVE),
        ({"price": "-1.00 SEK"}, "price", Reason.PRICE_NOT_POSITIVE),
        ({"price": "4899.00 SEK"}, "price", Reason.PRICE_IMPLAUSIBLE),
        ({"price": "66190000.00 SEK"}, "price", Reason.PRICE_IMPLAUSIBLE),
        ({"price": "661 900,00 SEK"}, "price", Reason.MALFORMED_VALUE),
        ({"price": "661900"}, "price", Reason.MALFORMED_VALUE),
        ({"price": "661900.00 NOK"}, "price", Reason.CURRENCY_NOT_OF_MARKET),
        ({"vehicle_msrp": "1 SEK"}, "vehicle_msrp", Reason.PRICE_IMPLAUSIBLE),
        (
            {"vehicle_price_type": "vehicle_base_price"},
            "vehicle_price_type",
            Reason.PRICE_NOT_FINAL,
        ),
        ({"year": "26"}, "year", Reason.MALFORMED_VALUE),
        ({"year": "1026"}, "year", Reason.YEAR_IMPLAUSIBLE),
        ({"year": "2031"}, "year", Reason.YEAR_IMPLAUSIBLE),
        ({"year": "2019"}, "year", Reason.YEAR_IMPLAUSIBLE),
        ({"condition": "nice"}, "condition", Reason.MALFORMED_VALUE),
        ({"mileage": "12"}, "mileage", Reason.MALFORMED_VALUE),
        ({"mileage": "1200000 km"}, "mileage", Reason.MILEAGE_IMPLAUSIBLE),
        ({FULFILLMENT: "in_store:SE-XXX-9"}, FULFILLMENT, Reason.UNKNOWN_DEALER),
        ({FULFILLMENT: "in_store:NO-OSL-1"}, FULFILLMENT, Reason.UNKNOWN_DEALER),
        ({FULFILLMENT: "SE-STO-1"}, FULFILLMENT, Reason.MALFORMED_VALUE),
        ({"body_style": "spaceship"}, "body_style", Reason.MALFORMED_VALUE),
        ({"engine": "steam"}, "engine", Reason.MALFORMED_VALUE),
        ({"engine": "diesel"}, "engine", Reason.CONTRADICTION),
        ({"co2_emissions": ""}, "co2_emissions", Reason.CONSUMPTION_MISSING),
        ({"energy_consumption": ""}, "energy_consumption", Reason.CONSUMPTION_MISSING),
        ({"energy_consumption": "19.1"}, "energy_consumption", Reason.MALFORMED_VALUE),
        ({"handover": "soon"}, "handover", Reason.MALFORMED_VALUE),
        ({"handover": "P1M"}, "handover", Reason.MALFORMED_VALUE),
        ({"handover": "P"}, "handover", Reason.MALFORMED_VALUE),
        ({"handover": "2026-12-01T09:00:00"}, "handover", Reason.MALFORMED_VALUE),
        ({"date_first_registered": "2027-01"}, "date_first_registered", Reason.MALFORMED_VALUE),
        ({"date_first_registered": "2025-02-30"}, "date_first_registered", Reason.MALFORMED_VALUE),
        ({"date_first_registered": "2025-02-29"}, "date_first_registered", Reason.MALFORMED_VALUE),
        ({"date_first_registered": "2025-06-31"}, "date_first_registered", Reason.MALFORMED_VALUE),
        ({"date_first_registered": "2025-06-00"}, "date_first_registered", Reason.MALFORMED_VALUE),
        ({"date_first_registered": "2025-00"}, "date_first_registered", Reason.MALFORMED_VALUE),
        ({"date_first_registered": "2026-11-23"}, "date_first_registered", Reason.MALFORMED_VALUE),
        ({"date_first_registered": "0000-01"}, "date_first_registered", Reason.MALFORMED_VALUE),
        ({"price": "٦٦١٩٠٠.00 SEK"}, "price", Reason.MALFORMED_VALUE),
        ({"year": "２０２６"}, "year", Reason.MALFORMED_VALUE),
        ({"mileage": "১২ km"}, "mileage", Reason.MALFORMED_VALUE),
        ({FULFILLMENT: "in_store:SE-XXX-9:NO-OSL-1"}, FULFILLMENT, Reason.UNKNOWN_DEALER),
        ({FULFILLMENT: "in_store"}, FULFILLMENT, Reason.MALFORMED_VALUE),
        ({FULFILLMENT: "in_store:"}, FULFILLMENT, Reason.MALFORMED_VALUE),
        ({FULFILLMENT: "online"}, FULFILLMENT, Reason.MALFORMED_VALUE),
        ({FULFILLMENT: "by_post:SE-STO-1"}, FULFILLMENT, Reason.MALFORMED_VALUE),
        (
            {"vehicle_all_in_price": "671900.00 SEK"},
            "vehicle_all_in_price",
            Reason.CONTRADICTION,
        ),
        ({"build_to_order": "YES"}, "build_to_order", Reason.NOT_AVAILABLE),
        ({"build_to_order": "maybe"}, "build_to_order", Reason.MALFORMED_VALUE),
        *[
            ({"quantity": text}, "quantity", Reason.NOT_AVAILABLE)
            for text in ("0", "00", "0.0", "-0", "-1", "-2.5", "0.4")
        ],
        *[
            ({"quantity": text}, "quantity", Reason.MALFORMED_VALUE)
            for text in ("0 pcs", "none", "sold", "1 st", "1,0", "nan", "1e3", "٠")
        ],
        (
            {"availability_date": "2026-12-24T09:00+01:00", "handover": ""},
            "availability_date",
            Reason.NOT_AVAILABLE,
        ),
        *[
            (
                {"availability_date": "2027-03-01", "handover": handover},
                "availability_date",
                Reason.CONTRADICTION,
            )
            for handover in ("PT0S", "P2D", "P98D", "PT48H", "2026-11-20T09:00:00+01:00")
        ],
        *[
            (
                {"availability_date": day, "handover": "2026-12-01T09:00:00+01:00"},
                "availability_date",
                Reason.CONTRADICTION,
            )
            for day in ("2026-12-02", "2026-12-02T08:00:00+01:00", "2027-02-01")
        ],
        ({"availability_date": "soon"}, "availability_date", Reason.MALFORMED_VALUE),
        ({"expiration_date": "2026-11-21"}, "expiration_date", Reason.LISTING_EXPIRED),
        ({"store_code": "SE-UME-1"}, "store_code", Reason.CONTRADICTION),
        ({"trim": "\u202eejniL"}, "trim", Reason.CONTROL_CHARACTER),
        ({"vin": "1M8GDM9AXKP04278"}, "vin", Reason.VIN_MALFORMED),
        ({"vin": "1M8GDM9AXKPO42788"}, "vin", Reason.VIN_MALFORMED),
        ({"availability": "out_of_stock"}, "availability", Reason.NOT_AVAILABLE),
        ({"trim": "Lin\x07je"}, "trim", Reason.CONTROL_CHARACTER),
        ({"trim": "L" * 5001}, "trim", Reason.TEXT_TOO_LONG),
        ({**STRANGER, "body_style": "spaceship"}, "body_style", Reason.MALFORMED_VALUE),
        (
            {**STRANGER, "condition": "new", "energy_consumption": ""},
            "fuel_consumption",
            Reason.CONSUMPTION_MISSING,
        ),
    ],
)
def test_a_wrong_value_is_rejected_with_its_column_and_what_to_do(
    changes: dict[str, str], field: str, reason: Reason
) -> None:
    rejection = _rejected(**changes)
    assert (rejection.row, rejection.field, rejection.reason) == (2, field, reason)
    assert rejection.message.startswith("Row 2: ")
    assert rejection.message.endswith(".")
    assert len(rejection.value) <= 80


def test_a_used_car_may_lack_consumption() -> None:
    record = _accepted(condition="used", energy_consumption="", co2_emissions="")
    assert record.wltp == CarWltp(electric_range_km=495)


def test_a_demonstrator_is_a_used_car_with_a_label() -> None:
    changes = {
        "condition": "used",
        "custom_label_0": "demonstrator",
        "date_first_registered": "2026-04-17",
    }
    record = _accepted(**changes)
    assert (record.condition, record.first_registered) == ("demonstrator", "2026-04")


def test_every_instance_of_a_repeated_id_is_rejected() -> None:
    outcomes = _read(_feed({}, {"id": "B2"}, {"price": "1.00 SEK"}))
    assert [o.reason if isinstance(o, Rejection) else "accepted" for o in outcomes] == [
        Reason.DUPLICATE_ID,
        "accepted",
        Reason.DUPLICATE_ID,
    ]


def test_every_instance_of_a_repeated_vin_is_rejected_whatever_its_case() -> None:
    outcomes = _read(_feed({"vin": "1M8GDM9AXKP042788"}, {"id": "B2", "vin": "1m8gdm9axkp042788"}))
    assert [o.reason for o in outcomes if isinstance(o, Rejection)] == [Reason.DUPLICATE_VIN] * 2


def test_a_check_digit_that_does_not_add_up_is_only_remarked() -> None:
    assert _remarks(vin="1M8GDM9AXKP042788") == []
    assert _remarks(vin="1M8GDM9A1KP042788") == [NoticeCode.VIN_CHECK_DIGIT]


def test_an_unknown_colour_is_kept_as_other_and_remarked() -> None:
    assert _accepted(color="Aurora", colour_code="").colour == Colour("other", "Aurora", None, None)
    assert _remarks(color="Aurora", colour_code="") == [NoticeCode.COLOUR_UNMAPPED]
    assert _remarks(color="", colour_code="") == [NoticeCode.COLOUR_MISSING]
    assert _remarks(color="black and white", colour_code="") == [NoticeCode.COLOUR_UNMAPPED]


def test_a_body_style_that_differs_from_the_sheet_is_remarked_and_the_sheet_wins() -> None:
    assert _accepted(body_style="sedan").body == "suv"
    assert _remarks(body_style="sedan") == [NoticeCode.BODY_FROM_SHEET]


def test_the_first_store_that_is_known_in_the_market_has_the_car() -> None:
    record = _accepted(**{FULFILLMENT: "online:XX-1, in_store:SE-UME-1"})
    assert record.dealer.dealer_id == "SE-UME-1"


@pytest.mark.parametrize(
    ("offers", "dealer"),
    [
        ("in_store:SE-UME-1:SE-LUL-1", "SE-UME-1"),
        ("in_store: SE-XXX-9 : SE-LUL-1", "SE-LUL-1"),
        ("In store:SE-UME-1, online", "SE-UME-1"),
        ("ship_to_store:SE-LUL-1:SE-STO-1,in_store:SE-UME-1", "SE-UME-1"),
        ("online,ship_to_store:SE-LUL-1", "SE-LUL-1"),
    ],
)
def test_a_car_stands_in_the_first_store_that_has_it(offers: str, dealer: str) -> None:
    assert _accepted(**{FULFILLMENT: offers}).dealer.dealer_id == dealer


@pytest.mark.parametrize(
    "heading",
    [
        "vehicle fulfillment(option:store code)",
        "Vehicle_Fulfillment ( option : store_code )",
        "g:vehicle_fulfillment(option:store_code)",
        '"vehicle_fulfillment(option:store_code)"',
        "vehicle_fulfillment",
    ],
)
def test_a_heading_may_be_written_as_people_write_it(heading: str) -> None:
    [record] = _read(_feed({}).replace(FULFILLMENT.encode(), heading.encode(), 1))
    assert isinstance(record, StockRecord)
    assert record.dealer.dealer_id == "SE-STO-1"


@pytest.mark.parametrize("codes", ["SE-UME-1", "SE-XXX-9:SE-UME-1", "SE-UME-1,SE-LUL-1"])
def test_a_column_of_store_codes_alone_is_enough(codes: str) -> None:
    feed = _feed({FULFILLMENT: codes}).replace(FULFILLMENT.encode(), b"Store Code", 1)
    [record] = _read(feed)
    assert isinstance(record, StockRecord)
    assert record.dealer.dealer_id == "SE-UME-1"


def test_a_feed_may_be_packed_with_gzip() -> None:
    plain = _feed({}, {"id": "B2"})
    head, tail = plain[:90], plain[90:]
    assert _read(gzip.compress(plain)) == _read(plain)
    assert _read(gzip.compress(head) + gzip.compress(tail)) == _read(plain)


@pytest.mark.parametrize(
    ("heading", "cell"),
    [
        ("vehicle_fulfillment(store_code:option)", "SE-UME-1:in_store"),
        ("Vehicle Fulfillment (store code : option)", "SE-STO-1:ship_to_store,SE-UME-1:in_store"),
        ("vehicle_fulfillment(store_code:option)", "SE-UME-1:SE-LUL-1:in_store"),
        ("vehicle_fulfillment(store_code)", "SE-UME-1"),
        ("vehicle_fulfillment(option)\tvehicle_fulfillment(store_code)", "in_store\tSE-UME-1"),
        ("vehicle_fulfillment\tstore_code", "online\tSE-UME-1"),
        ("vehicle_fulfillment\tstore_code", "online:SE-UME-1\tSE-UME-1"),
        (f"{FULFILLMENT}\t{FULFILLMENT}", "ship_to_store:SE-STO-1\tin_store:SE-UME-1"),
        (f"{FULFILLMENT}\t{FULFILLMENT}", "in_store:SE-UME-1\t"),
        (f"{FULFILLMENT}\tvehicle_fulfillment", "online\tin_store:SE-UME-1"),
        ("store_code\tstore_code", "SE-XXX-9\tSE-UME-1"),
    ],
)
def test_a_car_stands_where_its_columns_say_together(heading: str, cell: str) -> None:
    head, line = _feed({FULFILLMENT: "HERE"}).decode().splitlines()
    feed = f"{head.replace(FULFILLMENT, heading)}\n{line.replace('HERE', cell)}\n"
    [record] = _read(feed.encode())
    assert isinstance(record, StockRecord)
    assert record.dealer.dealer_id == "SE-UME-1"


def _twice(heading: str, first: str, second: str) -> list[Parsed]:
    return _read(
        _feed({"one": first, "two": second}).replace(
            b"\tone\ttwo", f"\t{heading}\t{heading}".encode(), 1
        )
    )


@pytest.mark.parametrize(
    "heading",
    ["additional_image_link", "feature", "video_link", "description", "product_detail(a:b)", ""],
)
def test_a_heading_that_nobody_reads_may_be_repeated(heading: str) -> None:
    assert _twice(heading, "a", "b") == _read(_feed({}))


def test_a_repeated_column_that_is_read_is_joined() -> None:
    options = [
        o for o in _twice("vehicle_option", "Dragkrok", "Egen matta") if isinstance(o, StockRecord)
    ]
    assert [feature.text for feature in options[0].features] == [
        "Vinterhjul",
        "Egen matta",
        "Dragkrok",
    ]


@pytest.mark.parametrize(
    "heading",
    [
        *("shipping", "tax", "installment", "loyalty_program", "sale_price"),
        *("installment(months:amount)", "shipping(country:price)", "Tax (country:rate:tax ship)"),
        *("g:subscription_cost(period:period_length:amount)", "vehicle_expenses(type:amount)"),
        "loyalty_program(program_label:price)",
    ],
)
def test_what_no_shopper_hears_is_remarked_in_parts_and_repeated(heading: str) -> None:
    for cells in (("x:1", "x:2"), ("", "x:2")):
        assert [o.code for o in _twice(heading, *cells) if isinstance(o, Notice)] == [
            NoticeCode.COLUMN_NOT_HEARD
        ]
    for cells in (("", ""), ("no", "false")):
        assert [type(outcome) for outcome in _twice(heading, *cells)] == [StockRecord]


def test_a_repeated_column_of_one_value_has_to_agree_with_itself() -> None:
    feed = _feed({"p": ""}, {"id": "B2", "p": "661900.00 SEK"}, {"id": "C3", "p": "1 SEK"})
    told = _told(feed.replace(b"\tp\n", b"\tPrice\n", 1))
    assert told == ["A1", "B2", Reason.CONTRADICTION]


def test_nobody_minds_what_stands_in_a_column_that_is_not_read() -> None:
    links = ",".join(f"https://cdn.example/{n}?sig={'a' * 600}" for n in range(10))
    unread = {"additional_image_link": links, "description": "bell\x07 and \u202e"}
    assert _accepted(**unread) == _accepted()
    repeated = _feed({"link_1": "a", "link_2": "b"}).replace(b"link_1", b"link_2", 1)
    assert _read(repeated) == _read(_feed({}))


@pytest.mark.parametrize(
    "text",
    [
        '"Line one\tLine two"',
        '"Line one\nLine two\nLine three"',
        '"Line one\tand\nLine\ttwo\n\nLine three\t"',
        '"He said ""new""\tand left"',
        '19" alloys',
        '"Winter" wheels',
        '"never closed',
    ],
)
def test_a_quoted_value_may_hold_separators_and_a_stray_mark_swallows_nothing(text: str) -> None:
    rows = _read(_feed({"description": text}, {"id": "B2", "description": text}, {"id": "C3"}))
    assert [row.stock_id for row in rows] == ["A1", "B2", "C3"]
    rows = _read(_feed({"description": text, "link": "x"}, {"id": "B2", "description": text}))
    assert [row.stock_id for row in rows] == ["A1", "B2"]


def test_a_quoted_value_is_read_without_its_marks() -> None:
    assert _accepted(trim='"Linje ""Special"""').trim == 'Linje "Special"'
    assert _accepted(trim='"Linje').trim == '"Linje'
    assert _accepted(trim='"Linje\tSpecial"').trim == "Linje Special"
    assert _accepted(trim='"Linje\nSpecial"').trim == "Linje Special"
    assert _accepted(trim=' "Linje" ').trim == "Linje"


def test_a_blank_behind_a_closing_mark_ends_no_row() -> None:
    assert _accepted(description='"Line one\tLine two" ') == _accepted()


def test_empty_cells_behind_the_last_column_are_no_fault() -> None:
    lines = _feed({}).decode().splitlines()
    assert _read("\n".join([lines[0], lines[1] + "\t\t "]).encode()) == _read(_feed({}))


def test_signs_that_nobody_sees_are_no_part_of_a_value() -> None:
    assert _accepted(trim="Lin\u00adje\u200b", color="\ufeffDjupfjord") == _accepted()


@pytest.mark.parametrize(
    ("column", "value", "remarked"),
    [
        ("sale_price", "599900.00 SEK", True),
        ("vehicle_expenses", "dealer_fee:4900 SEK", True),
        ("pause", "ads", True),
        ("vehicle_mandatory_inspection_included", "no", False),
        ("is_bundle", "FALSE", False),
        ("tax", "0", False),
    ],
)
def test_what_no_shopper_would_hear_about_price_or_availability_is_remarked(
    column: str, value: str, *, remarked: bool
) -> None:
    expected = [NoticeCode.COLUMN_NOT_HEARD] if remarked else []
    assert _remarks(**{column: value}) == expected


def test_columns_that_agree_with_the_offer_are_no_fault() -> None:
    agreeing = {
        "vehicle_all_in_price": "661900 SEK",
        "build_to_order": "no",
        "quantity": "1",
        "availability_date": "2026-11-24",
        "expiration_date": "2026-11-22T23:59:59Z",
        "store_code": "SE-STO-1",
    }
    assert _accepted(**agreeing).offer == _accepted().offer


@pytest.mark.parametrize(
    ("day", "handover"),
    [
        ("2026-11-22", "PT0S"),
        ("2026-11-24", "P2D"),
        ("2027-03-01", "P99D"),
        ("2026-12-01", "2026-12-01T00:30:00+01:00"),
        ("2026-12-01", "2026-12-08T09:00:00+01:00"),
        ("2020-01-01", ""),
    ],
)
def test_handover_decides_when_the_car_is_there_by_then(day: str, handover: str) -> None:
    both = _accepted(availability_date=day, handover=handover)
    assert both.handover == _accepted(handover=handover).handover


@pytest.mark.parametrize("text", ["1", "1.0", "+1", "3"])
def test_a_car_of_which_there_is_at_least_one_is_on_offer(text: str) -> None:
    assert _accepted(quantity=text).offer == _accepted().offer


@pytest.mark.parametrize("field", ["date_first_registered", "availability_date", "expiration_date"])
@pytest.mark.parametrize(
    "text",
    [
        *("0000-00", "0000-00-00", "0000-01-01", "9999-99", "9999-99-99", "2019-00-10"),
        *("2019-13-10", "2019-10-00", "2019-10-32", "2019-02-29", "2019-10-", "2019-1-1"),
        *("10.10.2019", "2019/10/10", "2019-10-10T25:00", "2019-10-10T", "2019-10-10Tnoon"),
        *("-2019-10-10", "２０１９-10-10", "00000000"),
    ],
)
def test_a_day_that_is_in_no_calendar_is_rejected_with_its_column(field: str, text: str) -> None:
    outcome = _one(**{field: text})

    assert isinstance(outcome, Rejection)
    assert (outcome.field, outcome.reason) == (field, Reason.MALFORMED_VALUE)
    assert text in outcome.message


def test_the_day_of_first_registration_may_be_today_or_a_leap_day() -> None:
    for day, month in (
        ("2026-11-22", "2026-11"),
        ("2024-02-29", "2024-02"),
        ("2026-11", "2026-11"),
    ):
        assert _accepted(date_first_registered=day).first_registered == month


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT0S", Handover(lead=timedelta(0))),
        ("PT2H30M", Handover(lead=timedelta(hours=2, minutes=30))),
        ("P1W", Handover(lead=timedelta(weeks=1))),
        ("2026-12-01T09:00:00+01:00", Handover(at=datetime(2026, 12, 1, 8, tzinfo=UTC))),
        ("", Handover()),
    ],
)
def test_handover_is_a_moment_a_lead_time_or_unknown(text: str, expected: Handover) -> None:
    assert _accepted(handover=text).handover == expected


def test_a_car_due_in_the_past_is_ready_when_it_is_ordered() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert Handover(at=now - timedelta(days=3)).ready_at(now) == now
    assert Handover(lead=timedelta(days=2)).ready_at(now) == now + timedelta(days=2)
    assert Handover().ready_at(now) is None


def test_a_truncated_and_an_overlong_row_are_rejected_and_the_rest_is_read() -> None:
    lines = _feed({}, {"id": "B2"}, {"id": "C3"}).decode().splitlines()
    lines[1] = "\t".join(lines[1].split("\t")[:5])
    lines[2] += "\tsurplus"
    outcomes = _read("\r\n".join(lines).encode())
    assert [o.reason if isinstance(o, Rejection) else o.stock_id for o in outcomes] == [
        Reason.ROW_TRUNCATED,
        Reason.ROW_TOO_LONG,
        "C3",
    ]


def test_empty_cells_that_are_missing_at_a_rows_end_are_missed_by_nobody() -> None:
    rows = ({"availability": ""}, {"id": "B2", "quantity": ""}, {"id": "C3", "description": ""})
    stripped = b"\n".join(line.rstrip() for line in _feed(*rows).splitlines())
    assert _read(stripped + b"\n") == _read(_feed(*rows)) == _read(stripped)


def test_a_heading_line_may_end_with_surplus_tabs_and_lines_may_be_blank() -> None:
    head, *lines = _feed({}, {"id": "B2", "note": '"one\ntwo"'}).decode().split("\n")
    feed = "\n".join([f"{head}\t\t", *lines, "\t" * 12, "  \t", ""])
    assert _told(feed.encode()) == ["A1", "B2"]


def test_a_colour_may_be_missing_at_a_rows_end() -> None:
    order = [*(name for name in FJORDAN if name != "color"), "color"]
    row = {**FJORDAN, "color": "", "colour_code": ""}
    feed = "\t".join(order) + "\n" + "\t".join(row[name] for name in order).rstrip() + "\n"
    assert _told(feed.encode()) == ["A1"]


@pytest.mark.parametrize("torn", ["a\nb", "a\n\nb", "a\nb\nc", '"a\nb'])
def test_a_row_that_a_line_break_tore_is_truncated_in_all_its_parts(torn: str) -> None:
    feed = _feed({}, {"id": "B2", "description": torn, "build_to_order": "yes"}, {"id": "C3"})
    told = _told(feed)
    assert (told[0], told[-1]) == ("A1", "C3")
    assert set(told[1:-1]) == {Reason.ROW_TRUNCATED}


def test_a_row_in_which_a_quoted_value_swallowed_cells_is_truncated() -> None:
    feed = _feed({"note": '"', "build_to_order": "yes", "other": '"', "quantity": "1"})
    assert _told(feed) == [Reason.ROW_TRUNCATED]


@pytest.mark.parametrize("byte", [b"\x00", b"\xf6", b"\x80", b"\xed\xa0\x80"])
def test_a_byte_that_is_no_text_costs_no_more_than_the_cell_it_stands_in(byte: bytes) -> None:
    rows = [{"id": f"A{n}", "description": "x", "trim": "Linje"} for n in range(4)]
    unread = {"id": "B2", "description": "HERE"}
    read = {"id": "C3", "trim": "HERE"}
    taken = ["A0", "A1", "A2", "A3"]
    assert _told(_feed(*rows, unread).replace(b"HERE", byte)) == [*taken, "B2"]
    *accepted, rejected = _read(_feed(*rows, read).replace(b"HERE", byte))
    assert [o.stock_id for o in accepted] == taken
    assert isinstance(rejected, Rejection)
    assert rejected.field == "trim"
    assert rejected.reason in (Reason.MALFORMED_VALUE, Reason.CONTROL_CHARACTER)
    rejected.value.encode("utf-8")


def test_a_file_of_another_encoding_is_told_from_one_with_a_stray_byte() -> None:
    rows = [{"id": f"A{n}", "color": "Snölykta", "colour_code": ""} for n in range(9)]
    windows = _feed(*rows).decode().encode("cp1252")
    with pytest.raises(FeedUnreadable, match=r"not UTF-8 .*9 of 9 rows, beginning with row 2"):
        _read(windows)
    utf8 = _feed(*rows, {"id": "B2", "trim": "HERE"}).replace(b"HERE", b"\xf6")
    assert _told(utf8) == [*(f"A{n}" for n in range(9)), Reason.MALFORMED_VALUE]


def _tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("stock.tsv")
        entry.size = len(_feed({}))
        archive.addfile(entry, io.BytesIO(_feed({})))
    return packed.getvalue()


def test_byte_order_marks_are_read() -> None:
    text = _feed({"color": "Snölykta", "colour_code": ""}).decode()
    for content in (text.encode("utf-8-sig"), text.encode("utf-16")):
        [record] = _read(content)
        assert isinstance(record, StockRecord)
        assert record.colour.code == "101"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (_feed({"color": "Snölykta"}).decode().encode("latin-1"), "is not UTF-8 (Windows"),
        (_feed({}).decode().encode("utf-16-le"), "NUL bytes"),
        (b"PK\x03\x04\x00\x00", "zip archive or a spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old spreadsheet"),
        (b"%PDF-1.7", "a PDF document"),
        (zlib.compress(b"id", 1), "packed with deflate"),
        (zlib.compress(b"id", 5), "packed with deflate"),
        (zlib.compress(b"id", 9), "packed with deflate"),
        (b"\x1f\x9d\x90id", "packed with compress (.Z)"),
        (b"\x04\x22\x4d\x18id", "packed with lz4"),
        (lzma.compress(b"id", lzma.FORMAT_ALONE), "packed with lzma"),
        (_tar(), "a tar archive"),
        (gzip.compress(_tar(), mtime=0), "a tar archive"),
        (b"PAR1\x15\x04", "a Parquet table"),
        (b"SQLite format 3\x00\x10", "an SQLite database"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "a picture (PNG)"),
        (_feed({}).decode().encode("utf-32"), "written in UTF-32"),
        (b"\x00\x00\xfe\xff" + _feed({}).decode().encode("utf-32-be"), "written in UTF-32"),
        (
            b'--x1\r\nContent-Disposition: form-data; name="f"\r\n\r\n' + _feed({}) + b"\r\n--x1--",
            "a form (multipart) with the file inside; send the file itself",
        ),
        (b"BZh91AY", "packed with bzip2"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><rss></rss>", "is XML"),
        ("<?xml version='1.0'?><rss></rss>".encode("utf-16"), "is XML"),
        (b'\n [{"id": "A1"}]', "is JSON"),
        (gzip.compress(gzip.compress(b"id", mtime=0), mtime=0), "packed with gzip twice"),
        (gzip.compress(_feed({}), mtime=0)[:-9], "packed with gzip and cut off"),
        (b"\x1f\x8bhello", "packed with gzip and damaged"),
        (gzip.compress(b"x" * (LARGEST_UNPACKED + 1), mtime=0), "unpacks to more than 96 MiB"),
        (_feed({}).replace(b"\t", b";"), "separated by semicolons; this source kind needs tabs"),
        (_feed({}).replace(b"\t", b","), "separated by commas"),
        (
            _feed({}).replace(b"price\t", b"prise\t", 1),
            "lacks: price. Is 'prise' meant as 'price'?",
        ),
        (b"<html><body>Not found</body></html>", "is a web page"),
        (b"not found", "lacks: id, brand"),
        ("artikel\tm\u00e4rke\n1\tEllevar".encode("cp1252"), "The header is not UTF-8"),
        (_feed({}).replace(FULFILLMENT.encode(), b"shop", 1), f"lacks: {FULFILLMENT}."),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_refused_in_one_sentence(
    content: bytes, message: str
) -> None:
    with pytest.raises(FeedUnreadable) as refusal:
        _read(content)
    assert message in str(refusal.value)


def test_a_feed_with_a_header_alone_has_no_cars() -> None:
    assert _read(_feed()) == []


def test_the_order_of_columns_does_not_change_what_a_row_says() -> None:
    lines = [line.split("\t") for line in _feed({}).decode().splitlines()]
    turned = "\n".join("\t".join(reversed(cells)) for cells in lines).encode()
    assert _read(turned) == _read(_feed({}))


def test_a_changed_price_changes_the_hash_of_the_row() -> None:
    assert _accepted().raw_hash != _accepted(price="661800.00 SEK").raw_hash


def test_norway_states_no_single_vat_rate_for_electric_cars() -> None:
    changes = {
        "price": "601900.00 NOK",
        "vehicle_msrp": "",
        FULFILLMENT: "in_store:NO-OSL-1",
    }
    [record] = _read(_feed(changes), market="NO")
    assert isinstance(record, StockRecord)
    assert record.offer == Offer(60_190_000, None, "NOK", True, None)


@given(
    st.lists(st.dictionaries(st.sampled_from(sorted(FJORDAN)), st.text(max_size=30), max_size=2))
)
@example([{"fuel_consumption": '"'}, {"fuel_consumption": '"'}])
def test_whatever_a_row_holds_it_is_one_record_or_one_rejection(rows: list[dict[str, Any]]) -> None:
    clean = [
        {key: value.translate({9: " ", 10: " ", 13: " "}) for key, value in row.items()}
        for row in rows
    ]
    content = _feed(*clean)
    outcomes = [o for o in _read(content) if not isinstance(o, Notice)]
    assert [o.row for o in outcomes] == list(range(2, len(rows) + 2))
