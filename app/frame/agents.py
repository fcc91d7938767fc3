"""Buying agents that prove themselves: which are known, by what keys, and what each has spent.

Web Bot Auth (draft-ietf-webbotauth-httpsig-protocol): an agent signs its requests with a key that
its directory publishes, a JSON Web Key Set. It is known by that directory's address. Only an
operator names directories; a key counts for the directory that it was read from and no other.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.frame.settings import PlatformSettings, WrongSetting

WELL_KNOWN: Final = "/.well-known/http-message-signatures-directory"
MOST_KEYS: Final = 32
"""Keys of one directory; a rotation needs two."""
MOST_SPENT: Final = 50_000
"""Nonces that are remembered, of five minutes at most; some megabytes."""

PUBLISHED: Final = frozenset({"poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U"})
"""Keys whose private half everybody has: the example of RFC 9421, appendix B.1.4."""

_ALGORITHMS: Final = frozenset({None, "EdDSA", "Ed25519", "ed25519"})
_PORTS: Final = {"https": 443, "http": 80}


class NoDirectory(ValueError):
    """What was read is no key directory; the text says why."""


@dataclass(frozen=True, slots=True)
class AgentKey:
    """A public key and when it may be used: Unix seconds."""

    public: Ed25519PublicKey
    not_before: float = 0.0
    expires_at: float = math.inf


def directory_at(url: str) -> str | None:
    """The address of the directory that a URL names, in one spelling; None when it names none.

    An origin alone means its well-known address, as the drafts before `-01` had it. Queries are no
    part of what tells directories apart.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host or parts.username is not None or not host.isascii():
        return None
    shown = f"[{host}]" if ":" in host else host
    port = None if port == _PORTS[parts.scheme] else port
    path = WELL_KNOWN if parts.path in {"", "/"} else parts.path
    return f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}{path}"


def read_directory(document: bytes) -> dict[str, AgentKey]:
    """The Ed25519 signing keys of a directory, by their thumbprint (RFC 7638, RFC 8037 A.3).

    Keys of other kinds are left out, so are those that everybody has. Raises `NoDirectory`.
    """
    try:
        keys = orjson.loads(document)["keys"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise NoDirectory("it is no JSON Web Key Set") from None
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise NoDirectory(f"`keys` is a list of at most {MOST_KEYS}")
    found = [_read_key(key) for key in keys if isinstance(key, dict)]
    return dict(each for each in found if each is not None and each[0] not in PUBLISHED)


def _read_key(key: Mapping[str, Any]) -> tuple[str, AgentKey] | None:
    kind = key.get("kty"), key.get("crv"), key.get("use", "sig")
    if kind != ("OKP", "Ed25519", "sig") or key.get("alg") not in _ALGORITHMS:
        return None
    written = key.get("x")
    times = key.get("nbf", 0), key.get("exp", math.inf)
    if not isinstance(written, str) or not all(type(each) in {int, float} for each in times):
        return None
    try:
        raw = base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))
        public = Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        return None
    return thumbprint(raw), AgentKey(public, *map(float, times))


def thumbprint(public: bytes) -> str:
    """By what name a signature calls an Ed25519 key of these 32 bytes (`keyid`)."""
    named = b'{"crv":"Ed25519","kty":"OKP","x":"%s"}' % _base64url(public)
    return _base64url(hashlib.sha256(named).digest()).decode()


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


class KnownAgents:
    """The agents whose directories an operator has named, as this process knows them.

    Raises `WrongSetting` for what is no address of a directory.
    """

    def __init__(self, settings: PlatformSettings) -> None:
        self.directories: Final = tuple(_named(settings))
        self._keys: dict[str, Mapping[str, AgentKey]] = {}
        self._spent: dict[tuple[str, str], float] = {}
        """When each nonce of a key is of no use any more: Unix seconds."""

    def learn(self, directory: str, keys: Mapping[str, AgentKey]) -> None:
        """From now on these are the directory's keys."""
        self._keys[directory] = dict(keys)

    def key(self, directory: str, key_id: str, now: float) -> AgentKey | None:
        """A key of a directory that may be used now."""
        key = self._keys.get(directory, {}).get(key_id)
        return key if key is not None and key.not_before <= now < key.expires_at else None

    def spend(self, key_id: str, nonce: str, *, now: float, until: float) -> bool:
        """Use a nonce, which is then taken `until` its signature is too old.

        False when it was used before, or when there is no room to remember it.
        """
        if len(self._spent) >= MOST_SPENT:
            self._spent = {each: end for each, end in self._spent.items() if end >= now}
        spent = (key_id, nonce)
        if self._spent.get(spent, -math.inf) >= now or len(self._spent) >= MOST_SPENT:
            return False
        self._spent[spent] = until
        return True


def _named(settings: PlatformSettings) -> list[str]:
    practice = settings.agent_directories_private
    if practice and settings.environment == "production":
        raise WrongSetting("VITRINE_AGENT_DIRECTORIES_PRIVATE: is for tests, not for production")
    named = [each.strip() for each in settings.agent_directories.split(",") if each.strip()]
    found = [directory_at(each) for each in named]
    for each, directory in zip(named, found, strict=True):
        if directory is None or not (directory.startswith("https:") or practice):
            raise WrongSetting(
                f"VITRINE_AGENT_DIRECTORIES: {each!r} must begin with https:// and name a host"
            )
    return [directory for directory in dict.fromkeys(found) if directory is not None]
