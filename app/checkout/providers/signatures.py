"""Signatures of webhooks, as Stripe makes them: `t=<unix time>,v1=<hmac-sha256 of "t.body">`.

Source: Stripe's guide "Verify webhook signatures manually". Stricter than it in one way: a time
too far ahead of ours is refused as one too far behind is.
"""

from __future__ import annotations

import hmac
from typing import Final

from app.checkout.errors import SignatureRefused

SCHEME: Final = "v1"
"""Other schemes (`v0`) are test signatures, which prove nothing."""

MOST_SIGNATURES: Final = 10
"""While a secret is being rotated a message has two; nobody makes us compute more than a few."""


def check_signature(
    body: bytes, header: str, secret: str, *, tolerance_seconds: int, now: float, name: str
) -> None:
    """Accept a body if one signature of the header fits it and its time is near `now`.

    Constant time in the signature. Raises `SignatureRefused`; `name` is the header's.
    """
    at, signatures = _parsed(header)
    if at is None or not signatures:
        raise SignatureRefused(f"{name} must be t=<unix time>,{SCHEME}=<hmac-sha256 hex>.")
    expected = hmac.digest(secret.encode(), b"%s." % at.encode() + body, "sha256").hex()
    # Every one is compared, so that the time taken does not tell which one fitted.
    fits = [
        hmac.compare_digest(expected.encode(), given.encode())
        for given in signatures[:MOST_SIGNATURES]
    ]
    if not any(fits):
        raise SignatureRefused("The signature does not fit the body.")
    if abs(now - int(at)) > tolerance_seconds:
        raise SignatureRefused(
            f"The signature is more than {tolerance_seconds} seconds away from now."
        )


def _parsed(header: str) -> tuple[str | None, list[str]]:
    """The time as it was signed, if it is one, and the signatures of our scheme."""
    parts = [part.strip().split("=", 1) for part in header.split(",") if "=" in part]
    times = [value for key, value in parts if key == "t"]
    at = times[0] if len(times) == 1 else ""
    valid = at.isascii() and at.isdigit() and len(at) < 13
    return at if valid else None, [value for key, value in parts if key == SCHEME]
