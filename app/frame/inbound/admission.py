"""Who may be connected at once, and how long anything may take that a caller keeps open."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from app.frame.inbound.networks import network_of

SPARE: Final = 50
"""Connections over a limit that are still told so; those beyond are ended without a word."""

TOLD_EVERY: Final = 1000
"""The first refused connection is logged, and then each so-manyth."""

_log = logging.getLogger("uvicorn.error")


class Entry(Enum):
    """What a new connection meets."""

    ADMITTED = "admitted"
    NETWORK_FULL = "network-full"
    HOUSE_FULL = "house-full"
    ENDED = "ended"


@dataclass(slots=True)
class Admission:
    """The rules of one port, and who is there.

    A caller is what `networks` counts by. Who is `for_many` (a trusted proxy, a forwarder on this
    machine) speaks for many callers: only `most` is for them. The times are in seconds:
    `head_seconds` from the last answer (or from the beginning) to the end of the next request's
    headers, `unread_seconds` for an answer to be read, once the system's own buffers are full.
    """

    most: int = 10_000
    most_of_one: int = 100
    for_many: Callable[[str], bool] = lambda _: False
    head_seconds: int = 10
    unread_seconds: int = 30
    _here: int = 0
    _by_network: Counter[str] = field(default_factory=Counter)
    _refused: int = 0

    def enter(self, address: str) -> Entry:
        """Count one connection in, whatever becomes of it; `leave` counts it out."""
        network = network_of(address)
        self._here += 1
        self._by_network[network] += 1
        over = self._here - self.most
        full = Entry.HOUSE_FULL
        if over <= 0 and not self.for_many(address):
            over = self._by_network[network] - self.most_of_one
            full = Entry.NETWORK_FULL
        if over <= 0:
            return Entry.ADMITTED
        if self._refused % TOLD_EVERY == 0:
            _log.warning("connections are refused: %s, %s so far", full.value, self._refused + 1)
        self._refused += 1
        return full if over <= SPARE else Entry.ENDED

    def leave(self, address: str) -> None:
        network = network_of(address)
        self._here -= 1
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]
