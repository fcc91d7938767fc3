"""`make env`: write `.env` for docker-compose.yml, with fresh secrets; or check the one there is.

    python -m app.frame.start.envfile [--check]

PostgreSQL and Grafana read secrets of their own: here they are held to the rule of `frame.keys`.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

from app.frame.inbound import dealers
from app.frame.keys import SECRETS, KeysMissing, faults

ROOT: Final = Path(__file__).resolve().parents[3]
_LINE: Final = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


def filled_in(example: str) -> str:
    """The example with a fresh value for every secret."""
    fresh = {secret.variable: secret.new() for secret in SECRETS}
    return _LINE.sub(lambda line: f"{line[1]}={fresh.get(line[1], line[2])}", example)


def values_in(text: str) -> dict[str, str]:
    """The variables of a file of settings, without quotes around their values."""
    return {line[1]: line[2].strip().strip("\"'") for line in _LINE.finditer(text)}


def main(arguments: list[str], folder: Path = ROOT) -> int:
    """0 when the file was written or is good; 1 when it is in the way; 2 when it is not good."""
    path = folder / ".env"
    if arguments != ["--check"] and not path.exists():
        text = filled_in((folder / ".env.example").read_text(encoding="utf-8"))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        sys.stdout.write(
            f"  Wrote {path} with fresh secrets, readable by you alone. Choose in it who takes the"
            " deposits; then: docker compose up --build\n"
        )
        return 0
    found = (
        _faults(values_in(path.read_text(encoding="utf-8")))
        if path.exists()
        else ["there is none: run `make env`"]
    )
    if found:
        sys.stderr.write(f"{path}: {'; '.join(found)}.\n")
        return 2
    if arguments == ["--check"]:
        return 0
    sys.stderr.write(f"{path} is there and its secrets are good: it is left as it is.\n")
    return 1


def _faults(values: dict[str, str]) -> list[str]:
    """Of the secrets, and of the dealers' keys where they stand here and not in a file."""
    found = faults(values, list(SECRETS))
    keys = values.get(dealers.VARIABLE, "")
    if not keys.startswith(("[", "{")):
        return found
    try:
        entries = dealers.read(keys)
    except KeysMissing as error:
        return [*found, str(error).removesuffix(".")]
    others = {secret.variable: values.get(secret.variable, "") for secret in SECRETS}
    said = dealers.faults(entries, others, strict=True)
    return [*found, *(f"{dealers.VARIABLE}, {fault}" for fault in said)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
