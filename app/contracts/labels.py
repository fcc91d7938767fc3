"""Marketing's labels: whatever a link carries, what may be kept of it."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

LONGEST_LABEL: Final = 100
_READ: Final = 1_000
"""Characters looked at: a longer label is cut anyway."""

_MAIL: Final = re.compile(r"[^\s@]+(?:@|%40)[^\s@]+\.[^\s@]+")


def as_label(value: Any) -> str:
    """One line of at most 100 characters; empty for what is no text or names a person.

    Never refuses: an advertisement's label must not cost a sale. An e-mail address in it is
    somebody's, so that label is dropped. Control, unpaired and invisible characters are left out;
    a letter is not cut from its accent.
    """
    if not isinstance(value, str):
        return ""
    if _MAIL.search(unicodedata.normalize("NFKC", value[:_READ])):  # also with a full-width @
        return ""
    line = " ".join(value[:_READ].split())
    seen = "".join(c for c in line if unicodedata.category(c)[0] != "C")
    text = unicodedata.normalize("NFC", seen).strip()
    end = LONGEST_LABEL
    while len(text) > end > 0 and unicodedata.combining(text[end]):
        end -= 1
    return text[:end].rstrip()
