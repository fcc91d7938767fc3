"""The shop's cookies: which there are, how long they live, what is read back from them.

All are necessary for what the shopper asked for (so they need no consent) except that
`vitrine_consent` remembers an answer about measurements. All are HttpOnly and SameSite=Lax.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

DAY: Final = 24 * 3600

SHOP: Final = "vitrine_shop"
"""Market and language of the last visit, `se/sv`."""
CONSENT: Final = "vitrine_consent"
HOLD: Final = "vitrine_hold"
"""The running hold, so that every page can lead back to it: `<hold id>.<unix time of its end>`."""
ADVICE: Final = "vitrine_advice"
"""The last advice, so that an order can name it."""
ORDER: Final = "vitrine_order"
"""`<order id>.<order token>`; sent only to the pages of its own purchase."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
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


def read_hold(value: str | None, *, now: int) -> HoldNote | None:
    match = _HOLD.fullmatch(value or "")
    if match is None or int(match.group(2)) <= now:
        return None
    return HoldNote(match.group(1), int(match.group(2)))


def read_order(value: str | None) -> tuple[str, str] | None:
    """(order id, order token)."""
    match = _ORDER.fullmatch(value or "")
    return (match.group(1), match.group(2)) if match else None


def read_identifier(value: str | None) -> str:
    return value if value and _IDENTIFIER.fullmatch(value) else ""


def read_consent(value: str | None) -> bool | None:
    return {"granted": True, "refused": False}.get(value or "")
