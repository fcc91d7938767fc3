"""Booking a batch of events: which pages it needs, and what it changes on them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.contracts.events import fact_of
from app.insight.ledger.books import Books, segment_of
from app.insight.ledger.rules import ACTS, KEY_EVENTS, PLAIN_RULES, RULES, Line, settle
from app.kernel.facts import ContractBroken, Event, Fact
from telemetry.catalogue.insight import FactResult

SUBJECTS = ("session_id", "hold_id", "attempt_id", "order_id", "advice_id")
"""Members of facts by which pages and steps are found."""


@dataclass(frozen=True, slots=True)
class Needed:
    """Identifiers of the pages that a batch touches."""

    sessions: frozenset[str]
    checkouts: frozenset[str]
    orders: frozenset[str]
    subjects: frozenset[str]


@dataclass(frozen=True, slots=True)
class Booked:
    """What became of one event; `why` is given for a rejected one."""

    event_id: str
    source: str
    type: str
    result: FactResult
    why: str = ""


@dataclass(slots=True)
class Found:
    """Identifiers by member name, collected over a batch."""

    members: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in SUBJECTS})
    events: set[str] = field(default_factory=set)


def needed(events: Iterable[Event]) -> Needed:
    """Which pages must be loaded before `book_all`."""
    found = Found()
    for event in events:
        found.events.add(event.id)
        if event.context.session_id:
            found.members["session_id"].add(event.context.session_id)
        for name in SUBJECTS:
            value = event.data.get(name)
            if isinstance(value, str) and value:
                found.members[name].add(value)
    members = found.members
    return Needed(
        sessions=frozenset(members["session_id"]),
        checkouts=frozenset(members["hold_id"] | members["attempt_id"]),
        orders=frozenset(members["order_id"]),
        subjects=frozenset(found.events.union(*members.values())),
    )


def book_all(events: Sequence[Event], books: Books) -> list[Booked]:
    """Book a batch in order.

    Raises `ContractBroken` for a fact that this version cannot book, also one of a later version:
    its numbers are due, so it is set aside until a version comes that can. One without a market
    has no number: it is rejected.
    """
    return [_booked(event, *_book(event, books)) for event in events]


def _booked(event: Event, result: FactResult, why: str) -> Booked:
    return Booked(event.id, event.source, event.type, result, why)


def _book(event: Event, books: Books) -> tuple[FactResult, str]:
    fact = fact_of(event)
    kind = type(fact)
    line = _line(event, fact)
    if kind in PLAIN_RULES:
        return ("stored" if PLAIN_RULES[kind](fact, line, books) else "duplicate"), ""
    if kind not in RULES:
        return "stored", ""
    if line.segment is None:
        if line.context.market:
            raise ContractBroken("context: its market is not one of ours")
        return "rejected", "it has no market"
    new = RULES[kind](fact, line, line.segment, books)
    _visit(kind, line, books)
    return ("stored" if new else "duplicate"), ""


def _line(event: Event, fact: Fact) -> Line:
    at = datetime.fromisoformat(event.time)
    return Line(
        event_id=event.id,
        source=event.source,
        at=at if at.tzinfo else at.replace(tzinfo=UTC),
        context=event.context,
        segment=segment_of(event.context, currency=str(getattr(fact, "currency", ""))),
    )


def _visit(kind: type[Fact], line: Line, books: Books) -> None:
    """What a fact says about the session that it belongs to."""
    session_id = line.context.session_id
    if not session_id:
        return
    if kind in ACTS:
        session = books.session(session_id, line.at)
        session.seen(line.at)
        session.key_event = session.key_event or kind in KEY_EVENTS
    if session_id in books.sessions:
        settle(books.sessions[session_id], books)
