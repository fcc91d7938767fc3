"""Identifiers: time-ordered for rows, unguessable for anything that grants access.

The row identifiers are ULIDs (48 bits of milliseconds, 80 random bits, Crockford base 32), which
index better than random ones and cannot be guessed; a prefix says what they identify.
"""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]


def new_id(prefix: str, at: datetime) -> str:
    """A fresh identifier such as `ord_01jd…`; later ones sort after earlier milliseconds."""
    milliseconds = int(at.timestamp() * 1000)
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    pairs = [_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)]
    return f"{prefix}_{''.join(pairs)}"


def made_at(identifier: str) -> datetime | None:
    """When `new_id` made this; None for what it cannot have made."""
    letters = identifier.rpartition("_")[2][:10]
    if len(letters) < 10 or not set(letters) <= set(_ALPHABET):
        return None
    milliseconds = sum(
        _ALPHABET.index(letter) << (5 * place) for place, letter in enumerate(reversed(letters))
    )
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError):
        return None


def shown(identifier: str) -> str:
    """What signals may hold of an identifier that opens something by itself, as a hold's does.

    Its prefix, its moment and 20 of its random bits: enough to find it, not to use it.
    """
    return identifier[:18]


def new_secret() -> str:
    """A URL-safe token of 256 random bits that whoever knows it may use."""
    return secrets.token_urlsafe(32)
