"""Secrets: one table of them with the rule that production holds them to.

They come from the environment. In development those that are missing are made once and kept beside
the data; production refuses what is missing, published, short or used twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.fernet import Fernet, MultiFernet

from app.frame.settings import PlatformSettings
from app.kernel.errors import CannotStart
from app.kernel.ids import new_secret
from telemetry.catalogue.labels import SERVICES

PREFIX: Final = "VITRINE_"
KEY: Final = 24
PASSWORD: Final = 12
FEWEST_CHARACTERS: Final = 6
"""Different ones, below which a secret repeats itself."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret: which services read it, and its least length in characters.

    `fernet` is a list of Fernet keys. An `optional` one may be empty. A secret that no service
    reads is another program's (PostgreSQL, Grafana).
    """

    variable: str
    users: tuple[str, ...] = ()
    least: int = KEY
    fernet: bool = False
    optional: bool = False

    @property
    def field(self) -> str:
        """Its name in `PlatformSettings`; only a variable with our common prefix has one."""
        return self.variable.removeprefix(PREFIX).lower()

    def new(self) -> str:
        """A fresh value."""
        if self.fernet:
            return Fernet.generate_key().decode()
        return new_secret()[:16] if self.least == PASSWORD else new_secret()


SECRETS: Final = (
    Secret("VITRINE_SESSION_KEY", SERVICES),
    Secret("VITRINE_SYNTHETIC_KEY", SERVICES),
    Secret("VITRINE_DEALER_KEY", ("catalog", "checkout")),
    Secret("VITRINE_DELIVERY_KEY", ("insight",)),
    Secret("VITRINE_REPORT_KEY", ("insight",)),
    Secret("VITRINE_ALERT_KEY", ("insight",)),
    Secret("VITRINE_PAYMENT_KEY", ("checkout", "sandbox")),
    Secret("VITRINE_WEBHOOK_SECRET", ("checkout", "sandbox")),
    Secret("VITRINE_CUSTOMER_KEY", ("checkout",), fernet=True),
    Secret("VITRINE_CUSTOMER_INDEX_KEY", ("checkout",), optional=True),
    Secret("VITRINE_CONSOLE_PASSWORD", ("insight",), least=PASSWORD),
    Secret("GRAFANA_PASSWORD", least=PASSWORD),
    Secret("POSTGRES_PASSWORD", least=PASSWORD),
    Secret("COLLECTOR_DATABASE_PASSWORD", least=PASSWORD),
    *(Secret(f"{name.upper()}_DATABASE_PASSWORD", least=PASSWORD) for name in SERVICES),
)


OPERATOR: Final = "operator"
"""Who asks on the internal port and is none of the services."""


def internal_key(session_key: str, name: str) -> str:
    """What opens the internal port to a service, or to the operator, by its name."""
    said = f"internal {name}".encode()
    return hmac.new(session_key.encode(), said, hashlib.sha256).hexdigest()


class KeysMissing(CannotStart):
    """A secret that is needed is missing or cannot be used."""


def secrets_of(service: str = "") -> list[Secret]:
    """What a service reads; without a name, what all of them read together."""
    return [each for each in SECRETS if (service in each.users if service else each.users)]


def faults(values: Mapping[str, str], secrets: list[Secret]) -> list[str]:
    """Why production cannot be run with these values, by variable; never a value itself."""
    found = []
    seen: dict[str, str] = {}
    for secret in secrets:
        value = values.get(secret.variable, "")
        if secret.optional and not value:
            continue
        weakness = fault(secret, value)
        if weakness:
            found.append(f"{secret.variable} {weakness}")
        elif (first := seen.setdefault(value.strip(), secret.variable)) != secret.variable:
            found.append(f"{secret.variable} equals {first}")
    return found


def fault(secret: Secret, value: str) -> str | None:
    """Why production cannot be run with a value, as the rest of a sentence; None when it can."""
    text = value.strip()
    if not text:
        return "is not set"
    parts = [part.strip() for part in text.split(",")] if secret.fernet else [text]
    if any(_published(part) for part in parts):
        return "is an example's value"
    if len(text) < secret.least:
        return f"is shorter than {secret.least} characters"
    if len(set(text)) < FEWEST_CHARACTERS:
        return "repeats itself"
    return None


def _published(text: str) -> bool:
    """An example, as it stands or in base64: 32 random bytes are never readable text."""
    if text.casefold().startswith("change-me"):
        return True
    try:
        decoded = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(decoded) >= KEY and decoded.isascii() and decoded.decode().isprintable()


def with_keys(settings: PlatformSettings, service: str = "") -> PlatformSettings:
    """The settings with every secret of a service (of all) filled in.

    In production all must be good: raises `KeysMissing`, naming the variables. Elsewhere missing
    ones are generated once into `<data>/keys.json` (mode 0600), so that sessions and encrypted
    rows survive a restart. Raises ValueError when that file is damaged.
    """
    secrets = secrets_of(service)
    filled = _filled(settings, secrets)
    if any(secret.fernet for secret in secrets):
        try:
            MultiFernet([Fernet(key.strip()) for key in filled.customer_key.split(",")])
        except ValueError as error:
            raise KeysMissing(
                "VITRINE_CUSTOMER_KEY is not a Fernet key (32 bytes in URL-safe base64; several,"
                " newest first, are separated by commas)."
            ) from error
    return filled


def _filled(settings: PlatformSettings, secrets: list[Secret]) -> PlatformSettings:
    if settings.environment == "production":
        values = {secret.variable: getattr(settings, secret.field) for secret in secrets}
        found = faults(values, secrets)
        if found:
            raise KeysMissing(
                f"production refuses these secrets: {'; '.join(found)}. `make env` writes a .env"
                " with fresh ones."
            )
        return settings
    missing = [
        secret for secret in secrets if not (secret.optional or getattr(settings, secret.field))
    ]
    if not missing:
        return settings
    path = settings.data / "keys.json"
    kept: Any = orjson.loads(path.read_bytes()) if path.exists() else {}
    if not isinstance(kept, dict) or not all(isinstance(key, str) for key in kept.values()):
        raise ValueError("it is not an object of texts")
    fresh = {secret.field: secret.new() for secret in missing if not kept.get(secret.field)}
    kept |= fresh
    if fresh:
        _write(path, kept)
    return settings.model_copy(update={secret.field: kept[secret.field] for secret in missing})


def refuse_weak_password(service: str, password: str | None) -> None:
    """In production, before a database is opened. None: the server asks for none."""
    variable = f"{service.upper()}_DATABASE_PASSWORD"
    secret = next(each for each in SECRETS if each.variable == variable)
    weakness = None if password is None else fault(secret, password)
    if weakness:
        raise KeysMissing(
            f"the password in {service.upper()}_DATABASE_URL {weakness}: change it for the role in"
            " PostgreSQL and in the address."
        )


def _write(path: Path, keys: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(keys, option=orjson.OPT_INDENT_2))
    fresh.replace(path)
