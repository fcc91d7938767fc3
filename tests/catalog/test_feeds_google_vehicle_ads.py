"""Dealer feeds in the vehicle ads format, and each way to get one wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.feeds.google_vehicle_ads import ADAPTER, FULFILLMENT
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
    Outcome,
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
    lines = ["\t".join(FJORDAN), *("\t".join({**FJORDAN, **row}.values()) for row in rows)]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _read(content: bytes, market: str = "SE") -> list[Outcome]:
    return list(ADAPTER.read(content, FeedContext.of("dealer", market, load_range(), TODAY)))


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
        (_feed({"color": "Snölykta"}).decode().encode("latin-1"), "Line 2 is not UTF-8: byte 0xF6"),
        (_feed({}).decode().encode("utf-16-le"), "NUL bytes"),
        (b"PK\x03\x04\x00\x00", "NUL bytes"),
        (_feed({}).replace(b"\t", b";"), "separated by semicolons; this source kind needs tabs"),
        (_feed({}).replace(b"\t", b","), "separated by commas"),
        (
            _feed({}).replace(b"price\t", b"prise\t", 1),
            "lacks: price. Is 'prise' meant as 'price'?",
        ),
        (_feed({}).replace(b"trim\t", b"year\t", 1), "names the column 'year' twice"),
        (b"<html><body>Not found</body></html>", "lacks: id, brand"),
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
def test_whatever_a_row_holds_it_is_one_record_or_one_rejection(rows: list[dict[str, Any]]) -> None:
    clean = [
        {key: value.translate({9: " ", 10: " ", 13: " "}) for key, value in row.items()}
        for row in rows
    ]
    content = _feed(*clean)
    if b"\x00" in content:
        with pytest.raises(FeedUnreadable):
            _read(content)
    else:
        outcomes = [o for o in _read(content) if not isinstance(o, Notice)]
        assert [o.row for o in outcomes] == list(range(2, len(rows) + 2))
