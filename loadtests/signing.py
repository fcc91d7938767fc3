"""The headers with which a synthetic shopper identifies its requests."""

import hashlib
import hmac
import secrets
import time
import uuid
from dataclasses import dataclass

SYNTHETIC_HEADER = "x-vitrine-synthetic"
RENEW_SECONDS = 3600
"""A proof is valid for a day; an endless trickle signs a new one every hour."""


def synthetic_proof(key: str, at: int) -> str:
    """`<unix time>.<hmac-sha256 hex of the time>`: proof that a request is a rehearsal's."""
    return f"{at}.{hmac.new(key.encode(), str(at).encode(), hashlib.sha256).hexdigest()}"


@dataclass
class Signature:
    """The current proof, renewed now and then. Without a key no claim is made."""

    key: str
    _at: int = 0
    _value: str = ""

    def headers(self) -> dict[str, str]:
        """What every request of a synthetic shopper carries."""
        headers = {"traceparent": fresh_traceparent()}
        if self.key:
            now = int(time.time())
            if now - self._at >= RENEW_SECONDS:
                self._at, self._value = now, synthetic_proof(self.key, now)
            headers[SYNTHETIC_HEADER] = self._value
        return headers


def fresh_traceparent() -> str:
    """A new W3C trace context. The shop links to it from a trace of its own, as for any caller."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def idempotency_key() -> str:
    """A structured-string UUID (IETF draft-ietf-httpapi-idempotency-key-header-07)."""
    return f'"{uuid.uuid4()}"'
