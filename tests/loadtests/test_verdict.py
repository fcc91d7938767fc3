"""For each thing that the verdict checks: a run in which exactly that is wrong turns it red."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from loadtests.books import BookedOrder, Invariant
from loadtests.evidence import GeneratorSeen
from loadtests.orders import OrderSeen
from loadtests.verdict.finding import Finding, Result, verdict_of
from loadtests.verdict.judge import judge
from loadtests.verdict.promises import NOT_REHEARSED, REHEARSED
from loadtests.verdict.record import AlertSpell, Measured, Record
from telemetry.catalogue.slos import SLOS
from telemetry.catalogue.spec import SLO
from tests.loadtests.walking import healthy_record

Mutation = Callable[[Record], Record]


def _first_request(record: Record, count: int, **changes: object) -> Record:
    spoilt = tuple(replace(r, **changes) for r in record.requests[:count])  # type: ignore[arg-type]
    return replace(record, requests=(*spoilt, *record.requests[count:]))


def _confirmed(record: Record, order_id: str, car_id: str) -> OrderSeen:
    return OrderSeen("confirmed", order_id, car_id, record.plan.started_at + 11, 1, "SEK")


def _second_owner_in_the_books(record: Record) -> Record:
    twin = BookedOrder("order-4", record.booked[0].car_id, "confirmed")
    return replace(record, booked=(*record.booked, twin), ever_confirmed=4, ledger_orders=4.0)


def _one_visit(record: Record, **changes: object) -> Record:
    spoilt = replace(record.visits[0], **changes)  # type: ignore[arg-type]
    return replace(record, visits=(spoilt, *record.visits[1:]))


def _broken(slo: SLO) -> Mutation:
    """A hair below the objective."""

    def mutate(record: Record) -> Record:
        worse = replace(record.promises[slo.name], good=slo.objective - 0.0005)
        return replace(record, promises={**record.promises, slo.name: worse})

    return mutate


MUTATIONS: dict[str, Mutation] = {
    "one_car_one_order": _second_owner_in_the_books,
    "confirmed_orders_kept": lambda r: replace(
        r, orders_seen=(*r.orders_seen, _confirmed(r, "order-9", "car-9"))
    ),
    "paid_orders_honoured": lambda r: replace(
        r, orders_seen=(*r.orders_seen, replace(_confirmed(r, "order-9", "car-9"), seen="paid"))
    ),
    "ledger_balanced": lambda r: replace(r, ledger_orders=4.0),
    "invariants_hold": lambda r: replace(r, invariants=(Invariant("one_live_order_per_car", 1),)),
    "answers_came": lambda r: _first_request(r, 1, status=0, outcome="unavailable", failed=True),
    "shoppers_served": lambda r: _one_visit(r, ending="failed", reason="POST holds: 500"),
    "answers_quick": lambda r: _first_request(r, 10, seconds=1.5),
    "pager_silent": lambda r: replace(
        r, alerts=(*r.alerts, AlertSpell("OrderSuccessBudgetBurn", "firing", "page", 0, 1))
    ),
    "everybody_arrived": lambda r: replace(
        r, visits=tuple(replace(v, at=v.due + 0.9) for v in r.visits)
    ),
    "generator_fresh": lambda r: replace(
        r, generator=tuple(GeneratorSeen(g.at, 0.97, g.shoppers) for g in r.generator)
    ),
    "run_completed": lambda r: replace(r, plan=replace(r.plan, ended_at=0.0)),
    "questions_proper": lambda r: _first_request(r, 1, status=422, outcome="invalid", failed=True),
    **{slo.name: _broken(slo) for slo in REHEARSED},
}


def _not_passed(record: Record) -> dict[str, Result]:
    found = judge(record, title="test").findings
    return {f.check: f.result for f in found if f.result is not Result.PASS}


def test_a_healthy_run_passes_every_check() -> None:
    verdict = judge(healthy_record(), title="test")
    assert (_not_passed(healthy_record()), verdict.result) == ({}, Result.PASS)


@pytest.mark.parametrize("check", sorted(MUTATIONS))
def test_a_run_in_which_one_thing_is_wrong_fails_exactly_that_check(check: str) -> None:
    assert _not_passed(MUTATIONS[check](healthy_record())) == {check: Result.FAIL}


def test_every_check_has_a_mutation_that_turns_it_red() -> None:
    checks = {finding.check for finding in judge(healthy_record(), title="test").findings}
    assert checks == set(MUTATIONS)


def test_every_promise_of_the_catalogue_is_rehearsed_or_says_why_not() -> None:
    assert {s.name for s in REHEARSED} | set(NOT_REHEARSED) == {slo.name for slo in SLOS}
    assert all(NOT_REHEARSED.values())


@pytest.mark.parametrize(
    ("wrong", "check", "mutation"),
    [
        (
            "the ledger is still behind",
            "ledger_balanced",
            lambda r: replace(r, ledger_lag_seconds=0.4),
        ),
        (
            "two clients were told that one car is theirs",
            "one_car_one_order",
            lambda r: replace(
                r,
                orders_seen=(*r.orders_seen, _confirmed(r, "order-4", "car-order-1")),
                booked=(*r.booked, BookedOrder("order-4", "another car", "confirmed")),
                ever_confirmed=4,
                ledger_orders=4.0,
            ),
        ),
        (
            "a shopper was kept out by the generator's own bound",
            "everybody_arrived",
            lambda r: _one_visit(r, refused=True),
        ),
        (
            "money was taken and nothing was heard for a minute",
            "shoppers_served",
            lambda r: _one_visit(r, ending="unconfirmed"),
        ),
    ],
)
def test_it_also_fails_when(wrong: str, check: str, mutation: Mutation) -> None:
    assert _not_passed(mutation(healthy_record())) == {check: Result.FAIL}, wrong


def test_a_car_that_was_given_back_may_be_sold_again() -> None:
    record = healthy_record()
    booked = (replace(record.booked[0], state="cancelled"), *record.booked[1:])
    again = BookedOrder("order-4", record.booked[0].car_id, "confirmed")
    record = replace(record, booked=(*booked, again), ever_confirmed=4, ledger_orders=4.0)
    assert _not_passed(record) == {}


def test_a_promise_without_events_is_no_evidence() -> None:
    record = healthy_record()
    promises = {**record.promises, "order_success": Measured(None, 0.0)}
    verdict = judge(replace(record, promises=promises), title="test")
    assert verdict.result is Result.INVALID


def test_a_shop_without_invariants_is_not_judged() -> None:
    assert judge(replace(healthy_record(), invariants=()), title="t").result is Result.INVALID


def _finding(weight: str, result: Result) -> Finding:
    return Finding("c", "C", weight, result, "", "")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("findings", "expected", "code"),
    [
        ((("truth", Result.PASS), ("promise", Result.PASS)), Result.PASS, 0),
        ((("truth", Result.PASS), ("promise", Result.FAIL)), Result.FAIL, 1),
        ((("promise", Result.FAIL), ("measurement", Result.FAIL)), Result.INVALID, 2),
        ((("truth", Result.FAIL), ("measurement", Result.FAIL)), Result.FAIL, 1),
        ((("truth", Result.PASS), ("promise", Result.INVALID)), Result.INVALID, 2),
        ((), Result.INVALID, 2),
    ],
)
def test_a_broken_truth_outweighs_a_broken_measurement_and_that_a_broken_promise(
    findings: tuple[tuple[str, Result], ...], expected: Result, code: int
) -> None:
    result = verdict_of(_finding(weight, each) for weight, each in findings)
    assert (result, result.exit_code) == (expected, code)
