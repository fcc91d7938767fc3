"""Runbooks as pages: the Markdown beside the alert rules, rendered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

from app.kernel.errors import NotFound

NAME: Final = re.compile(r"[A-Za-z0-9_]{1,80}")
# Raw HTML stays text: a runbook is our own, but a page that trusts files trusts one more thing.
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False, "typographer": True}).enable("table")


@dataclass(frozen=True, slots=True)
class Runbook:
    """`html` is the body without the first heading, which is `title`."""

    name: str
    title: str
    html: str


def runbook_names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.md")) if folder.is_dir() else []


def read_runbook(folder: Path, name: str) -> Runbook:
    """Raises `NotFound` when no alert of this name has a runbook."""
    path = folder / f"{name}.md"
    if not NAME.fullmatch(name) or not path.is_file():
        raise NotFound(f"there is no runbook called {name[:80]!r}")
    text = path.read_text(encoding="utf-8")
    first, _, rest = text.lstrip().partition("\n")
    if first.startswith("# "):
        return Runbook(name, first.removeprefix("# ").strip(), _MARKDOWN.render(rest))
    return Runbook(name, name, _MARKDOWN.render(text))
