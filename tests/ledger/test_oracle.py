"""The ledger has exactly the entries that a second, independent working out has."""

from __future__ import annotations

from random import Random

import pytest

from app.insight.ledger.accounts import Entry
from app.kernel.facts import Event
from tests.builders.crowds import Crowd
from tests.builders.ledger import Ledger
from tests.ledger.length import SEEDS, VISITS
from tests.ledger.oracle import Row, Rows, expected


def rows_of(ledger: Ledger) -> Rows:
    return {key: _row(entry) for key, entry in ledger.entries.items()}


def _row(entry: Entry) -> Row:
    return Row(
        entry.label,
        tuple(entry.segment),
        entry.channel_group,
        entry.campaign,
        entry.at,
        entry.moment,
        entry.amount,
    )


def closes(events: list[Event], seed: int) -> list[Event]:
    """Ends of some visits, as the ledger tells itself."""
    dice = Random(seed)
    last = {e.context.session_id: e.time for e in events if e.context.session_id}
    return [
        Event(f"end_{name}", "ledger", "ledger.session.closed", time, 0, {"session_id": name})
        for name, time in last.items()
        if dice.random() < 0.8
    ]


def differing(one: Rows, two: Rows) -> list[object]:
    return [
        (key, one.get(key), two.get(key))
        for key in sorted({*one, *two})
        if one.get(key) != two.get(key)
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_in_whatever_order_it_is_told_the_ledger_has_what_the_oracle_has(seed: int) -> None:
    events = Crowd(seed, visits=VISITS).events()
    ends = closes(events, seed)
    wanted = expected(event.to_wire() for event in (*events, *ends))
    for how in range(3):
        told = list(events)
        Random(how).shuffle(told)
        ledger = Ledger()
        for start in range(0, len(told), 40):
            ledger.tell(told[start : start + 40])
        ledger.tell(ends)
        assert differing(rows_of(ledger), wanted) == []
