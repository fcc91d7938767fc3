"""Checks of the measurement itself: a generator that could not keep up proves nothing."""

from loadtests.verdict.clientside import percentile
from loadtests.verdict.finding import Finding, Result, passed
from loadtests.verdict.record import Record

LEAST_ARRIVED = 0.99
MOST_LATE_SECONDS = 0.5
MOST_CPU = 0.85
"""Of one core: Locust is one process, and its latencies read high as it saturates."""


def everybody_arrived(record: Record) -> Finding:
    """As many shoppers came as were planned, and came on time (no coordinated omission)."""
    came = [visit for visit in record.visits if not visit.refused]
    planned = record.plan.expected_visits
    share = len(came) / planned if planned else 0.0
    late = percentile([visit.at - visit.due for visit in came], 0.99)
    return Finding(
        check="everybody_arrived",
        title="Arrivals achieved",
        weight="measurement",
        result=passed(share >= LEAST_ARRIVED and late <= MOST_LATE_SECONDS),
        measured=f"{len(came):,} of {planned:,} planned, p99 {late * 1000:,.0f} ms late",
        required=f"{LEAST_ARRIVED:.0%}, p99 at most {MOST_LATE_SECONDS * 1000:.0f} ms late",
        meaning="Shoppers come when they are due, whatever the shop does to those before them.",
    )


def generator_fresh(record: Record) -> Finding:
    """The generator had CPU to spare for nearly all of the run."""
    cpu = percentile([second.cpu for second in record.generator], 0.95)
    return Finding(
        check="generator_fresh",
        title="Generator not saturated",
        weight="measurement",
        result=passed(cpu <= MOST_CPU) if record.generator else Result.INVALID,
        measured=f"p95 {cpu:.0%} of a core" if record.generator else "not measured",
        required=f"p95 at most {MOST_CPU:.0%}",
        meaning="A saturated generator reports its own slowness as the shop's.",
    )


def run_completed(record: Record) -> Finding:
    """The generator ran to its end and every shopper's visit was written down."""
    ended = record.plan.ended_at > 0
    return Finding(
        check="run_completed",
        title="The run completed",
        weight="measurement",
        result=passed(ended and len(record.visits) == record.plan.expected_visits),
        measured=f"{len(record.visits):,} visits written, {'ended' if ended else 'cut short'}",
        required=f"{record.plan.expected_visits:,} visits and an end",
        meaning="A run that was cut short is not judged.",
    )
