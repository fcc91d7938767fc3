"""A visit counts once a browser has shown itself behind it, and a program's is told apart."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from app.contracts import events as facts
from app.insight.ledger.accounts import Cell
from app.kernel.facts import EventContext, Fact
from tests.builders.facts import (
    HUMAN,
    START,
    Stated,
    Writer,
    confirmed,
    hold,
    purchase,
    released,
    shopper,
    submitted,
    visit,
)
from tests.builders.ledger import Ledger
from tests.insight.conftest import World, run_job, total


def arrived(context: EventContext) -> list[Stated]:
    """A first request: its answer carries the cookie, and nothing has come back yet."""
    return visit(context, awaits_proof=True)


def traffic(ledger: Ledger, metric: str = "shop_sessions_total") -> dict[str, int]:
    found: Counter[str] = Counter()
    for cell, value in ledger.cells.items():
        if cell.metric == metric:
            found[cell.labels[4]] += value
    return dict(found)


PROOFS: dict[str, Fact] = {
    "a picture": facts.SessionProven("ses_1"),
    "a question": facts.AdviceStarted("ses_1"),
    "a hold": facts.HoldPlaced("hld_1", "car_1", "norrsken", "2026-11-27T09:15:00Z"),
    "a measurement": facts.WebVitalMeasured("LCP", 1.0, "home"),
    "a second page": facts.PageViewed("cars"),
}


@pytest.mark.parametrize("proof", PROOFS)
def test_a_visit_counts_from_its_proof_on(proof: str) -> None:
    writer, ledger = Writer(), Ledger()
    ledger.tell(writer.events(arrived(HUMAN)))
    assert traffic(ledger) == {}
    ledger.tell(writer.events([Stated("storefront", PROOFS[proof], HUMAN, 3)]))
    assert traffic(ledger) == {"human": 1}
    ledger.close("ses_1", START + timedelta(minutes=31))
    assert traffic(ledger) == {"human": 1}
    assert ledger.restated == Counter()


@pytest.mark.parametrize(
    ("told", "counted"), [("human", "suspect"), ("bot", "bot"), ("synthetic", "synthetic")]
)
def test_a_visit_that_ends_without_proof_is_no_persons(told: str, counted: str) -> None:
    ledger = Ledger()
    crawler = [shopper(number, traffic=told) for number in range(20)]
    ledger.tell(Writer().events([one for each in crawler for one in arrived(each)]))
    for each in crawler:
        ledger.close(each.session_id, START + timedelta(minutes=31))
    assert traffic(ledger) == {counted: 20}
    assert traffic(ledger, "shop_funnel_steps_total") == {counted: 20}


def test_a_proof_that_is_told_after_the_visit_was_over_makes_it_a_persons() -> None:
    writer, ledger = Writer(), Ledger()
    ledger.tell(writer.events(arrived(HUMAN)))
    ledger.close("ses_1", START + timedelta(minutes=31))
    ledger.tell(writer.events([Stated("storefront", facts.SessionProven("ses_1"), HUMAN, 1)]))
    assert traffic(ledger) == {"human": 1}
    sessions = [m for m in ledger.restated if m.cell.metric == "shop_sessions_total"]
    assert {(m.cell.labels[4], m.direction, m.reason) for m in sessions} == {
        ("suspect", "down", "late"),
        ("human", "up", "late"),
    }


def test_a_program_that_is_found_out_takes_its_whole_visit_along_but_no_paid_order() -> None:
    writer, ledger = Writer(), Ledger()
    looks = shopper(2)
    ledger.tell(
        writer.events(
            [
                *purchase(HUMAN, "1"),
                *visit(looks, ("home", "cars", "car")),
                hold(looks, "2"),
                released(looks, "2", "abandoned"),
            ]
        )
    )
    found_out = [
        Stated("storefront", facts.SessionSuspected(each.session_id, "pace"), each, 500)
        for each in (HUMAN, looks)
    ]
    ledger.tell(writer.events(found_out))

    assert traffic(ledger) == {"suspect": 2}
    assert traffic(ledger, "shop_funnel_steps_total") == {"suspect": 6 + 3}
    assert traffic(ledger, "shop_checkouts_started_total") == {"human": 1, "suspect": 1}
    assert traffic(ledger, "shop_orders_total") == {"human": 1}
    assert {moved.reason for moved in ledger.restated} == {"suspect"}


def test_what_a_suspect_does_next_is_a_suspects_too() -> None:
    writer, ledger = Writer(), Ledger()
    found_out = facts.SessionSuspected("ses_1", "webdriver")
    ledger.tell(writer.events([*visit(HUMAN), Stated("storefront", found_out, HUMAN, 5)]))
    ledger.tell(writer.events([hold(HUMAN, "1"), submitted(HUMAN, "1")]))
    assert traffic(ledger, "shop_checkouts_started_total") == {"suspect": 1}
    ledger.tell(writer.events([confirmed(HUMAN, "1")]))
    assert traffic(ledger, "shop_checkouts_started_total") == {"human": 1}


def test_no_caller_is_in_two_segments_of_one_funnel() -> None:
    """A visit that asks the advisor, and then moves to another market, stays where it began."""
    advised = replace(HUMAN, entry="advisor", market="NO")
    ledger = Ledger()
    events = [*visit(HUMAN), hold(advised, "1"), submitted(advised, "1"), confirmed(advised, "1")]
    ledger.tell(Writer().events(events))
    steps = [cell for cell in ledger.cells if cell.metric == "shop_funnel_steps_total"]
    assert {cell.labels[:5] for cell in steps} == {("SE", "web", "phone", "direct", "human")}
    assert len(steps) == 6
    assert ledger.cells[Cell("shop_orders_total", ("NO", "web", "phone", "advisor", "human"))] == 1


async def test_a_crawler_without_cookies_is_twenty_suspects_on_each_database(
    world_on_each: World,
) -> None:
    service = await world_on_each.replica()
    await world_on_each.state([one for n in range(20) for one in arrived(shopper(n))])
    await run_job(service, "consume-", "ledger-snapshot")
    assert total(service, "shop_sessions_total") == 0
    world_on_each.clock.advance(minutes=31)
    await run_job(service, "consume-", "close-sessions")
    await run_job(service, "ledger-snapshot")
    assert total(service, "shop_sessions_total", traffic="suspect") == 20
    assert total(service, "shop_sessions_total") == 20
