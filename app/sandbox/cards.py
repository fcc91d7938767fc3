"""Practice cards: what each number does. Nothing of a card is stored but this behaviour."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

Behaviour = Literal[
    "pays",
    "declined",
    "insufficient",
    "challenge",
    "delayed",
    "timeout",
    "repeated",
    "reordered",
    "lost",
]

CARDS: Final[Mapping[str, Behaviour]] = {
    "4242424242424242": "pays",
    "4000000000000002": "declined",
    "4000000000009995": "insufficient",
    "4000000000003220": "challenge",
    "4000000000003303": "delayed",
    "4000000000004400": "timeout",
    "4000000000005506": "repeated",
    "4000000000006603": "reordered",
    "4000000000007700": "lost",
}
"""Card number -> behaviour; the first four are Stripe's well-known test numbers."""


@dataclass(frozen=True, slots=True)
class CardForm:
    """What a shopper typed; never stored and never shown in a log."""

    card_number: str
    expiry: str
    cvc: str
    name: str


def errors_of(form: CardForm, today: date) -> dict[str, str]:
    """Field -> error code for everything that is wrong; empty when the form can be used."""
    number = digits(form.card_number)
    wrong: dict[str, str] = {}
    if not (12 <= len(number) <= 19 and luhn(number)):
        wrong["card_number"] = "number_invalid"
    elif number not in CARDS:
        wrong["card_number"] = "number_unknown"
    if not _expires_later(form.expiry, today):
        wrong["expiry"] = "expiry_invalid"
    if not (form.cvc.isascii() and form.cvc.isdigit() and len(form.cvc) in (3, 4)):
        wrong["cvc"] = "cvc_invalid"
    if not form.name.strip():
        wrong["name"] = "name_missing"
    return wrong


def digits(number: str) -> str:
    return "".join(c for c in number if c in "0123456789")


def luhn(number: str) -> bool:
    """The check digit of ISO/IEC 7812-1."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _expires_later(expiry: str, today: date) -> bool:
    found = _EXPIRY.fullmatch(expiry.replace(" ", ""))
    if found is None:
        return False
    month, year = int(found[1]), int(found[2])
    if year < 100:
        year += 2000
    return (today.year, today.month) <= (year, month) <= (today.year + 30, 12)


_EXPIRY: Final = re.compile(r"(0?[1-9]|1[0-2])/([0-9]{2}|[0-9]{4})")
