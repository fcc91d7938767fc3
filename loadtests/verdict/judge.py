"""All checks in the order in which a reader wants them, and the verdict."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtests.verdict.clientside import (
    answers_came,
    answers_quick,
    questions_proper,
    shoppers_served,
)
from loadtests.verdict.finding import Finding, Result, verdict_of
from loadtests.verdict.measurement import everybody_arrived, generator_fresh, run_completed
from loadtests.verdict.promises import REHEARSED, pager_silent, promise_kept
from loadtests.verdict.record import Record
from loadtests.verdict.truths import (
    confirmed_orders_kept,
    invariants_hold,
    ledger_balanced,
    one_car_one_order,
    paid_orders_honoured,
)

Check = Callable[[Record], Finding]

TRUTHS: tuple[Check, ...] = (
    one_car_one_order,
    confirmed_orders_kept,
    paid_orders_honoured,
    ledger_balanced,
    invariants_hold,
)
CLIENT_PROMISES: tuple[Check, ...] = (answers_came, shoppers_served, answers_quick, pager_silent)
MEASUREMENT: tuple[Check, ...] = (
    everybody_arrived,
    generator_fresh,
    run_completed,
    questions_proper,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a run and everything that led to it."""

    title: str
    result: Result
    findings: tuple[Finding, ...]
    judged_at: float

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False), encoding="utf-8")


def judge(record: Record, *, title: str) -> Verdict:
    """Every check of a healthy rehearsal."""
    findings = (
        *(check(record) for check in TRUTHS),
        *(promise_kept(record, slo) for slo in REHEARSED),
        *(check(record) for check in CLIENT_PROMISES),
        *(check(record) for check in MEASUREMENT),
    )
    return Verdict(title, verdict_of(findings), findings, time.time())


def judge_truths(record: Record, *, title: str, also: tuple[Finding, ...] = ()) -> Verdict:
    """Only the business truths, and `also`: for drills and for the crash proof."""
    findings = (*also, *(check(record) for check in TRUTHS))
    return Verdict(title, verdict_of(findings), findings, time.time())
