"""What must always be true of the ledger; each function checks one thing and cites the numbers.

They compare what is exported with the rows behind it, read at one moment, so a violation means a
defect (or a hand in the database), never a race.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from app.insight.ledger.readings import Totals
from telemetry.catalogue.insight import CHECKOUT_ENDS, FUNNEL_STEPS


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is not true, in a sentence with both numbers."""

    invariant: str
    detail: str


def orders_counted_are_the_orders_confirmed(totals: Totals) -> Iterator[str]:
    """`shop_orders_total` is the number of confirmed orders."""
    counted = totals.counters.get(("shop_orders_total",), 0)
    if counted != totals.confirmed_orders:
        yield f"{counted} orders counted, {totals.confirmed_orders} confirmed"


def order_value_is_the_sum_of_prices(totals: Totals) -> Iterator[str]:
    """`shop_order_value_total` is the sum of confirmed orders' prices, per currency."""
    counted = {
        key[1]: value
        for key, value in totals.counters.items()
        if key[0] == "shop_order_value_total"
    }
    for currency in sorted({*counted, *totals.order_value}):
        pair = (counted.get(currency, 0), totals.order_value.get(currency, 0))
        if pair[0] != pair[1]:
            yield f"{currency}: {pair[0]} minor units counted, prices add up to {pair[1]}"


def value_lost_is_the_sum_of_lost_orders_prices(totals: Totals) -> Iterator[str]:
    """`shop_order_value_lost_total` is the price of lost orders; no segment loses what it has not.

    Orders that were lost before this was counted are in neither.
    """
    counted: Counter[str] = Counter()
    for key, value in totals.counters.items():
        if key[0] == "shop_order_value_lost_total":
            counted[key[1]] += value
    for currency in sorted({*counted, *totals.order_value_lost}):
        prices = totals.order_value_lost.get(currency, 0)
        if counted[currency] != prices:
            yield f"{currency}: {counted[currency]} minor units lost, prices add up to {prices}"
    for (metric, segment), lost in totals.segments.items():
        if metric == "shop_order_value_lost_total":
            sold = totals.segments.get(("shop_order_value_total", segment), 0)
            if lost > sold:
                yield f"{lost} minor units lost of {sold} sold in {'/'.join(segment)}"


def every_order_has_its_durations(totals: Totals) -> Iterator[str]:
    """Both duration histograms have one observation per order."""
    for name in ("shop_order_duration_seconds", "shop_confirmation_duration_seconds"):
        observed = totals.histogram_counts.get(name, 0)
        if observed != totals.confirmed_orders:
            yield f"{name} has {observed} observations for {totals.confirmed_orders} orders"


def checkouts_started_are_the_rows(totals: Totals) -> Iterator[str]:
    """`shop_checkouts_started_total` is the number of checkouts."""
    counted = totals.counters.get(("shop_checkouts_started_total",), 0)
    if counted != totals.started_checkouts:
        yield f"{counted} checkouts counted, {totals.started_checkouts} known"


def every_checkout_ends_at_most_once(totals: Totals) -> Iterator[str]:
    """Ends never outnumber starts, and every end counted is an end of a known checkout."""
    for result in CHECKOUT_ENDS:
        counted = totals.counters.get(("shop_checkouts_ended_total", result), 0)
        rows = totals.counted_ends.get(result, 0)
        if counted != rows:
            yield f"{counted} ends counted as {result}, {rows} checkouts ended so"
    for (metric, segment), ended in totals.segments.items():
        if metric != "shop_checkouts_ended_total":
            continue
        started = totals.segments.get(("shop_checkouts_started_total", segment), 0)
        if ended > started:
            yield f"{ended} ended of {started} started in {'/'.join(segment)}"


def converted_sessions_are_sessions(totals: Totals) -> Iterator[str]:
    """In every segment the converted and engaged sessions are among the sessions."""
    for (metric, segment), count in totals.segments.items():
        if metric not in ("shop_sessions_converted_total", "shop_sessions_engaged_total"):
            continue
        sessions = totals.segments.get(("shop_sessions_total", segment), 0)
        if count > sessions:
            yield f"{metric}: {count} of {sessions} sessions in {'/'.join(segment)}"


def steps_counted_are_the_steps_taken(totals: Totals) -> Iterator[str]:
    """`shop_funnel_steps_total` is the number of steps, by step."""
    for step in FUNNEL_STEPS:
        counted = totals.counters.get(("shop_funnel_steps_total", step), 0)
        if counted != totals.steps.get(step, 0):
            yield f"{step}: {counted} counted, {totals.steps.get(step, 0)} taken"


def no_consumer_is_ahead(totals: Totals) -> Iterator[str]:
    """What was booked of a source is what the source has: none was restored behind our back."""
    for source in totals.parted:
        yield f"{source} has another history than the one that was booked"


INVARIANTS: Final[tuple[Callable[[Totals], Iterator[str]], ...]] = (
    orders_counted_are_the_orders_confirmed,
    order_value_is_the_sum_of_prices,
    value_lost_is_the_sum_of_lost_orders_prices,
    every_order_has_its_durations,
    checkouts_started_are_the_rows,
    every_checkout_ends_at_most_once,
    converted_sessions_are_sessions,
    steps_counted_are_the_steps_taken,
    no_consumer_is_ahead,
)


def violations(totals: Totals) -> list[Violation]:
    """Everything that does not hold; empty when the ledger balances."""
    return [Violation(check.__name__, detail) for check in INVARIANTS for detail in check(totals)]
