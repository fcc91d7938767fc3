"""Who is calling: taken from session cookie, proofs and address, once per request."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.requests import Request

from app.frame.inbound.agents import proves_agent
from app.frame.inbound.networks import network_of
from app.frame.inbound.synthetic import HEADER, proves_synthetic
from app.frame.platform import Platform
from app.frame.sessions import COOKIE, Session
from app.kernel.facts import EventContext
from telemetry.catalogue.labels import Entry, Traffic
from telemetry.tracing import current_traceparent

CALLER: Final = "vitrine.caller"
"""Where a request's scope keeps who is calling, once somebody has found out."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One request's caller. `address_hash` is a keyed hash of the network (`networks`)."""

    session: Session | None
    traffic: Traffic
    address_hash: str
    language: str
    release: str

    @property
    def session_id(self) -> str:
        return self.session.session_id if self.session else ""

    @property
    def counted(self) -> bool:
        """Whether what it does is in the numbers of behaviour; money is always."""
        return self.session is None or self.session.counted

    def has_lasted(self, seconds: int, now: datetime) -> bool:
        """Whether it has a session, and has had it for so long."""
        return self.session is not None and now.timestamp() - self.session.started_at >= seconds

    @property
    def synthetic(self) -> bool:
        return self.traffic == "synthetic"

    def context(
        self, *, market: str = "", campaign: str = "", entry: Entry | None = None
    ) -> EventContext:
        """The context of a fact stated now; `market` wins over the session's."""
        session = self.session
        return EventContext(
            session_id=self.session_id,
            market=market or (session.market if session else ""),
            channel=session.channel if session else "api",
            device=session.device if session else "unknown",
            entry=entry or (session.entry if session else "direct"),
            campaign=campaign or (session.campaign if session else ""),
            release=self.release,
            variant=session.variant if session else "",
            visitor_id=session.visitor_id if session else "",
            traffic=self.traffic,
            traceparent=current_traceparent() or "",
        )


def caller_of(request: Request) -> Caller:
    """The caller of a request to an application that `frame.start.service` built."""
    found: Caller | None = request.scope.get(CALLER)
    if found is not None:
        return found
    platform: Platform = request.app.state.platform
    now = platform.clock.now().timestamp()
    session = platform.sessions.decode(request.cookies.get(COOKIE), now=now)
    header = request.headers.get(HEADER)
    proven = proves_synthetic(header, platform.settings.synthetic_key, now=now)
    # A session is signed by us: its traffic was decided when the storefront saw the proof, and who
    # began as a rehearsal stays one.
    traffic: Traffic = session.traffic if session else "human"
    if proven:
        traffic = "synthetic"
    elif traffic != "synthetic" and proves_agent(request):
        traffic = "agent"
    return Caller(
        session=session,
        traffic=traffic,
        address_hash=_address_hash(request, platform.settings.session_key),
        language=preferred_language(request.headers.get("accept-language", "")),
        release=platform.version,
    )


def passed_on(request: Request, *, language: str, session: str | None = None) -> dict[str, str]:
    """The headers that let a neighbour see the same caller: ours only, whatever else was sent.

    `session` is the session cookie's value when it is newer than the request's.
    """
    cookie = session or request.cookies.get(COOKIE)
    found = {
        "cookie": f"{COOKIE}={cookie}" if cookie else "",
        HEADER: request.headers.get(HEADER, ""),
        "accept-language": language,
        "x-forwarded-for": request.client.host if request.client else "",
    }
    return {name: value for name, value in found.items() if value}


def preferred_language(header: str, offered: tuple[str, ...] = ("en", "sv")) -> str:
    """The offered language that `Accept-Language` (RFC 9110) wants most; the first when none."""
    wanted: list[tuple[float, str]] = []
    for part in header[:500].split(","):
        tag, _, parameters = part.strip().partition(";")
        quality = 1.0
        if parameters.strip().startswith("q="):
            try:
                quality = float(parameters.strip()[2:])
            except ValueError:
                continue
        if not 0 < quality <= 1:
            continue  # 0 means "not this one"
        wanted.append((-quality, tag.split("-")[0].lower()))
    for _, language in sorted(wanted, key=lambda pair: pair[0]):
        if language in offered:
            return language
    return offered[0]


def _address_hash(request: Request, key: str) -> str:
    """The address itself is personal data: only a keyed hash is used, and only for limits."""
    address = network_of(request.client.host) if request.client else ""
    return hashlib.blake2b(address.encode(), key=key.encode()[:64], digest_size=12).hexdigest()
