"""What an audit found: what differs, what it could not tell, and how much it compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

MOST: Final = 1_000
"""Differences of one table that are told one by one."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be; an empty side has nothing."""

    where: str
    what: str
    ledger: str
    should_be: str


@dataclass(slots=True)
class Findings:
    """`compared` has rows by table; `unknown` a sentence for each thing that cannot be told.

    `scope` says of which part of the ledger the answer is; empty when it is all of it.
    """

    differences: list[Difference] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    scope: str = ""

    @property
    def exit_code(self) -> int:
        """1 when something differs, 2 when nothing does and not all could be told, else 0."""
        if self.differences:
            return 1
        return 2 if self.unknown else 0
