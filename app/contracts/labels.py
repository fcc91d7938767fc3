"""Marketing's labels: whatever a link carries, what may be kept of it."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final
from urllib.parse import unquote

from telemetry.redaction import redact_text

LONGEST_LABEL: Final = 100
_READ: Final = 1_000
"""Characters looked at: a longer label is cut anyway."""

_MAIL: Final = re.compile(r"@|[\[({<]\s*(?:at|snabel-?a|krøllalfa)\s*[\])}>]", re.IGNORECASE)
_DATE: Final = re.compile(r"(?<!\d)20[2-9]\d([-_./]?)(?:0[1-9]|1[0-2])\1(?:[0-2]\d|3[01])(?!\d)")
_NUMBER: Final = re.compile(
    r"(?<!\d)(?:\d{7,19}(?!\d)|(?:\+|0|(?:4[567]|358)(?=(?:\W?\d){8}))(?:[\W_]{0,3}\d){6,})"
)
"""Seven digits in a row, up to the nineteen of a card; or a telephone number of the countries that
we sell in, or from abroad, whatever stands between its digits."""


def as_label(value: Any) -> str:
    """One line of at most 100 characters; empty for what is no text or names a person.

    Never refuses: an advertisement's label must not cost a sale. What looks like somebody's e-mail
    address or number is dropped whole, for a name may stand beside it. Control, unpaired and
    invisible characters are left out; a letter is not cut from its accent.
    """
    if not isinstance(value, str):
        return ""
    line = " ".join(value[:_READ].split())
    seen = "".join(c for c in line if unicodedata.category(c)[0] != "C")
    text = unicodedata.normalize("NFC", seen).strip()
    if tells_of_a_person(text):
        return ""
    end = LONGEST_LABEL
    while len(text) > end > 0 and unicodedata.combining(text[end]):
        end -= 1
    return text[:end].rstrip()


def tells_of_a_person(text: str) -> bool:
    """Whether an address or a number that could be a person's stands in `text`, however written.

    With percent signs, in any script's digits, in wide or bold letters, with signs in between.
    Dates of this century's shops are none of it; an advertiser's own numbers may be taken for one.

    >>> tells_of_a_person("black_friday_2026-11-27"), tells_of_a_person("tel%2B46 70/123 45 67")
    (False, True)
    """
    for _ in range(3):  # a link in a link is quoted twice
        plain = unicodedata.normalize("NFKC", text)
        text = unquote(plain)
        if text == plain:
            break
    shown = "".join(_ascii(c) for c in unicodedata.normalize("NFKC", text))
    shown = shown.replace("?", " ")  # the query of an address is judged by what stands in it
    if _MAIL.search(shown) or redact_text(shown) != shown:
        return True
    return _NUMBER.search(_DATE.sub("date", shown)) is not None


def _ascii(character: str) -> str:
    """A digit of any script as ours; nothing for what nobody sees."""
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    return "" if unicodedata.category(character)[0] == "C" else character
