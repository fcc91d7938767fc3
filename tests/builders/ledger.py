"""The ledger's books in memory, told facts batch by batch as the projection tells them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.insight.ledger.accounts import Cell, Entry
from app.insight.ledger.booking import Booked, book_all, close
from app.insight.ledger.books import Books
from app.insight.ledger.changes import Restated, changes
from app.insight.ledger.entries import entries_of
from app.kernel.facts import Event


@dataclass
class Ledger:
    """`counted` is what counters show, `restated` what moved of it since."""

    books: Books = field(default_factory=Books)
    counted: Counter[Cell] = field(default_factory=Counter)
    restated: Counter[Restated] = field(default_factory=Counter)
    singles: dict[tuple[str, str], Entry] = field(default_factory=dict)

    def tell(self, events: Sequence[Event]) -> list[Booked]:
        booked = book_all(events, self.books)
        self._settle()
        return booked

    def close(self, session_id: str, at: datetime) -> None:
        close(session_id, at, self.books)
        self._settle()

    def _settle(self) -> None:
        self.singles |= self.books.single
        found = changes(self.books)
        self.counted += found.counted
        self.restated += found.restated

    @property
    def cells(self) -> Counter[Cell]:
        """What a report shows: the counters, and what was restated of them."""
        found = Counter(self.counted)
        for moved, amount in self.restated.items():
            found[moved.cell] += amount if moved.direction == "up" else -amount
        return Counter({cell: value for cell, value in found.items() if value})

    @property
    def entries(self) -> dict[tuple[str, str], Entry]:
        """Every entry that counts, by subject and measure."""
        books = self.books
        found = dict(self.singles)
        for pages in (books.sessions, books.checkouts, books.orders):
            for subject, page in pages.items():
                found |= {(subject, m): entry for m, entry in entries_of(page).items()}
        return found

    def total(self, metric: str, **labels: str) -> int:
        """Sum over every cell of a counter whose labels contain `labels`."""
        return sum(
            value
            for cell, value in self.cells.items()
            if cell.metric == metric and set(labels.values()) <= set(cell.labels) and not cell.part
        )


def told(events: Sequence[Event]) -> Ledger:
    """A ledger that was told these events in one batch."""
    found = Ledger()
    found.tell(events)
    return found
