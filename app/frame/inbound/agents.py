"""Whether a request is signed by a buying agent whose key we know (Web Bot Auth, RFC 9421).

Only numbers depend on it: nobody may do more for being an agent, and nobody is refused for a
signature that does not hold. Keys are fetched elsewhere (`frame.outbound.directories`); here one
signature is verified. The body is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import http_sf
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    algorithms,
)
from starlette.datastructures import Headers
from starlette.requests import Request

from app.frame.agents import KnownAgents, directory_at
from app.frame.inbound.edge import HEAD
from app.frame.inbound.origins import here
from app.frame.platform import Platform
from telemetry.bootstrap import Telemetry
from telemetry.catalogue.frame import AGENT_SIGNATURES, AgentProof

TAG: Final = "web-bot-auth"
OLDEST_SECONDS: Final = 300
"""A signature proves nothing when it is older, however long it says it lives."""
SKEW_SECONDS: Final = 30
"""How far an agent's clock may be ahead."""
MOST_BYTES: Final = 4096
"""Of what is read of `Signature-Input`; four signatures fit."""
MOST_SIGNATURES: Final = 2
"""That are tried of one request: an agent's own, and the remote browser's that it uses."""
LONGEST_NONCE: Final = 200

PROVEN: Final = "vitrine.agent"
"""Where a request's scope keeps the answer: its nonce is spent once."""


class Agents:
    """What one service asks about its callers; each signature is counted by what came of it."""

    def __init__(self, platform: Platform, telemetry: Telemetry) -> None:
        self._known = platform.agents
        self._clock = platform.clock
        self._public_url = platform.settings.public_url
        self._signatures = telemetry.instruments.counter(AGENT_SIGNATURES)

    def prove(self, request: Request) -> bool:
        proven: bool | None = request.scope.get(PROVEN)
        if proven is None:
            proven = request.scope[PROVEN] = "signature-input" in request.headers and self._any(
                request
            )
        return proven

    def _any(self, request: Request) -> bool:
        """Whether one of its signatures holds."""
        message = _Message.of(request, self._public_url)
        now = self._clock.now().timestamp()
        try:
            signed = list(_signed(message.headers))
        except (ValueError, LookupError):
            self._signatures.inc(result="malformed")
            return False
        for one in signed[:MOST_SIGNATURES]:
            result = judged(one, message, self._known, now)
            self._signatures.inc(result=result)
            if result == "verified":
                return True
        return False


def proves_agent(request: Request) -> bool:
    """Whether a buying agent that we know has signed this request."""
    agents: Agents | None = getattr(request.app.state, "agents", None)
    return agents is not None and agents.prove(request)


@dataclass(frozen=True, slots=True)
class _Message:
    """A request as the verifier wants it."""

    method: str
    url: str
    headers: Headers

    @classmethod
    def of(cls, request: Request, public_url: str) -> _Message:
        """It was sent to where we are: what was signed for another shop does not hold here."""
        scope, host = request.scope, request.headers.get("host", "")
        origin = here(host, public_url=public_url) or f"{request.url.scheme}://{host}"
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        return cls(
            "HEAD" if HEAD in scope else request.method,
            f"{origin}{path}{'?' if query else ''}{query}",
            request.headers,
        )


@dataclass(frozen=True, slots=True)
class _Signed:
    """One signature of a request by what it says of itself."""

    label: str
    covers: list[tuple[Any, Mapping[str, Any]]]
    says: Mapping[str, Any]


def _signed(headers: Headers) -> Iterator[_Signed]:
    """Its signatures that are about who it is. Raises `ValueError` for what cannot be read."""
    found = cast(Any, http_sf.parse(_joined(headers, "signature-input"), tltype="dictionary"))
    for label, (covers, says) in found.items():
        if says.get("tag") == TAG and isinstance(covers, list):
            yield _Signed(label, covers, says)


def _joined(headers: Headers, name: str) -> bytes:
    value = ", ".join(headers.getlist(name)).encode("latin-1")
    if len(value) > MOST_BYTES:
        raise ValueError(name)
    return value


def judged(signed: _Signed, message: _Message, known: KnownAgents, now: float) -> AgentProof:
    """What came of one signature: what is cheap to see comes first, its nonce is spent last."""
    says = signed.says
    key_id, nonce, created, expires = (
        says.get(name) for name in ("keyid", "nonce", "created", "expires")
    )
    if not isinstance(key_id, str) or type(created) is not int or type(expires) is not int:
        return "incomplete"
    if not isinstance(nonce, str) or not 0 < len(nonce) <= LONGEST_NONCE:
        return "incomplete"
    address = _agent(signed, message.headers)
    if address is None or not {("@authority", ()), ("@target-uri", ())} & _names(signed):
        return "incomplete"
    if address not in known.directories:
        return "unknown_agent"
    until = min(expires, created + OLDEST_SECONDS)
    if not created - SKEW_SECONDS <= now <= until:
        return "out_of_time"
    key = known.key(address, key_id, now)
    if key is None:
        return "unknown_key"
    if not _holds(signed.label, message, key.public):
        return "forged"
    return "verified" if known.spend(key_id, nonce, now=now, until=until) else "replayed"


def _names(signed: _Signed) -> set[tuple[str, tuple[tuple[str, Any], ...]]]:
    return {(str(name), tuple(given.items())) for name, given in signed.covers}


def _agent(signed: _Signed, headers: Headers) -> str | None:
    """The directory that a signature covers: its own label's, else the only one it covers.

    The drafts before `-01` had one address in the whole field, which some agents still send.
    """
    covered = [given for name, given in signed.covers if name == "signature-agent"]
    keys = [given["key"] for given in covered if set(given) == {"key"}]
    try:
        sent = _joined(headers, "signature-agent")
        if covered == [{}]:
            found = cast(Any, http_sf.parse(sent, tltype="item"))
        elif signed.label in keys or len(keys) == 1:
            members = cast(Any, http_sf.parse(sent, tltype="dictionary"))
            found = members[signed.label if signed.label in keys else keys[0]]
        else:
            return None
    except (ValueError, LookupError):
        return None
    address, parameters = found
    return directory_at(address) if isinstance(address, str) and not parameters else None


def _holds(label: str, message: _Message, key: Ed25519PublicKey) -> bool:
    verifier = _Verifier(signature_algorithm=algorithms.ED25519, key_resolver=_One(key))
    try:
        verifier.verify(message, max_age=None, expect_tag=TAG, expect_label=label)
    except HTTPMessageSignaturesException:
        return False
    return True


class _Verifier(HTTPMessageVerifier):
    """The package's, without the machine's clock: times are judged here, by the database's."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        pass


class _One(HTTPSignatureKeyResolver):
    """Whatever it is called: the key that was looked up by name and directory."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey:
        return self._key
