"""No rule of the ledger can be broken in a way that no check notices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

from app.contracts import events as facts
from app.insight.ledger import changes, rules
from app.insight.ledger.accounts import MEASURES, SINGLE
from app.kernel.facts import ContractBroken, Event, Fact
from tests.builders import ledger as in_memory
from tests.builders.crowds import Crowd
from tests.builders.ledger import Ledger
from tests.ledger.mutations import MADE, WAYS, Mutation, of_entries, of_rules, reads_segment
from tests.ledger.oracle import Rows, expected
from tests.ledger.test_oracle import closes, rows_of

CROWD = Crowd(seed=5, visits=150)
EVENTS = CROWD.events()
ENDS = closes(EVENTS, 5)
WANTED = expected(event.to_wire() for event in (*EVENTS, *ENDS))

HARMLESS: dict[tuple[type[Fact], str], str] = {
    (facts.SessionProven, "twice"): "of a visit that never started nothing is counted",
    (facts.SessionSuspected, "twice"): "as a proof",
    (facts.SessionProven, "moment"): "a proof counts whenever it is found",
    (facts.SessionSuspected, "moment"): "as a proof",
    (facts.BrowserCrashed, "moment"): "a crash counts for the visit, whenever it was",
    (facts.BrowserCrashed, "twice"): "as a proof",
    (facts.AdviceStarted, "twice"): "as a proof",
    (facts.MatchViewed, "twice"): "a step of a visit is taken once",
    (facts.HoldReleased, "twice"): "of a checkout that never started nothing is counted",
    (facts.PaymentAttempted, "twice"): "a step of a visit is taken once",
    (facts.OrderSubmitted, "twice"): "an order that is not confirmed is not counted",
    (facts.CustomerErased, "twice"): "words are forgotten once",
    (facts.CustomerErased, "moment"): "words are forgotten whenever it is said",
    (facts.CustomerErased, "drop"): "moves no number (tests/insight/ledger/test_booking.py)",
    **{
        (facts.VisitorForgotten, way): "moves no number (tests/insight/ledger/test_forgetting.py)"
        for way in ("drop", "twice", "moment")
    },
    (facts.CarListed, "drop"): "a title is no number (tests/insight/ledger/test_booking.py)",
    (facts.CarListed, "twice"): "as above",
    (facts.CarListed, "moment"): "as above",
    **{
        (kind, way): "shown in the order's state only (tests/insight/ledger/test_booking.py)"
        for kind in (
            *(facts.OrderEnded, facts.ReturnRequested),
            *(facts.OrderDisputed, facts.DisputeDecided),
        )
        for way in ("drop", "twice", "moment")
    },
    **{
        (kind, "twice"): "of an order that was never confirmed nothing is counted"
        for kind in (
            *(facts.OrderCancelled, facts.OrderReturned, facts.OrderRefunded),
            facts.CarHandedOver,
        )
    },
}
"""What moves no number, and why."""


def told(events: list[Event]) -> Rows:
    ledger = Ledger()
    for start in range(0, len(events), 400):
        ledger.tell(events[start : start + 400])
    ledger.tell(ENDS)
    return rows_of(ledger)


def noticed(mutation: Mutation) -> bool:
    """Whether the oracle has something else than a ledger with this rule."""
    table = rules.RULES if mutation.fact in rules.RULES else rules.PLAIN_RULES
    with mock.patch.dict(table, {mutation.fact: mutation.rule}):
        try:
            return told(EVENTS) != WANTED
        except (ContractBroken, KeyError):
            return True


def mutations() -> Iterator[Mutation]:
    """All that can move a number."""
    table: dict[type[Fact], Any] = {**rules.RULES, **rules.PLAIN_RULES}
    for each in of_rules():
        blind = each.way == "segment" and not reads_segment(table[each.fact])
        if not blind or each.fact is facts.WebVitalMeasured:
            yield each


def test_the_rules_as_they_are_agree_with_the_oracle() -> None:
    assert told(EVENTS) == WANTED


def test_the_crowd_states_every_fact_that_has_a_rule() -> None:
    stated = {facts.FACT_TYPES[event.type] for event in EVENTS}
    # Forgetting happens in the database: tests/insight/ledger/test_forgetting.py.
    assert {*rules.RULES, *rules.PLAIN_RULES} <= {*stated, facts.VisitorForgotten}


def test_every_mutation_of_every_rule_is_noticed() -> None:
    tried = list(mutations())
    assert len(tried) >= 3 * len({*rules.RULES, *rules.PLAIN_RULES})
    found = {(each.fact, each.way): noticed(each) for each in tried}
    unnoticed = {key for key, caught in found.items() if not caught}
    assert {f"{fact.__name__} {way}" for fact, way in unnoticed} == {
        f"{fact.__name__} {way}" for fact, way in HARMLESS
    }


def test_every_mutation_of_every_entry_is_noticed() -> None:
    unnoticed = []
    for name, broken in of_entries():
        with (
            mock.patch.object(changes, "entries_of", broken),
            mock.patch.object(in_memory, "entries_of", broken),
        ):
            if told(EVENTS) == WANTED:
                unnoticed.append(name)
    assert unnoticed == []


def test_every_measure_is_broken_somewhere() -> None:
    assert set(MEASURES) - SINGLE - {"customer"} == set(MADE)
    assert set(WAYS) == {"drop", "twice", "segment", "moment"}
