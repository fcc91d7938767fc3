"""No card, e-mail, name, car number, cookie or token gets through, and ordinary text does."""

import logging
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.redaction import REDACTED, is_secret_key, redact_mapping, redact_text
from telemetry.testing import capture

WORDS = st.text(alphabet=string.ascii_letters + " åäöøæ", max_size=20)
VIN_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"


def with_check_digit(body: str) -> str:
    total = 0
    for position, digit in enumerate(reversed(body)):
        doubled = int(digit) * (1 if position % 2 else 2)
        total += doubled - 9 if doubled > 9 else doubled
    return body + str(-total % 10)


def grouped(digits: str, separator: str) -> str:
    return separator.join(digits[start : start + 4] for start in range(0, len(digits), 4))


cards = st.builds(
    lambda first, rest, separator: grouped(with_check_digit(first + rest), separator),
    st.sampled_from("23456"),
    st.text(alphabet=string.digits, min_size=11, max_size=17),
    st.sampled_from(["", " ", "-"]),
)
emails = st.builds(
    "{}@{}.{}".format,
    st.text(alphabet=string.ascii_letters + string.digits + "._+-", min_size=1, max_size=15),
    st.text(alphabet=string.ascii_lowercase, min_size=1, max_size=10),
    st.sampled_from(["se", "no", "co.uk", "example"]),
)
vins = st.builds(
    "{}{}".format,
    st.text(alphabet=VIN_LETTERS, min_size=13, max_size=13).filter(
        lambda text: any(letter.isalpha() for letter in text)
    ),
    st.text(alphabet=string.digits, min_size=4, max_size=4),
)
phones = st.builds(
    lambda prefix, country, rest, gap: f"{prefix}{country}{gap}{gap.join(rest)}",
    st.sampled_from(["+", "00"]),
    st.sampled_from(["46", "47", "45", "358", "1"]),
    st.lists(st.text(alphabet=string.digits, min_size=2, max_size=3), min_size=3, max_size=4),
    st.sampled_from(["", " ", "-"]),
)
tokens = st.builds(
    "{}{}".format,
    st.sampled_from(["Bearer ", "bearer ", "Basic ", "sk_test_", "whsec_", "token=", "password: "]),
    st.text(alphabet=string.ascii_letters + string.digits, min_size=8, max_size=30),
)


@given(WORDS, st.one_of(cards, emails, vins, phones, tokens), WORDS)
def test_a_secret_between_words_is_gone(before: str, secret: str, after: str) -> None:
    cleaned = redact_text(f"{before} {secret} {after}")
    assert secret not in cleaned
    assert REDACTED in cleaned


@given(st.one_of(cards, emails, vins, phones), st.sampled_from(['"', "'", "(", "<", "=", ","]))
def test_a_secret_between_signs_is_gone(secret: str, sign: str) -> None:
    assert secret not in redact_text(f"x{sign}{secret}{sign}")


