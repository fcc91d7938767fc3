"""The same person however they were typed, pasted or filled in by a browser."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from app.contracts.checkout import Customer

ANNA = {"name": "Anna Ask", "email": "anna@example.se", "phone": "+46701234567"}


def _typed(**changes: Any) -> Customer:
    return Customer.model_validate({**ANNA, **changes})


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("(090) 12 34 56", "090123456"),
        ("+46\u00a070\u202f123\u200945\u300067", "+46701234567"),
        ("\u202a+46 70\u2011123\u201345\u201467\u202c", "+46701234567"),
        ("\ufeff070\u2212123\u00b745\u200b67", "0701234567"),
        ("070.123.45.67", "0701234567"),
        ("090/12 34 56", "090123456"),
        ("+46 (0)70-123 45 67", "+46701234567"),
        ("0046 (0) 70 123 45 67", "+46701234567"),
        ("(+46) 70 123 45 67", "+46701234567"),
        (
            "\uff0b\uff14\uff16 \uff17\uff10 \uff11\uff12\uff13 \uff14\uff15 \uff16\uff17",
            "+46701234567",
        ),
        ("\u0660\u0667\u0660 \u0661\u0662\u0663 \u0664\u0665\u0666\u0667", "0701234567"),
        ("tel:+46-70-123-45-67", "+46701234567"),
        ("[070] 1234567\t\n", "0701234567"),
        ("12345", "12345"),
    ],
)
def test_a_number_is_its_digits(typed: str, kept: str) -> None:
    assert _typed(phone=typed).phone == kept


@pytest.mark.parametrize(
    "typed",
    ["", "1234", "070 CALL ME", "+", "++46701234567", "46+701234567", "1" * 16, "\x00", 7, None],
)
def test_what_is_no_number_is_refused_with_what_to_type(typed: Any) -> None:
    with pytest.raises(ValidationError, match=r"5 to 15 digits|valid string|control character"):
        _typed(phone=typed)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" anna@example.se\u200b\n", "anna@example.se"),
        ("\u2066anna.ask+car@mail.example.se\u2069", "anna.ask+car@mail.example.se"),
        ("åsa@bücher.example", "åsa@bücher.example"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("anna\uff20example\u3002test", "anna@example.test"),
        ("anna@example\uff0etest", "anna@example.test"),
        ("a@उदाहरण.भारत", "a@उदाहरण.भारत"),
        ("anna@\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.se", "anna@example.se"),
    ],
)
def test_an_address_is_kept_without_what_nobody_sees(typed: str, kept: str) -> None:
    assert _typed(email=typed).email == kept


@pytest.mark.parametrize(
    "typed",
    [
        *("anna@example.se,", "anna@example.se.", "anna@example.se;", "<anna@example.se>"),
        *("anna@example", "anna@@example.se", "anna example@x.se", "@example.se", "anna@.se"),
        *("anna@-x.se", "anna@x-.se", "anna@1.2.3.4", "a,b@example.se", "anna@exa mple.se", ""),
        *("a" * 65 + "@example.se", "a@" + "b." * 130 + "se"),
    ],
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(ValidationError):
        _typed(email=typed)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Anna\u00a0 Ask ", "Anna Ask"),
        ("A\u030asa \u00d6berg", "\u00c5sa \u00d6berg"),
        ("An\u200bna\u202e Ask", "Anna Ask"),
        ("\u0645\u06cc\u200c\u0646\u0627", "\u0645\u06cc\u200c\u0646\u0627"),
        ("李", "李"),
        ("n" * 120, "n" * 120),
    ],
)
def test_a_name_is_on_one_line_in_composed_letters(typed: str, kept: str) -> None:
    assert _typed(name=typed).name == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "  ",
        "\x00",
        "\u200b\u200d",
        "...",
        "An\x00na",
        "Anna\x1b[31m",
        "n" * 121,
        "\ud800",
        None,
    ],
)
def test_what_is_no_name_is_refused(typed: Any) -> None:
    with pytest.raises(ValidationError):
        _typed(name=typed)
