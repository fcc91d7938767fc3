"""The shopper's session: a signed cookie, so that nothing that matters lives in a process.

The storefront starts a session; every service can read it, because holds, orders and beacons
belong to one. A session ends after 30 minutes without a request (GA4's definition).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import asdict, dataclass, fields, replace
from typing import Final, Literal

import orjson

from app.kernel.channels import ChannelGroup
from telemetry.catalogue.labels import Channel, Device, Entry, Traffic

COOKIE: Final = "vitrine_session"
IDLE_SECONDS: Final = 30 * 60
MAX_COOKIE_BYTES: Final = 3800
"""Five labels of a hundred letters of four bytes fit; browsers keep 4096 bytes of a cookie."""

LABELS: Final = ("campaign", "source", "medium", "content", "term")
"""Marketing's words in an address, there with `utm_` before them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who is visiting, without anything personal. `seen_at` is Unix seconds."""

    session_id: str
    started_at: int
    seen_at: int
    market: str
    language: str
    channel: Channel = "web"
    device: Device = "unknown"
    entry: Entry = "direct"
    campaign: str = ""
    source: str = ""
    medium: str = ""
    content: str = ""
    term: str = ""
    channel_group: ChannelGroup | Literal[""] = ""
    """What brought it: the last click that was not direct. Empty: the version before began it."""
    traffic: Traffic = "human"
    variant: str = ""
    analytics: bool | None = None
    """Consent to browser measurements: given, refused, or not answered yet (None)."""
    visitor_id: str = ""
    """Whom the shopper agreed to be known as again; empty without that."""
    proven: bool = True
    """Whether the cookie has come back: until then nothing shows that a browser has it. A session
    that a version before began is."""
    advice: str = ""
    """The last advice that found it a car, which it may say what it thought of."""
    rated: bool = False
    """Whether it has said what it thought of an advice: it is asked once."""
    counted: bool = True
    """Whether this visit is in the numbers: not when its network began too many in a minute."""

    def touched(self, at: int) -> Session:
        return replace(self, seen_at=at)


class SessionCodec:
    """Signs and reads session cookies with a key that all services share."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def encode(self, session: Session) -> str:
        payload = base64.urlsafe_b64encode(orjson.dumps(asdict(session))).rstrip(b"=")
        return f"{payload.decode()}.{self._signature(payload)}"

    def decode(self, cookie: str | None, *, now: float) -> Session | None:
        """The session, or None when there is none, it was tampered with, or it has ended."""
        if not cookie or len(cookie) > MAX_COOKIE_BYTES:
            return None
        payload, _, signature = cookie.rpartition(".")
        # Bytes, because anybody may send a cookie of any characters.
        if not hmac.compare_digest(self._signature(payload.encode()).encode(), signature.encode()):
            return None
        raw = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        known = {f.name for f in fields(Session)}
        try:
            session = Session(**{key: value for key, value in raw.items() if key in known})
        except TypeError:
            return None  # signed by a version that knew less: the visit begins again
        return session if now - session.seen_at <= IDLE_SECONDS else None

    def _signature(self, payload: bytes) -> str:
        return hmac.new(self._key, payload, hashlib.sha256).hexdigest()[:40]
