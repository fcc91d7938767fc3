"""The shop's cookies: which there are, how long they live, what is read back from them.

All are necessary for what the shopper asked for (so they need no consent) except that
`vitrine_consent` remembers an answer about measurements. All are HttpOnly and SameSite=Lax.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from starlette.responses import Response

DAY: Final = 24 * 3600

SHOP: Final = "vitrine_shop"
"""Market and language of the last visit, `se/sv`."""
CONSENT: Final = "vitrine_consent"
HOLD: Final = "vitrine_hold"
"""The running holds, so that every page can lead back to them: `<hold id>.<unix time of its end>`,
with `~` between them, the one that ends first first."""
ADVICE: Final = "vitrine_advice"
"""The last advice, so that an order can name it."""
ANSWERED: Final = "vitrine_answered"
"""For a minute after a form: which page it leads back to, as a hash; seen again, that is no second
view. It tells nobody apart."""
ORDER: Final = "vitrine_order"
"""`<order id>.<order token>`; sent only to the pages of its own purchase."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
MOST_HOLDS_BYTES: Final = 1_000
_HOLD: Final = re.compile(r"([A-Za-z0-9_-]{1,60})\.(\d{10})")
_ORDER: Final = re.compile(r"([A-Za-z0-9_-]{1,60})\.([A-Za-z0-9_-]{16,200})")


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to be set; `seconds` 0 removes it, None lasts as long as the browser."""

    name: str
    value: str
    seconds: int | None
    path: str = "/"

    def put(self, response: Response, *, secure: bool) -> None:
        response.set_cookie(
            self.name,
            self.value,
            max_age=self.seconds,
            path=self.path,
            httponly=True,
            samesite="lax",
            secure=secure,
        )


@dataclass(frozen=True, slots=True)
class HoldNote:
    """What the hold cookie says; checkout alone knows whether it is true."""

    hold_id: str
    ends_at: int


def read_holds(value: str | None, *, now: int) -> tuple[HoldNote, ...]:
    """The holds that have not ended by their own time."""
    found = [_HOLD.fullmatch(each) for each in (value or "")[:MOST_HOLDS_BYTES].split("~")]
    notes = [HoldNote(each[1], int(each[2])) for each in found if each is not None]
    return tuple(note for note in notes if note.ends_at > now)


def holds_cookie(notes: Iterable[HoldNote]) -> Cookie:
    """The cookie that remembers these holds; with none it goes."""
    kept = sorted(notes, key=lambda note: (note.ends_at, note.hold_id))
    value = "~".join(f"{note.hold_id}.{note.ends_at}" for note in kept)
    return Cookie(HOLD, value, None if value else 0)


def read_order(value: str | None) -> tuple[str, str] | None:
    """(order id, order token)."""
    match = _ORDER.fullmatch(value or "")
    return (match.group(1), match.group(2)) if match else None


def read_identifier(value: str | None) -> str:
    return value if value and _IDENTIFIER.fullmatch(value) else ""


def answered(path: str) -> Cookie:
    """The note that a form has just led back to its own page."""
    return Cookie(ANSWERED, _page_mark(path), 60)


def is_answered(value: str | None, path: str) -> bool:
    """Whether the page at `path` is the one that its own form has just led back to."""
    return value == _page_mark(path)


def _page_mark(path: str) -> str:
    return hashlib.blake2b(unquote(path).encode("utf-8", "replace"), digest_size=8).hexdigest()


def read_consent(value: str | None) -> bool | None:
    return {"granted": True, "refused": False}.get(value or "")
