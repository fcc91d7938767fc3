"""Turning fault flags in the flagd file that the services watch, and turning them back, always."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FlagValue = float | bool

FAULT_VARIANT = "drill"


class FlagsUnreadable(Exception):
    """The flags file is not there or not in flagd's format; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something to break: flag keys with the values that break it; `name` for the report."""

    name: str
    description: str
    flags: Mapping[str, FlagValue]


def turn(path: Path, flags: Mapping[str, FlagValue]) -> dict[str, str]:
    """Set each flag to a value of a variant of its own; the default variants as they were.

    Readers see the old file or the new one, never half of one.

    Raises:
        FlagsUnreadable: the file is not a flagd document.
    """
    document = _read(path)
    before: dict[str, str] = {}
    for key, value in flags.items():
        flag = document["flags"].setdefault(
            key, {"state": "ENABLED", "variants": {"rest": type(value)()}, "defaultVariant": "rest"}
        )
        if flag["defaultVariant"] == FAULT_VARIANT:
            # A drill that was killed with -9 left it: what it was before is the other variant.
            others = [name for name in flag["variants"] if name != FAULT_VARIANT]
            flag["defaultVariant"] = others[0]
        before[key] = flag["defaultVariant"]
        flag["variants"][FAULT_VARIANT] = value
        flag["defaultVariant"] = FAULT_VARIANT
    _replace(path, document)
    return before


def turn_back(path: Path, before: Mapping[str, str]) -> None:
    """Give each flag its earlier default variant and forget the fault's."""
    document = _read(path)
    for key, variant in before.items():
        flag = document["flags"][key]
        flag["defaultVariant"] = variant
        flag["variants"].pop(FAULT_VARIANT, None)
    _replace(path, document)


@contextlib.contextmanager
def injected(path: Path, fault: Fault) -> Iterator[None]:
    """The fault, for as long as the block runs; lifted however the block ends."""
    before = turn(path, fault.flags)
    try:
        yield
    finally:
        turn_back(path, before)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FlagsUnreadable(f"{path}: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("flags"), dict):
        raise FlagsUnreadable(f"{path}: no `flags` object")
    return document


def _replace(path: Path, document: Mapping[str, Any]) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
        # mkstemp makes it ours alone, but the services may run as another user.
        fresh.chmod(0o644)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
