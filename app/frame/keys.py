"""Secret keys: given by the environment, or made once and kept beside the data in development."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.fernet import Fernet, MultiFernet

from app.frame.settings import PlatformSettings
from app.kernel.errors import CannotStart
from app.kernel.ids import new_secret

NAMES: Final = (
    "session_key",
    "synthetic_key",
    "dealer_key",
    "delivery_key",
    "report_key",
    "payment_key",
    "webhook_secret",
    "customer_key",
    "console_password",
)


class KeysMissing(CannotStart):
    """A secret that is needed is missing or cannot be used."""


def with_keys(settings: PlatformSettings) -> PlatformSettings:
    """The settings with every secret filled in.

    In production all must be set: raises `KeysMissing` naming the variables. Elsewhere missing
    ones are generated once into `<data>/keys.json` (mode 0600), so that sessions and encrypted
    rows survive a restart. Raises ValueError when that file is damaged.
    """
    filled = _filled(settings)
    try:
        MultiFernet([Fernet(key.strip()) for key in filled.customer_key.split(",")])
    except ValueError as error:
        raise KeysMissing(
            "VITRINE_CUSTOMER_KEY is not a Fernet key (32 bytes in URL-safe base64; several,"
            " newest first, are separated by commas)."
        ) from error
    return filled


def _filled(settings: PlatformSettings) -> PlatformSettings:
    missing = [name for name in NAMES if not getattr(settings, name)]
    if not missing:
        return settings
    if settings.environment == "production":
        names = ", ".join(f"VITRINE_{name.upper()}" for name in missing)
        raise KeysMissing(f"production needs these secrets set: {names}")
    path = settings.data / "keys.json"
    kept: Any = orjson.loads(path.read_bytes()) if path.exists() else {}
    if not isinstance(kept, dict) or not all(isinstance(key, str) for key in kept.values()):
        raise ValueError("it is not an object of texts")
    fresh = {name: _new_key(name) for name in missing if not kept.get(name)}
    kept |= fresh
    if fresh:
        _write(path, kept)
    return settings.model_copy(update={name: kept[name] for name in missing})


def _new_key(name: str) -> str:
    if name == "customer_key":
        return Fernet.generate_key().decode()
    return new_secret()[:16] if name == "console_password" else new_secret()


def _write(path: Path, keys: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(keys, option=orjson.OPT_INDENT_2))
    fresh.replace(path)
