"""Synthetic callers (load tests, the demo's trickle) prove themselves; mere claims are ignored."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

HEADER: Final = "x-vitrine-synthetic"
TOLERANCE_SECONDS: Final = 24 * 3600
"""A load test may sign once and run for hours."""


def sign(key: str, at: int) -> str:
    """The header's value: `<unix time>.<hmac-sha256 hex of the time>`."""
    return f"{at}.{hmac.new(key.encode(), str(at).encode(), hashlib.sha256).hexdigest()}"


def proves_synthetic(header: str | None, key: str, *, now: float) -> bool:
    """True when the header was signed with our key within the tolerance."""
    if not header:
        return False
    at, _, _ = header.partition(".")
    if not at.isascii() or not at.isdigit() or len(at) > 12:
        return False
    return abs(now - int(at)) <= TOLERANCE_SECONDS and hmac.compare_digest(
        sign(key, int(at)).encode(), header.encode()
    )
