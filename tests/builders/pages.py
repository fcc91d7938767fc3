"""What a Markdown page shows as code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

FENCED: Final = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def code_in(text: str) -> Iterator[str]:
    """Its blocks line by line, then its spans; drawings are no code."""
    for language, block in FENCED.findall(text):
        if language != "mermaid":
            yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", FENCED.sub("", text))
