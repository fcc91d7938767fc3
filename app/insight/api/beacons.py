"""What a shopper's browser tells: checked, bounded, and turned into facts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from app.contracts.events import BrowserCrashed, PageViewed, VitalName, WebVitalMeasured
from app.contracts.wire import Wire
from app.kernel.facts import Fact

MAX_EVENTS: Final = 50
"""Beacons of one request; a page sends a handful."""

LIMITS: Final[Mapping[VitalName, float]] = {
    "LCP": 120.0,
    "INP": 60.0,
    "CLS": 100.0,
    "FCP": 120.0,
    "TTFB": 120.0,
}
"""Above these a measurement is broken, not slow: seconds, but for CLS, which is a score."""

PAGES: Final = {
    "": "home",
    "cars": "cars",
    "car": "car",
    "advisor": "advisor",
    "matches": "matches",
    "checkout": "checkout",
    "holds": "checkout",
    "details": "checkout",
    "orders": "confirmation",
    "confirmation": "confirmation",
}
"""First segment of a path, after a language or market, to the kind of page."""

Path = Annotated[str, Field(max_length=500)]


class WebVital(Wire):
    """One measurement of the web-vitals library: milliseconds, or a score for CLS."""

    type: Literal["browser.web_vital"]
    name: VitalName
    value: float
    path: Path = ""


class Crash(Wire):
    """An error that broke the page; its message is never sent, it may quote the shopper."""

    type: Literal["browser.crash"]
    path: Path = ""


class PageView(Wire):
    type: Literal["page_view"]
    path: Path = ""


Beacon = Annotated[WebVital | Crash | PageView, Field(discriminator="type")]
_BEACON: Final[TypeAdapter[WebVital | Crash | PageView]] = TypeAdapter(Beacon)


class Envelope(Wire):
    """A request of the browser: each beacon is judged by itself."""

    events: Annotated[list[dict[str, Any]], Field(max_length=MAX_EVENTS)]


@dataclass(frozen=True, slots=True)
class Heard:
    """Facts of what could be used, and how many beacons could not."""

    facts: tuple[Fact, ...]
    accepted: int
    rejected: int
    repeated: int = 0
    """Of the accepted: measurements that a page view has told before."""


def heard(
    events: Sequence[dict[str, Any]],
    *,
    session_id: str,
    release: str,
    first: Callable[[str], bool] = lambda _: True,
) -> Heard:
    """Judge a session's beacons.

    `first` tells whether a measurement of a page (`LCP /se/en/cars`) is its view's first.
    """
    facts: list[Fact] = []
    rejected = repeated = 0
    for raw in events:
        try:
            beacon = _BEACON.validate_python(raw)
        except ValidationError:
            rejected += 1
            continue
        if isinstance(beacon, WebVital):
            if not _plausible(beacon):
                rejected += 1
            elif first(f"{beacon.name} {beacon.path}"):
                facts.append(_vital(beacon))
            else:
                repeated += 1
        elif isinstance(beacon, Crash):
            facts.append(BrowserCrashed(release=release, session_id=session_id))
        else:
            facts.append(PageViewed(page=page_of(beacon.path)))
    return Heard(tuple(facts), len(events) - rejected, rejected, repeated)


def page_of(path: str) -> str:
    """The closed name of a page: `/sv/cars/car_01` is a `car`, `/anything/else` is `other`."""
    parts = [part for part in path.split("?", maxsplit=1)[0].split("/") if part]
    while parts and len(parts[0]) == 2 and parts[0].isalpha():
        parts = parts[1:]
    if len(parts) > 1 and parts[0] == "cars":
        return "car"
    return PAGES.get(parts[0] if parts else "", "other")


def _plausible(beacon: WebVital) -> bool:
    return math.isfinite(beacon.value) and 0 <= _base_unit(beacon) <= LIMITS[beacon.name]


def _vital(beacon: WebVital) -> WebVitalMeasured:
    return WebVitalMeasured(
        name=beacon.name,
        value=_base_unit(beacon),
        page=page_of(beacon.path),
    )


def _base_unit(beacon: WebVital) -> float:
    return beacon.value if beacon.name == "CLS" else beacon.value / 1000
