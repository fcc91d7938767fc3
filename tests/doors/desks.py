"""An operator's desk: the commands of the documents are typed there as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from rigs.postgres import ROLE, SERVER
from rigs.shop import ROOT
from tests.builders.pages import code_in
from tests.doors.houses import House

NAMED: Final = "checkout"
"""The service by which documents show what is done for each of them."""


def commands(document: Path, beginning: str) -> list[str]:
    """What a document has one type that begins so, each once and in its order."""
    begins = re.compile(rf"{re.escape(beginning)}\b")
    shown = code_in(document.read_text(encoding="utf-8"))
    return list(dict.fromkeys(each for each in shown if begins.match(each)))


class Desk:
    """A folder like the project's: its code, `var/data` of a house, and `backup`."""

    def __init__(self, house: House, folder: Path) -> None:
        self._house = house
        self._folder = folder
        for made in ("var", "backup"):
            (folder / made).mkdir(parents=True)
        for name in ("app", "deploy", "telemetry"):
            (folder / name).symlink_to(ROOT / name)
        if house.postgres is None:
            data = house.environment(NAMED)["VITRINE_DATA"]
            (folder / "var" / "data").symlink_to(data)

    def type(
        self, document: Path, beginning: str, *, service: str = NAMED
    ) -> list[subprocess.CompletedProcess[str]]:
        """Each command of a document that begins so, for this service; what each said."""
        found = commands(document, beginning)
        assert found, f"{document.name} has no command that begins with {beginning!r}"
        return [self.run(each.replace(NAMED, service), service=service) for each in found]

    def run(self, command: str, *, service: str) -> subprocess.CompletedProcess[str]:
        """A line, with the service's environment, as a shell reads it."""
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self._folder,
            env={**self._house.environment(service), **self._way()},
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def _way(self) -> dict[str, str]:
        """Where programs and servers are: what an operator's own environment says."""
        path = [str(Path(sys.executable).parent)]
        if self._house.postgres is None:
            port = self._house.internal(NAMED).rpartition(":")[2]
            told = {"VITRINE_INTERNAL_PORT": port, "SANDBOX_URL": self._house.url}
        else:
            path.append(str(SERVER.require().parent))
            port = str(self._house.postgres.port)
            told = {"PGHOST": "127.0.0.1", "PGPORT": port, "PGUSER": ROLE}
        return {**told, "PATH": os.pathsep.join([*path, os.environ["PATH"]])}
