"""What was once made in a data folder: a file that vanished or was emptied is a loss.

`<data>/made.txt` names the files, one a line. A shop that finds one of them gone does not quietly
begin anew; whoever means that deletes its line, or the whole folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from app.kernel.errors import CannotStart

RECORD: Final = "made.txt"


class Lost(CannotStart):
    """A file of this shop is gone; the sentence says which, and what may be done."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is missing or empty, and this shop has had one: restore it (docs/on-call.md,"
            f" *Restoring*). If a new one is meant, delete the line {path.name} from"
            f" {path.parent / RECORD}."
        )


def was_made(path: Path) -> bool:
    """Whether a file of this name was ever made in its folder."""
    record = path.parent / RECORD
    return record.exists() and path.name in record.read_text().splitlines()


def refuse_lost(path: Path) -> None:
    """Raises `Lost` when the file was made once and is missing or empty now."""
    if (not path.exists() or path.stat().st_size == 0) and was_made(path):
        raise Lost(path)


def remember(path: Path) -> None:
    """Note that a file was made; a second time changes nothing."""
    if not was_made(path):
        with (path.parent / RECORD).open("a") as record:
            record.write(f"{path.name}\n")
