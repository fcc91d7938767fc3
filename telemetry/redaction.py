"""The one place that keeps people out of signals: logs, span attributes and exceptions.

Two rules work together. A key that is known to hold something personal or secret has its whole
value replaced, whatever it contains. Any other text is searched for what can be recognised by
itself: e-mail addresses, payment cards (ISO/IEC 7812, Luhn check), telephone numbers, national
identity numbers of the countries that we sell in, vehicle identification numbers (ISO 3779), bearer
and other tokens, the query of any address, and what a database quotes of a row. A name in free text
cannot be recognised; it is kept out by never writing one under another key.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"

_SECRET_KEYS = frozenset({
    "address", "api_key", "apikey", "auth", "authorization", "card", "card_number", "cardholder",
    "cookie", "cookies", "credentials", "customer", "cvc", "cvv", "date_of_birth", "dob", "e_mail",
    "email", "expiry", "family_name", "first_name", "full_name", "given_name", "iban",
    "idempotency_key", "last_name", "mobile", "name", "pan", "passwd", "password",
    "personnummer", "phone", "phone_number", "postcode", "proxy_authorization", "query",
    "query_string", "registration_number", "secret", "session", "session_id", "set_cookie",
    "shopper", "signature", "ssn", "street", "surname", "telephone", "token", "url_query",
    "user_agent_original", "vin", "webhook_signature", "x_api_key", "zip",
})  # fmt: skip
_SECRET_ENDINGS = (
    "_api_key", "_cookie", "_email", "_password", "_phone", "_secret", "_session_id",
    "_signature", "_token", "_vin", "customer_name", "cardholder_name", "shopper_name",
)  # fmt: skip

# Names that mean a person only when they stand alone: `db.name` and `server.address` do not.
_BARE_ONLY = frozenset({"name", "address", "query", "signature", "session", "card", "auth"})
_PERSONAL_ATTRIBUTES = frozenset({"client.address", "client.port", "network.peer.address"})

_EMAIL = re.compile(r"[\w.!#$%&'*+=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)*")
_TOKEN = re.compile(
    r"\b(?:bearer|basic)\s+[\w.~+/=-]{6,}"
    r"|\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"
    r"|\b(?:sk|pk|rk|whsec)_(?:(?:live|test)_)?[A-Za-z0-9]{8,}"
    r"|\b(?:token|password|passwd|secret|api[_-]?key|session(?:_id)?|cookie|authorization)"
    r"\s*[=:]\s*[^\s,;&\"']+",
    re.IGNORECASE,
)
_QUERY = re.compile(r"((?:https?://|/)[^\s?#\"'<>]*)\?[^\s\"'<>]*")
_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w])")
_PHONE = re.compile(
    r"(?<![\w.+:-])(?:\+|00)[1-9](?:[\s().-]{0,2}\d){6,14}(?!\w)"
    r"|(?<![\w.:-])0\d{1,3}[ -]\d{2,4}(?:[ -]?\d{2,4}){1,3}(?!\w)"
    r"|(?<![\w.:+-])0[1-9]\d{7,9}(?!\w)"
)
_BIRTH = re.compile(
    r"(?<![\w.:+-])(?:"
    r"(?P<year_first>(?:19|20)?\d\d(?:0[1-9]|1[0-2])(?:[0-3]\d|[6-9]\d)[+-]?\d{4})"
    r"|[0-7]\d{10}"
    r"|[0-3]\d(?:0[1-9]|1[0-2])\d\d[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]"
    r")(?![\w-])"
)
_QUOTED = re.compile(r"(DETAIL: |query argument \$\d+:).*")
_VIN = re.compile(
    r"(?<![A-Za-z0-9])(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-HJ-NPR-Za-hj-npr-z0-9]{17}(?![A-Za-z0-9])"
)
_DIGITS = re.compile(r"\D")
# What each search above cannot do without. Looking for it first costs a tenth of the search.
_OF_TOKEN = re.compile(r"[=:_\sjJ]")
_DIGIT = re.compile(r"[0-9]")
_SHORTEST_BIRTH, _SHORTEST_CARD, _SHORTEST_VIN = 10, 13, 17
_KEY_SEPARATORS = str.maketrans("-. ", "___")

# Deeper structures than this are replaced whole: no signal of ours nests so far.
_MAX_DEPTH = 6


@lru_cache(maxsize=4096)
def is_secret_key(key: str) -> bool:
    """Whether a field with this name is replaced whatever it contains.

    >>> is_secret_key("http.request.header.authorization"), is_secret_key("car_id")
    (True, False)
    """
    plain = key.lower().translate(_KEY_SEPARATORS)
    if plain in _SECRET_KEYS or plain.endswith(_SECRET_ENDINGS) or key in _PERSONAL_ATTRIBUTES:
        return True
    # A dotted attribute such as `customer.email` or `http.request.header.cookie`. The bare names
    # that only mean a person at the top level (`db.name`, `code.key`) do not count here.
    last = key.lower().rsplit(".", 1)[-1].replace("-", "_")
    return "." in key and last in _SECRET_KEYS - _BARE_ONLY


def redact_text(text: str) -> str:
    """`text` without anything that identifies a person, a card, a car or a session.

    >>> redact_text("paid by astrid@example.se with 4242 4242 4242 4242")
    'paid by [redacted] with [redacted]'
    """
    # Most texts are identifiers. Of all that is searched for, only a token begins with a letter and
    # has no sign but "_", and only a vehicle's number may stand between two of them.
    if text.isidentifier() and text.isascii() and not _TOKEN.match(text):
        return text if len(text) < _SHORTEST_VIN else _VIN.sub(REDACTED, text)
    return _searched(text)


def _searched(text: str) -> str:
    if "@" in text:
        text = _EMAIL.sub(REDACTED, text)
    if "?" in text:
        text = _QUERY.sub(rf"\1?{REDACTED}", text)
    if "DETAIL: " in text or "query argument $" in text:
        text = _QUOTED.sub(rf"\1 {REDACTED}", text)
    if len(text) < 7:
        return text
    if _OF_TOKEN.search(text):
        text = _TOKEN.sub(REDACTED, text)
    # Cards, telephones and VINs have at least one digit; most log texts have none.
    if not _DIGIT.search(text):
        return text
    if len(text) >= _SHORTEST_CARD:
        text = _CARD.sub(_card, text)
    if "0" in text or "+" in text:
        text = _PHONE.sub(REDACTED, text)
    if len(text) >= _SHORTEST_BIRTH:
        text = _BIRTH.sub(_birth, text)
    return _VIN.sub(REDACTED, text) if len(text) >= _SHORTEST_VIN else text


def redact_value(key: str, value: Any, depth: int = 0) -> Any:
    """The value as it may be written under `key`; containers are copied, never changed."""
    if value is None:
        return value
    if is_secret_key(key):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return REDACTED if _is_card(str(value)) else value
    if depth >= _MAX_DEPTH:
        return REDACTED
    if isinstance(value, Mapping):
        return {
            str(name): redact_value(str(name), inner, depth + 1) for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value("", inner, depth + 1) for inner in value]
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"))
    return redact_text(str(value))


def redact_mapping(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the fields of a log line or the attributes of a span, fit to be written."""
    return {key: redact_value(key, value) for key, value in fields.items()}


def _card(match: re.Match[str]) -> str:
    return REDACTED if _is_card(_DIGITS.sub("", match[0])) else match[0]


def _birth(match: re.Match[str]) -> str:
    """Without a sign in them identity numbers are only those whose check digits are right."""
    digits = match[0]
    if digits.isdecimal():
        real = _luhn(digits[-10:]) if match["year_first"] else _norwegian(digits)
        return REDACTED if real else digits
    return REDACTED


def _norwegian(digits: str) -> bool:
    """Both check digits (modulo 11) of a fødselsnummer."""
    first, second = (3, 7, 6, 1, 8, 9, 4, 5, 2, 1), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
    return not any(
        sum(weight * int(digit) for weight, digit in zip(weights, digits, strict=False)) % 11
        for weights in (first, second)
    )


def _is_card(digits: str) -> bool:
    """A plausible card number. Those that begin with 0 or 1 are times, not cards in use."""
    return 13 <= len(digits) <= 19 and digits[0] in "23456789" and _luhn(digits)


def _luhn(digits: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if position % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
