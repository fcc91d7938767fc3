"""What people type: the same name, address or number however it was typed or pasted.

Text that is copied from elsewhere brings spaces of many kinds, invisible characters, dashes and
brackets. They are taken away before anything is judged, for the form and the API alike.
Each function leaves what is no text as it is; a `ValueError` says what to type instead.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any, Final

_JOINERS: Final = "\u200c\u200d"
"""Invisible, and part of how some names are written."""

_LABEL: Final = re.compile(r"(?!-)[^\W_](?:[^\W_]|-)*(?<!-)|xn--[a-z0-9-]+", re.IGNORECASE)
_LOCAL: Final = re.compile(r'[^\s@,;:<>()\[\]"\\]{1,64}')
_PHONE: Final = re.compile(r"\+?[0-9]{5,15}")
_ABROAD: Final = ("+", "00", "(+", "(00", "[+")


def as_name(value: Any) -> Any:
    """A name on one line, in composed letters (NFC)."""
    if not isinstance(value, str):
        return value
    name = _visible(unicodedata.normalize("NFC", value), but=_JOINERS).strip(_JOINERS + " ")
    if value.strip() and not any(character.isalnum() for character in name):
        raise ValueError("a name has at least one letter")
    return name


def as_email(value: Any) -> Any:
    """An address without what is invisible in it; international domains stay as they are."""
    if not isinstance(value, str):
        return value
    seen = _visible(unicodedata.normalize("NFC", value)).replace("\uff20", "@")
    local, at, domain = seen.rpartition("@")
    domain = unicodedata.normalize("NFKC", domain).replace("\u3002", ".")
    labels = domain.split(".")
    if not (
        at
        and _LOCAL.fullmatch(local)
        and len(labels) > 1
        and len(labels[-1]) > 1
        and not labels[-1].isdigit()
        and all(len(label) < 64 and _LABEL.fullmatch(_plain(label)) for label in labels)
    ):
        raise ValueError("one e-mail address like anna@example.se, with nothing after its domain")
    return f"{local}@{domain}"


def as_phone(value: Any) -> Any:
    """Digits with at most a leading +; `00` abroad is a +, a trunk `(0)` after it goes."""
    if not isinstance(value, str):
        return value
    text = _visible(unicodedata.normalize("NFKC", value)).lower().removeprefix("tel:")
    kept = "".join(map(_of_a_number, text))
    if kept.startswith(_ABROAD):
        kept = kept.replace("(0)", "", 1)
    number = re.sub(r"[()\[\]]", "", kept)
    number = f"+{number[2:]}" if number.startswith("00") else number
    if not _PHONE.fullmatch(number):
        raise ValueError(
            "a phone number has 5 to 15 digits, with a leading + from abroad; spaces, dots,"
            " dashes, slashes and brackets are fine"
        )
    return number


def _visible(text: str, *, but: str = "") -> str:
    """Text on one line without what nobody sees; a control character is nobody's name."""
    line = " ".join(text.split())
    if line.isprintable():  # nearly always: nothing in it is of the category that we look for
        return line
    if any(unicodedata.category(c) == "Cc" for c in line):
        raise ValueError("holds a control character; remove it")
    return "".join(c for c in line if c in but or unicodedata.category(c)[0] != "C").strip()


def _plain(label: str) -> str:
    """A label of a domain without its marks: vowel signs are no letters to a regular expression."""
    if label.isascii():
        return label
    return "".join(c for c in label if unicodedata.category(c)[0] != "M")


@lru_cache(maxsize=256)
def _of_a_number(character: str) -> str:
    """A digit of any script as ours, nothing for what separates digits."""
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    separates = character in " ./\u2212\u00b7\u2044" or unicodedata.category(character) == "Pd"
    return "" if separates else character
