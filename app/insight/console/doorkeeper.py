"""Who may see the console: one password, a signed cookie, patience with nobody who guesses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.insight.console.errors import TooManyLogins
from app.insight.console.logins import EndedLogins
from app.kernel.clock import Clock

USER: Final = "console"
COOKIE: Final = "vitrine_console"
"""Reached by https only it is `__Host-vitrine_console`: no other host and no http can set it."""
COOKIE_SECONDS: Final = 12 * 3600
FREE_FAILURES: Final = 5
"""Wrong passwords of one address that cost nothing but the delay."""

LOCK_SECONDS: Final = 60.0
"""The first lock; each further failure doubles it."""

MAX_LOCK_SECONDS: Final = 3600.0
REMEMBERED: Final = 5_000
"""Addresses kept; the oldest are forgotten first, so that memory stays bounded."""


@dataclass(frozen=True, slots=True)
class _Login:
    """`expires` is in Unix seconds."""

    login_id: str
    expires: int


class Doorkeeper:
    """Checks passwords and cookies.

    Failures are counted per address and process: with n processes somebody gets n times five
    guesses a minute, still nothing against a random password.
    """

    def __init__(
        self, password: str, key: str, clock: Clock, ended: EndedLogins, *, secure: bool
    ) -> None:
        self._password = password.encode()
        # A changed password ends every session, because it is part of what signs them.
        self._key = hashlib.sha256(f"console:{key}:{password}".encode()).digest()
        self._clock = clock
        self._ended = ended
        self.secure = secure
        """Whether the shop is reached by https only."""
        self.cookie_name = f"__Host-{COOKIE}" if secure else COOKIE
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def admit(self, password: str, address: str) -> bool:
        """Whether the password is right; raises `TooManyLogins` while the address is locked.

        While locked, even the right password is refused: otherwise the lock would tell a guesser
        when he has found it.
        """
        now = self._now()
        failures, until = self._failures.get(address, (0, 0.0))
        if now < until:
            raise TooManyLogins(
                "Too many wrong passwords from your address; wait a little.",
                retry_after_seconds=max(1, round(until - now)),
            )
        if self._password and hmac.compare_digest(password.encode(), self._password):
            self._failures.pop(address, None)
            return True
        failures += 1
        locked = 0.0
        if failures >= FREE_FAILURES:
            locked = min(LOCK_SECONDS * 2 ** (failures - FREE_FAILURES), MAX_LOCK_SECONDS)
        self._failures[address] = (failures, now + locked)
        self._failures.move_to_end(address)
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)
        return False

    def cookie(self) -> str:
        """A cookie's value, good for twelve hours or until its login is ended."""
        said = f"{int(self._now()) + COOKIE_SECONDS}.{secrets.token_hex(8)}"
        return f"{said}.{self._signature(said)}"

    async def knows(self, cookies: Mapping[str, str]) -> bool:
        """Whether a request brings a cookie that is ours and neither expired nor was ended."""
        login = self._login(cookies)
        return login is not None and not await self._ended.has_ended(login.login_id)

    async def end(self, cookies: Mapping[str, str]) -> None:
        """End the login of a request's cookie, wherever else the cookie is kept."""
        login = self._login(cookies)
        if login is not None:
            now = self._clock.now()
            await self._ended.end(login.login_id, expires=login.expires, now=now)

    def _login(self, cookies: Mapping[str, str]) -> _Login | None:
        """What a cookie of ours says while it has not expired."""
        said, _, signature = cookies.get(self.cookie_name, "").rpartition(".")
        if not hmac.compare_digest(self._signature(said).encode(), signature.encode()):
            return None
        expires, _, login_id = said.partition(".")
        login = _Login(login_id, int(expires))
        return login if login_id and login.expires > self._now() else None

    def admit_header(self, authorization: str | None, address: str) -> bool:
        """HTTP Basic (RFC 7617) for scripts: user `console`."""
        scheme, _, encoded = (authorization or "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:  # not base64, not UTF-8, not even ASCII
            return False
        return self.admit(password, address) and user == USER

    def _signature(self, said: str) -> str:
        return hmac.new(self._key, said.encode(), hashlib.sha256).hexdigest()

    def _now(self) -> float:
        return self._clock.now().timestamp()
