"""Every text that the storefront can say, found where it is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from babel.messages.extract import extract_from_dir

STOREFRONT = Path(__file__).parents[2] / "app" / "storefront"
KEYWORDS = {"_": None, "gettext": None, "msg": None, "ngettext": (1, 2)}


def messages() -> Iterator[tuple[str, ...]]:
    """Message ids: one text, or singular and plural."""
    found = extract_from_dir(
        STOREFRONT,
        method_map=[("templates/**.html", "jinja2.ext:babel_extract"), ("**.py", "python")],
        options_map={"templates/**.html": {"trimmed": "false", "silent": "false"}},
        keywords=KEYWORDS,
    )
    seen = set()
    for _, _, message, _, _ in found:
        ids = message if isinstance(message, tuple) else (message,)
        if ids not in seen:
            seen.add(ids)
            yield ids
