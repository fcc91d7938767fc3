"""The shopper's details: read from the form, checked, answered kindly beside the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from app.contracts.checkout import Customer
from app.storefront.texts import msg

FIELDS: Final = ("name", "email", "phone")
LONGEST: Final = 300

_EMPTY: Final[Mapping[str, str]] = {
    "name": msg("Please tell us your name, as the dealer should greet you."),
    "email": msg("Please give an e-mail address: your order is found by it when you ask us."),
    "phone": msg("Please give a phone number: the dealer calls when the car is ready."),
}
_WRONG: Final[Mapping[str, str]] = {
    "name": msg("A name has letters, and at most 120 of them."),
    "email": msg(
        "That does not look like an e-mail address; it should read like anna@example.se, with"
        " nothing after it."
    ),
    "phone": msg(
        "That does not look like a phone number; it has 5 to 15 digits, from abroad with a"
        " leading +."
    ),
}


@dataclass(frozen=True, slots=True)
class Details:
    """What was typed. `errors` maps a field to a message id; with any, `customer` is None."""

    values: Mapping[str, str]
    errors: Mapping[str, str]
    customer: Customer | None


def read_details(form: Mapping[str, str]) -> Details:
    """Check a submitted form against checkout's own rules."""
    values = {name: form.get(name, "").strip()[:LONGEST] for name in FIELDS}
    errors = {name: _EMPTY[name] for name, value in values.items() if not value}
    customer: Customer | None = None
    try:
        customer = Customer.model_validate(values)
    except ValidationError as error:
        for problem in error.errors():
            name = str(problem["loc"][0])
            errors.setdefault(name, _WRONG[name])
    return Details(values, errors, None if errors else customer)


NOTHING_TYPED: Final = Details(dict.fromkeys(FIELDS, ""), {}, None)
