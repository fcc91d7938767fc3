"""Checks of what shoppers themselves met, beside what the servers say about it."""

from collections import Counter

from loadtests.answers import NO_ANSWER
from loadtests.journeys.journey import Ending
from loadtests.verdict.finding import Finding, Result, passed
from loadtests.verdict.record import Record
from telemetry.catalogue.outcomes import BUDGET_SPENDING, Outcome

MOST_FAILED_ANSWERS = 0.005
MOST_LET_DOWN = 0.005
CLIENT_P95_SECONDS = 1.0
"""The servers' page promise plus nothing: on one machine the network takes no time."""


def percentile(values: list[float], share: float) -> float:
    """The nearest-rank percentile of values; 0 for none."""
    if not values:
        return 0.0
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def answers_came(record: Record) -> Finding:
    """Few answers were missing or failures; a sold-out car and a declined card are neither."""
    bad = Counter(r.outcome for r in record.requests if r.outcome in BUDGET_SPENDING)
    silent = sum(r.status == NO_ANSWER for r in record.requests)
    share = sum(bad.values()) / len(record.requests) if record.requests else 1.0
    kinds = ", ".join(f"{count} {name}" for name, count in bad.most_common())
    return Finding(
        check="answers_came",
        title="Answers came",
        weight="promise",
        result=passed(share <= MOST_FAILED_ANSWERS) if record.requests else Result.INVALID,
        measured=f"{share:.2%} of {len(record.requests):,} failed"
        + (f" ({kinds}; {silent} without any answer)" if bad else ""),
        required=f"at most {MOST_FAILED_ANSWERS:.1%}",
        meaning="Refused connections, time-outs and 5xx, as the shoppers met them.",
    )


def shoppers_served(record: Record) -> Finding:
    """Few shoppers left because the shop let them down in the middle of their visit."""
    inside = [visit for visit in record.visits if not visit.refused]
    let_down = [visit for visit in inside if Ending(visit.ending).let_down]
    share = len(let_down) / len(inside) if inside else 1.0
    worst = Counter(visit.reason or visit.ending for visit in let_down).most_common(1)
    return Finding(
        check="shoppers_served",
        title="Shoppers served",
        weight="promise",
        result=passed(share <= MOST_LET_DOWN) if inside else Result.INVALID,
        measured=f"{len(let_down)} of {len(inside):,} let down ({share:.2%})"
        + (f", mostly {worst[0][0]}" if worst else ""),
        required=f"at most {MOST_LET_DOWN:.1%}",
        meaning="A journey that broke off, or money taken and no answer within a minute.",
    )


def answers_quick(record: Record) -> Finding:
    """The clients' own 95th percentile: what servers cannot see (queues before them) is in it."""
    seconds = [r.seconds for r in record.requests if r.status != NO_ANSWER]
    p95 = percentile(seconds, 0.95)
    return Finding(
        check="answers_quick",
        title="Quick in the shopper's eyes",
        weight="promise",
        result=passed(p95 <= CLIENT_P95_SECONDS) if seconds else Result.INVALID,
        measured=f"p95 {p95 * 1000:,.0f} ms, p50 {percentile(seconds, 0.5) * 1000:,.0f} ms",
        required=f"p95 at most {CLIENT_P95_SECONDS * 1000:,.0f} ms",
        meaning="Timed by the clients, from the first byte sent to the last byte read.",
    )


def questions_proper(record: Record) -> Finding:
    """The shoppers asked for nothing malformed: else it is our rehearsal that is broken."""
    nonsense = Counter(
        f"{r.name} {r.status}" for r in record.requests if r.outcome == Outcome.INVALID
    )
    kinds = ", ".join(f"{name} ({count})" for name, count in nonsense.most_common(3))
    return Finding(
        check="questions_proper",
        title="The shoppers ask properly",
        weight="measurement",
        result=passed(not nonsense),
        measured=kinds or "no malformed request",
        required="none",
        meaning="A 4xx that no shopper would cause is a defect of the load test.",
    )
