"""Who says of itself that it is a program, and what kind of device asks: by the user agent.

The robots are the list of crawler-user-agents (MIT, kept by a community), which this file alone
reads; docs/decisions/0074-robots-by-a-kept-list.md says why that one, and measures it.
What says nothing of the kind is a person here; who pretends is found by what it does, not here.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from telemetry.catalogue.labels import Device

REMEMBERED: Final = 4_000
"""User agents whose answers are kept, about 3 MB when all are the longest that are read. A parse
costs a thousand times what it costs to remember."""

OVERRULED: Final = frozenset(
    {
        r"AP3A\.240617\.008",  # a build of Android: every phone with it
        "Butterfly",  # HTC's phones
        "Expanse",  # a phone
        "Fever",  # a phone
        "Fluid",  # a browser for one site, on a Mac
        "Sogou",  # a browser of China too; its robot says "spider"
        "Sonic",  # ViewSonic
        r"008\/",  # ends the name of a phone, `TS1008/1.0`
    }
)
"""Patterns of the list that also match browsers of people, by device-detector's fixtures."""

_AT_ONCE: Final = 25
"""Patterns in one expression: more make Python's matcher slower, not faster."""

_DECLARED: Final = re.compile(r"\+ ?https?:|(?:bot|crawler|spider)[/;]", re.IGNORECASE)
"""How robots that nobody has listed introduce themselves: a page about them after a plus, or a
product's name that ends so, `NewBot/1.0`. A phone's name (`CUBOT J9`) has neither."""

_TABLETS: Final = re.compile(r"ipad|tablet|kindle|silk/|android(?!.*mobile)", re.IGNORECASE)
_PHONES: Final = re.compile(r"mobi|iphone|ipod|android", re.IGNORECASE)
_DESKTOPS: Final = re.compile(r"windows|macintosh|x11|cros", re.IGNORECASE)


def _patterns() -> list[str]:
    # From its file: imported, the package reads that in the locale's encoding, and fails on ASCII.
    file = distribution("crawler-user-agents").locate_file(
        "crawleruseragents/crawler-user-agents.json"
    )
    return [each["pattern"] for each in json.loads(Path(str(file)).read_text(encoding="utf-8"))]


def _in_parts() -> tuple[re.Pattern[str], ...]:
    kept = [pattern for pattern in _patterns() if pattern not in OVERRULED]
    parts = (kept[start : start + _AT_ONCE] for start in range(0, len(kept), _AT_ONCE))
    return tuple(re.compile("|".join(part)) for part in parts)


_LISTED: Final = _in_parts()


@lru_cache(maxsize=REMEMBERED)
def declares_itself(user_agent: str) -> bool:
    """Whether a program says that it is one."""
    if _DECLARED.search(user_agent):
        return True
    return any(pattern.search(user_agent) for pattern in _LISTED)


@lru_cache(maxsize=REMEMBERED)
def device_of(user_agent: str) -> Device:
    """The class of a device from its user agent; `unknown` without a browser's words."""
    if _TABLETS.search(user_agent):
        return "tablet"
    if _PHONES.search(user_agent):
        return "phone"
    return "desktop" if _DESKTOPS.search(user_agent) else "unknown"
