"""What a batch changes in the books: entries that begin to count, and those that no longer do.

The first entry of a subject and measure adds to the exported counter. Any later change is a
restatement: counters cannot go down, so what moved stands beside them, and

    what the entries add up to = counter + restated up - restated down

for every exported number. An entry that no longer counts stays, with the moment until when it did.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, get_args

from app.insight.ledger.accounts import Cell, Entry, cells_of
from app.insight.ledger.books import Books
from app.insight.ledger.entries import entries_of

Direction = Literal["up", "down", "gone"]
Reason = Literal["late", "late_payment", "return", "suspect", "claim", "rules"]
"""Why a number moved: facts told late, money that came after the end, a sale that was lost, visits
found out to be a program's, a campaign that was claimed, and a new definition."""

FIRST: Final = "first"
"""Reason of an entry that restates nothing."""

REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


class Opened(NamedTuple):
    """An entry that counts from now on, and why."""

    subject: str
    entry: Entry
    reason: str


class Ended(NamedTuple):
    """An entry that no longer counts, and why."""

    subject: str
    measure: str
    reason: str


class Restated(NamedTuple):
    """A number that moved after it had been counted."""

    cell: Cell
    direction: Direction
    reason: str


@dataclass(slots=True)
class Changes:
    """What one batch does to entries and exported numbers."""

    opened: list[Opened] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    counted: Counter[Cell] = field(default_factory=Counter)
    restated: Counter[Restated] = field(default_factory=Counter)

    def add(
        self, subject: str, before: dict[str, Entry], after: dict[str, Entry], why: str
    ) -> None:
        """What makes `after` of `before`."""
        for measure, entry in after.items():
            old = before.get(measure)
            if old is None:
                self.opened.append(Opened(subject, entry, FIRST))
                for cell, amount in cells_of(entry):
                    self.counted[cell] += amount
            elif old != entry:
                self.ended.append(Ended(subject, measure, why))
                self.opened.append(Opened(subject, entry, why))
                self._restate(old, entry, why)
        for measure, old in before.items():
            if measure not in after:
                self.ended.append(Ended(subject, measure, why))
                self._restate(old, None, why)

    def _restate(self, old: Entry, new: Entry | None, why: str) -> None:
        moved = Counter(dict(cells_of(new))) if new is not None else Counter[Cell]()
        moved.subtract(dict(cells_of(old)))
        self.restated.update(moved_by(moved, why))


def moved_by(moved: Counter[Cell], why: str) -> Counter[Restated]:
    """What a difference of numbers restates, each up or down."""
    return Counter(
        {
            Restated(cell, "up" if amount > 0 else "down", why): abs(amount)
            for cell, amount in moved.items()
            if amount
        }
    )


def changes(books: Books) -> Changes:
    """What has changed since the pages were loaded, or since this was asked before."""
    found = Changes()
    for pages in (books.sessions, books.checkouts, books.orders):
        for subject, page in pages.items():
            before, after = books.standing.get(subject, {}), entries_of(page)
            if before != after:
                found.add(subject, before, after, books.why.get(subject, "late"))
                books.standing[subject] = after
    for (subject, measure), entry in books.single.items():
        found.add(subject, {}, {measure: entry}, FIRST)
    books.single.clear()
    books.why.clear()
    return found
