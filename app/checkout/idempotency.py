"""Idempotency-Key (IETF draft-07): the first answer is stored with its effect and replayed.

Missing is 400, the same key with another request is 422, still under way is 409, a replay is
the first answer byte for byte (but for the cars like one that was lost, see `holds`). An answer
that says "try again" (503, 429) is not kept: the retry is meant to get further.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import orjson

from app.checkout.errors import CarUnknown, KeyInFlight, KeyMissing, KeyReused
from app.checkout.rows import Key
from app.kernel.errors import VitrineError
from telemetry.catalogue.outcomes import Outcome

LOCK: Final = timedelta(seconds=15)
"""How long a request under way keeps its key: longer than its slowest legal path, so that after
a crash a retry takes over and finishes what was begun."""

JSON: Final = "application/json"
KEPT: Final = frozenset({Outcome.SOLD_OUT, Outcome.CONFLICT, Outcome.INVALID})
"""Outcomes of errors that are stored as the answer; trying again would not change them."""

_KEY: Final = re.compile(
    r"""
    (?: "(?P<string>(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"   # a structured string
      | (?P<bare>[A-Za-z0-9!#$%&'*+.^_`|~:/=-]+) )                  # tolerated: no quotes
    (?: [ ]*;[ ]*[a-z*][a-z0-9_.*-]*                              # parameters say nothing to us
        (?:=(?:"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"|[^\s";,]+))? )*
    """,
    re.VERBOSE,
)
"""An item of RFC 9651 that is a string, with its parameters."""

_RANDOM: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    r"|[0-9a-f]{32,}|[0-7][0-9a-hjkmnp-tv-z]{25}",
    re.IGNORECASE,
)
"""How a drawn key looks: a UUID of version 4 or 7, 128 bits in hexadecimal, a ULID."""

EXAMPLE: Final = "8e03978e-40d5-43dd-bc93-6894a57f9324"
"""The key that our messages and documents show."""

_PUBLISHED: Final = tuple(
    key.replace("-", "").lower()
    for key in (
        EXAMPLE,
        # RFC 4122 and 9562, and what documentation of UUIDs and ULIDs shows.
        "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "919108f7-52d1-4320-9bac-f847db4148a8",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "123e4567-e89b-12d3-a456-426614174000",
        "123e4567-e89b-42d3-a456-426614174000",
        "123e4567-e89b-12d3-a456-426655440000",
        "550e8400-e29b-41d4-a716-446655440000",
        "16fd2706-8baf-433b-82eb-8c7fada847da",
        "36b8f84d-df4e-4d49-b662-bcde71a8764f",
        "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        # Hashes of nothing: MD5, the beginnings of SHA-1 and SHA-256.
        "d41d8cd98f00b204e9800998ecf8427e",
        "da39a3ee5e6b4b0d3255bfef95601890",
        "e3b0c44298fc1c149afbf4c8996fb924",
    )
)
"""Keys that anybody copies: they look drawn, and are nobody's own."""

ERASED_REQUEST: Final = "erased"
"""Stands for the fingerprint of a request whose order was erased; no request has it."""

LONGEST_KEY: Final = 128
"""A longer key is kept as its hash, as any is that was not drawn: it may name somebody."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The first answer to a request with an Idempotency-Key, as bytes."""

    status: int
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """A request's key and what the request was."""

    key: str
    fingerprint: str


def read_claim(
    lines: Sequence[str], *, method: str, path: str, body: Any, caller: str, origin: str
) -> Claim:
    """The claim of a request with these Idempotency-Key lines.

    `caller` is who proved to be somebody (a session, a token), `origin` where the others ask
    from (decision 0055). Raises `KeyMissing` with the reason.
    """
    chosen = _read_key(lines)
    drawn = is_drawn(chosen)
    if not caller and not drawn:
        caller = origin
    plain = drawn and len(chosen) <= LONGEST_KEY
    key = f"{caller}/{chosen if plain else hashlib.sha256(chosen.encode()).hexdigest()}"
    material = orjson.dumps([method, path, body, caller], option=orjson.OPT_SORT_KEYS)
    return Claim(key, hashlib.sha256(material).hexdigest())


def is_drawn(key: str) -> bool:
    """Whether nobody else comes upon this key: it looks drawn, and is no pattern or example."""
    if not _RANDOM.fullmatch(key):
        return False
    plain = key.replace("-", "").lower()
    digits = plain.encode().translate(_DIGITS)
    steps = {after - before for before, after in pairwise(digits)}  # "0123..." has one
    return (
        len(set(digits)) > 7 and len(steps) > 10 and not any(each in plain for each in _PUBLISHED)
    )


_DIGITS: Final = bytes.maketrans(b"abcdefghijklmnopqrstuvwxyz", bytes(range(58, 84)))
"""Letters follow the digits, so that steps between them are steps of a count."""


def _read_key(lines: Sequence[str]) -> str:
    """The key that a client chose; raises `KeyMissing`."""
    if not lines:
        raise KeyMissing(f"The header is missing. {_SEND}")
    if len(lines) > 1:
        raise KeyMissing(f"The header came {len(lines)} times; send it once. {_SEND}")
    header = lines[0].strip()
    if header in ("", '""'):
        raise KeyMissing(f"The key is empty. {_SEND}")
    if not (header.isascii() and header.isprintable()):
        raise KeyMissing(f"A key has printable ASCII characters only. {_SEND}")
    match = _KEY.fullmatch(header)
    if match is None:
        raise KeyMissing(f"The header could not be read as one string. {_SEND}")
    bare, string = match["bare"], match["string"]
    return bare or (re.sub(r"\\(.)", r"\1", string) if "\\" in string else string)


_SEND: Final = (
    "Send a quoted string that you never use again, a UUID for example:"
    f' Idempotency-Key: "{EXAMPLE}".'
)


@dataclass(frozen=True, slots=True)
class Replay:
    """The first answer, to be sent again. `taken_at` is when its key was taken."""

    answer: StoredAnswer
    taken_at: datetime


def judged(key: Key | None, claim: Claim, now: datetime) -> Replay | Key | None:
    """Its first answer, or go on: with the key of a request that never finished, or with a new one.

    Raises `KeyReused` when it belongs to another request, `KeyInFlight` while the first request
    with it is under way.
    """
    if key is None:
        return None
    if key.fingerprint != claim.fingerprint:
        raise KeyReused("Use a fresh Idempotency-Key: this one came with a different request.")
    if key.status is not None:
        return Replay(answer_in(key), key.created_at)
    if key.locked_until > now:
        raise KeyInFlight(
            "Wait for the first request's answer, or ask again in a moment.",
            retry_after_seconds=1,
        )
    return key


def answer_in(key: Key) -> StoredAnswer:
    """The answer that a key's row holds."""
    return StoredAnswer(key.status or 0, key.media_type or "", key.body or b"")


def answer(status: int, value: Mapping[str, Any]) -> StoredAnswer:
    """A JSON answer as the bytes that every replay will send."""
    return StoredAnswer(status, JSON, orjson.dumps(value))


def is_kept(error: VitrineError) -> bool:
    """Whether an error is this request's final answer."""
    return error.outcome in KEPT and not isinstance(
        error,
        # A car that is new to us is known a moment later.
        KeyReused | KeyInFlight | KeyMissing | CarUnknown,
    )
