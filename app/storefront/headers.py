"""Headers that every answer carries: what a browser may do with our pages."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = (
    "default-src 'none'; "
    "script-src 'self'; "
    "style-src 'self'; "
    "img-src 'self' data:; "
    "font-src 'self'; "
    "connect-src 'self'; "
    "manifest-src 'self'; "
    "form-action {forms}; "
    "base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Content Security Policy: nothing inline, nothing foreign.

Browsers hold the redirect after a form to `form-action` too: the details form leads to the
provider's page, so its origin has to be named where it is not ours.
"""

HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), payment=(), usb=(), geolocation=()"),
    (b"x-frame-options", b"DENY"),
)
HSTS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class SecurityHeaders:
    """ASGI middleware.

    `https` says that browsers reach the shop by https; `payment_origin` is where the provider's
    page stands, empty when that is here.
    """

    def __init__(self, app: ASGIApp, *, https: bool, payment_origin: str = "") -> None:
        self._app = app
        policy = POLICY.format(forms=f"'self' {payment_origin}".rstrip())
        self._headers = [(b"content-security-policy", policy.encode()), *HEADERS]
        if https:
            self._headers.append(HSTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
            await send(message)

        await self._app(scope, receive, with_headers)
