"""The shop's cookies: which there are, how long they live, what is read back from them.

All are necessary for what the shopper asked for (so they need no consent) except that
`vitrine_consent` remembers an answer about measurements, and that `vitrine_visitor` and
`vitrine_click` are there only while that answer is yes. All are HttpOnly and SameSite=Lax.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import unquote

import orjson
from starlette.responses import Response

from app.contracts.labels import as_label
from app.kernel.ids import made_at

DAY: Final = 24 * 3600

SHOP: Final = "vitrine_shop"
"""Market and language of the last visit, `se/sv`."""
CONSENT: Final = "vitrine_consent"
VISITOR: Final = "vitrine_visitor"
"""A random id that tells when it was given; 13 months later it is none."""
CLICK: Final = "vitrine_click"
"""The last click that was not direct: what a later order is thanked to."""
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


_GRANTED: Final = "granted.2"
"""The number is that of the question: who said yes to less is asked again."""


def consent(answer: bool) -> Cookie:
    """The answer to the question about measurements."""
    return Cookie(CONSENT, _GRANTED if answer else "refused", CONSENT_SECONDS)


def read_consent(value: str | None) -> bool | None:
    return {_GRANTED: True, "refused": False}.get(value or "")


CONSENT_SECONDS: Final = 180 * DAY
VISITOR_SECONDS: Final = 396 * DAY
"""13 months, from when it was given: it is not prolonged."""

_VISITOR: Final = re.compile(r"vis_[0-9a-z]{26}")


def read_visitor(value: str | None, *, now: datetime) -> tuple[str, int]:
    """The id and how many seconds it has left; empty for one that is none, or too old."""
    found = made_at(value) if value and _VISITOR.fullmatch(value) else None
    age = (now - found).total_seconds() if found else VISITOR_SECONDS
    if value is None or not -DAY < age < VISITOR_SECONDS:
        return "", 0
    return value, int(VISITOR_SECONDS - age)


def click(labels: Mapping[str, str], at: int) -> Cookie:
    """The note of a click; `labels` as `acquisition` and `contracts.labels` leave them."""
    body = base64.urlsafe_b64encode(orjson.dumps({**labels, "at": at})).rstrip(b"=").decode()
    return Cookie(CLICK, body, CLICK_SECONDS)


CLICK_SECONDS: Final = 90 * DAY


def read_click(value: str | None, *, since: int) -> dict[str, str]:
    """What stood in a note that is not older; empty for any that is none of ours."""
    try:
        raw = orjson.loads(base64.urlsafe_b64decode((value or "")[:3000] + "=="))
        at = int(raw.pop("at"))
    except (ValueError, TypeError, AttributeError, KeyError):
        return {}
    texts = {str(name): as_label(text) for name, text in raw.items() if isinstance(text, str)}
    return texts if at >= since else {}
