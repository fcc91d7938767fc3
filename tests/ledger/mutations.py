"""Every rule of the ledger, broken in each way that a rule can be broken.

`drop` forgets the fact, `twice` books it a second time under other names, `segment` books it where
it was not, `moment` books it when it was not. What an entry's own making can get wrong is broken
in `of_entries`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any, Final, NamedTuple

from app.insight.ledger import rules
from app.insight.ledger.accounts import Entry, Segment
from app.insight.ledger.books import Page
from app.insight.ledger.entries import entries_of
from app.insight.ledger.rules import Line
from app.kernel.facts import Fact

Broken = Callable[..., None]

ELSEWHERE: Final = Segment("FI", "api", "unknown", "direct", "agent")
LATER: Final = timedelta(hours=7)
NAMES: Final = ("session_id", "hold_id", "attempt_id", "order_id", "advice_id")


class Mutation(NamedTuple):
    """A rule of a fact, broken in one way."""

    fact: type[Fact]
    way: str
    rule: Broken


def of_rules() -> Iterator[Mutation]:
    """Every way to break every rule of both tables."""
    for table in (rules.RULES, rules.PLAIN_RULES):
        for fact, rule in table.items():
            for way, broken in WAYS.items():
                yield Mutation(fact, way, broken(rule))


def _dropped(_: Broken) -> Broken:
    return lambda *_: None


def _twice(rule: Broken) -> Broken:
    def broken(fact: Fact, line: Line, *rest: Any) -> None:
        rule(fact, line, *rest)
        names = {each.name for each in fields(fact)} & set(NAMES)
        changed = {name: f"{getattr(fact, name)}_2" for name in names if getattr(fact, name)}
        again = replace(line, event_id=f"{line.event_id}_2")
        rule(replace(fact, **changed), again, *rest)

    return broken


def _elsewhere(rule: Broken) -> Broken:
    def broken(fact: Fact, line: Line, *rest: Any) -> None:
        context = replace(line.context, **ELSEWHERE._asdict())
        moved = replace(line, segment=ELSEWHERE, context=context)
        rule(fact, moved, *(ELSEWHERE if isinstance(each, Segment) else each for each in rest))

    return broken


def _later(rule: Broken) -> Broken:
    def broken(fact: Fact, line: Line, *rest: Any) -> None:
        rule(fact, replace(line, at=line.at + LATER), *rest)

    return broken


WAYS: Final[Mapping[str, Callable[[Broken], Broken]]] = {
    "drop": _dropped,
    "twice": _twice,
    "segment": _elsewhere,
    "moment": _later,
}


def reads_segment(rule: Callable[..., object]) -> bool:
    """Whether a rule looks at where its fact was: one that does not names it `_`."""
    named = list(inspect.signature(rule).parameters)
    return len(named) == 4 and not named[2].startswith("_")


def of_entries() -> Iterator[tuple[str, Callable[[Page], dict[str, Entry]]]]:
    """Every measure's entry, broken in each way, where a page makes it."""

    def without(measure: str) -> Callable[[Page], dict[str, Entry]]:
        return lambda page: {
            name: entry for name, entry in entries_of(page).items() if name != measure
        }

    def with_(measure: str, **changed: Any) -> Callable[[Page], dict[str, Entry]]:
        def broken(page: Page) -> dict[str, Entry]:
            found = entries_of(page)
            if measure in found:
                entry = found[measure]
                made = {name: change(entry) for name, change in changed.items()}
                found[measure] = entry._replace(**made)
            return found

        return broken

    for measure in MADE:
        yield f"{measure} drop", without(measure)
        yield f"{measure} twice", with_(measure, amount=lambda entry: entry.amount * 2)
        yield f"{measure} segment", with_(measure, segment=lambda _: ELSEWHERE)
        yield f"{measure} moment", with_(measure, moment=lambda entry: entry.moment + LATER)
        yield f"{measure} period", with_(measure, at=lambda entry: entry.at + LATER)
        yield f"{measure} label", with_(measure, label=lambda entry: (*entry.label, "x"))


MADE: Final = (
    *("session", "views", "engaged", "converted", "visitor", "crash", "advice"),
    *("step.session", "step.car_view", "step.hold", "step.details", "step.payment", "step.order"),
    *("advice.advice_start", "advice.advice_complete", "advice.match_view"),
    *("advice.hold", "advice.order", "checkout", "checkout_end", "order", "order_value"),
    *("order_value_lost", "order_seconds", "confirmation_seconds", "campaign_order"),
    *("cancelled", "returned", "delivered", "buyer"),
)
"""Measures that pages make entries of (`customer`: nobody states one yet)."""