@given(st.text(max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@given(
    st.sampled_from(["email", "customer", "Set-Cookie", "order_token", "vin", "name", "cvc"]),
    st.one_of(st.text(min_size=1), st.integers(), st.lists(st.text()), st.booleans(), st.floats()),
)
def test_a_known_key_hides_whatever_it_holds(key: str, value: object) -> None:
    assert redact_mapping({key: value, "deep": [{key: value}]}) == {
        key: REDACTED,
        "deep": [{key: REDACTED}],
    }


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T10:15:30.123456+00:00",
        "1795322188335565933",
        "82b4a61b0f1ec6e290bea7fee0d50221",
        "00-82b4a61b0f1ec6e290bea7fee0d50221-033513ddfd56f322-01",
        "hold_01JD8Z7Q2M9X4T5V6W7Y8Z9A0B",
        "/api/catalog/v1/cars/{car_id}",
        "GET /api/checkout/v1/orders 201 in 0.034 s",
        "6f1ed002-ab55-4f0c-9a2b-0123456789ab",
        "48990000 SEK",
        "127.0.0.1:8000",
        "SELECT car_id FROM cars WHERE model_id = ?",
        "is it ready?",
        "8112289875",
        "15108695089",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Bearer\tabcdef", REDACTED),
        ("BASIC abcdef", REDACTED),
        ("eyJabcdefgh.x", REDACTED),
        ("EYJabcdefgh.x", REDACTED),
        ("sk_abcdefgh", REDACTED),
        ("s\u212a_abcdefgh", REDACTED),
        ("token=x", REDACTED),
        ("cookie:x", REDACTED),
        ("4222222222222", REDACTED),
        ("+46123456", REDACTED),
        ("08-123456", REDACTED),
        ("070 12 34", REDACTED),
        ("0701234567", REDACTED),
        ("8112289874", REDACTED),
        ("198112289874", REDACTED),
        ("19811228-9874", REDACTED),
        ("811228+9874", REDACTED),
        ("15108695088", REDACTED),
        ("131052-308T", REDACTED),
        ("010190-1234", REDACTED),
        ("DETAIL: Key (key)=(anna) already exists.\nx", f"DETAIL:  {REDACTED}\nx"),
        ("for query argument $1: 'anna' (a str)", f"for query argument $1: {REDACTED}"),
        ("WVWZZZ1JZ3W386752", REDACTED),
        ("(WVWZZZ1JZ3W386752)", f"({REDACTED})"),
    ],
)
def test_the_shortest_secret_of_each_kind_is_found(text: str, clean: str) -> None:
    assert redact_text(text) == clean


PIECES = st.one_of(
    st.sampled_from(
        ["_", "ord_", "sk_live_", "PK_", "Whsec_", "eyJ", "token", "bearer", "\u212a_"]
    ),
    st.text(alphabet="sSkKeEyYjJaZIOåſ_0129", max_size=18),
    st.text(alphabet=VIN_LETTERS, min_size=17, max_size=17),
)


@given(st.lists(PIECES, max_size=4).map("".join))
def test_an_identifier_is_redacted_as_if_it_were_any_other_text(text: str) -> None:
    # In quotes it is no identifier, and every search is made.
    assert f"'{redact_text(text)}'" == redact_text(f"'{text}'")


def test_the_query_of_an_address_is_gone_and_its_path_stays() -> None:
    assert redact_text("GET https://shop.example/cars?near=59.3,18.0&q=x HTTP/1.1") == (
        "GET https://shop.example/cars?[redacted] HTTP/1.1"
    )


def test_a_card_number_is_hidden_as_a_number_too() -> None:
    found = redact_mapping({"amount": 48990000, "odd": 4242424242424242, "at": 1795322188335565933})
    assert found == {"amount": 48990000, "odd": REDACTED, "at": 1795322188335565933}


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("http.request.header.authorization", True),
        ("http.request.header.set-cookie", True),
        ("customer.email", True),
        ("user_agent.original", True),
        ("client.address", True),
        ("idempotency-key", True),
        ("server.address", False),
        ("db.collection.name", False),
        ("session.count", False),
        ("car_id", False),
        ("model_name", False),
    ],
)
def test_keys_are_judged_by_what_they_mean(key: str, secret: bool) -> None:
    assert is_secret_key(key) is secret


def test_a_log_line_and_a_span_are_redacted_by_the_same_rules() -> None:
    private = {"email": "a@b.se", "note": "call +46 70 123 45 67", "car_id": "car-7"}
    with capture("checkout") as signals:
        with signals.telemetry.tracer.start_as_current_span("order", attributes=private) as span:
            span.add_event("paid", {"card": "4242", "by": "x@y.no"})
            signals.telemetry.log.info("order_placed", **private)
        (line,) = signals.logs
        clean = {"email": REDACTED, "note": f"call {REDACTED}", "car_id": "car-7"}
        assert {name: line[name] for name in private} == clean
        assert signals.span("order").attributes == clean
        assert signals.span("order").events[0].attributes == {"card": REDACTED, "by": REDACTED}


def test_a_librarys_line_is_redacted_as_well() -> None:
    with capture("checkout") as signals:
        signals.telemetry.adopt_stdlib_logging()
        logging.getLogger("uvicorn.error").warning("bad request from %s", "a@b.se")
        (line,) = signals.logged("stdlib")
        assert line["message"] == f"bad request from {REDACTED}"
