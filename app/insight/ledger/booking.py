"""Booking a batch of events: which pages it needs, and what it writes on them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from app.contracts.events import FeedbackGiven, SessionSuspected, fact_of
from app.insight.ledger.accounts import segment_of
from app.insight.ledger.books import Books
from app.insight.ledger.rules import PLAIN_RULES, RULES, Line, visited
from app.kernel.facts import ContractBroken, Event, Fact
from telemetry.catalogue.insight import FactResult

SESSION_CLOSED: Final = "ledger.session.closed"
"""The ledger's own event: a visit has been idle for so long that it is over."""


@dataclass(frozen=True, slots=True)
class Needed:
    """Identifiers of the pages that a batch touches.

    `suspects` are sessions whose checkouts are needed too, `singles` subjects of facts that have
    no page, `events` the ids of all of them.
    """

    sessions: frozenset[str] = frozenset()
    checkouts: frozenset[str] = frozenset()
    orders: frozenset[str] = frozenset()
    suspects: frozenset[str] = frozenset()
    singles: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Booked:
    """What became of one event; `why` is given for a rejected one."""

    event_id: str
    source: str
    type: str
    result: FactResult
    why: str = ""


def needed(events: Iterable[Event]) -> Needed:
    """Which pages must be loaded before `book_all`."""
    found: dict[str, set[str]] = {
        name: set() for name in ("session_id", "hold_id", "attempt_id", "order_id", "advice_id")
    }
    suspects: set[str] = set()
    singles: set[str] = set()
    ids: set[str] = set()
    for event in events:
        ids.add(event.id)
        if event.type == FeedbackGiven.TYPE:
            singles |= {event.id, event.context.session_id}
        if event.context.session_id:
            found["session_id"].add(event.context.session_id)
        for name, values in found.items():
            value = event.data.get(name)
            if isinstance(value, str) and value:
                values.add(value)
                if event.type == SessionSuspected.TYPE:
                    suspects.add(value)
                elif event.type == FeedbackGiven.TYPE:
                    singles.add(value)
    return Needed(
        sessions=frozenset(found["session_id"]),
        checkouts=frozenset(found["hold_id"] | found["attempt_id"]),
        orders=frozenset(found["order_id"]),
        suspects=frozenset(suspects),
        singles=frozenset(singles | found["advice_id"]),
        events=frozenset(ids),
    )


def book_all(events: Sequence[Event], books: Books) -> list[Booked]:
    """Book a batch in order; an event that was booked before is a duplicate.

    Raises `ContractBroken` for a fact that this version cannot book, also one of a later version:
    its numbers are due, so it is set aside until a version comes that can. One without a market
    has no number: it is rejected.
    """
    found = []
    for event in events:
        if event.id in books.booked:
            found.append(_booked(event, "duplicate"))
            continue
        why = _book(event, books)
        books.booked.add(event.id)
        found.append(_booked(event, "rejected" if why else "stored", why))
    return found


def _booked(event: Event, result: FactResult, why: str = "") -> Booked:
    return Booked(event.id, event.source, event.type, result, why)


def _book(event: Event, books: Books) -> str:
    """Why not; empty when it is booked."""
    if event.type == SESSION_CLOSED:
        close(event.data["session_id"], datetime.fromisoformat(event.time), books)
        return ""
    fact = fact_of(event)
    kind = type(fact)
    line = _line(event, fact)
    if kind in PLAIN_RULES:
        PLAIN_RULES[kind](fact, line, books)
        visited(kind, line, books)
    elif kind in RULES:
        if line.segment is None:
            if line.context.market:
                raise ContractBroken("context: its market is not one of ours")
            return "it has no market"
        RULES[kind](fact, line, line.segment, books)
        visited(kind, line, books)
    return ""


def _line(event: Event, fact: Fact) -> Line:
    at = datetime.fromisoformat(event.time)
    return Line(
        event_id=event.id,
        source=event.source,
        at=at if at.tzinfo else at.replace(tzinfo=UTC),
        context=event.context,
        segment=segment_of(event.context, currency=str(getattr(fact, "currency", ""))),
    )


def close(session_id: str, at: datetime, books: Books) -> None:
    """Close an idle visit, whose end was `at`."""
    page = books.sessions.get(session_id)
    if page is not None:
        page.closed_at = at
