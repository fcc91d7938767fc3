"""What must always be true of the ledger; each function checks one thing and cites the numbers.

They compare what is exported with the entries behind it and those with the rows of orders, read at
one moment, so a violation means a defect (or a hand in the database), never a race.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from app.insight.ledger.accounts import Cell
from app.insight.ledger.totals import COUNT, Totals
from telemetry.catalogue import insight as metrics
from telemetry.catalogue.insight import ADVICE_STEPS, FUNNEL_STEPS


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is not true, in a sentence with both numbers."""

    invariant: str
    detail: str


def every_number_is_the_sum_of_its_entries(totals: Totals) -> Iterator[str]:
    """Each counter with its restatements is what the entries add up to."""
    for cell in sorted({*totals.exported, *totals.entries}):
        pair = totals.exported.get(cell, 0), totals.entries.get(cell, 0)
        if pair[0] != pair[1]:
            yield f"{_named(cell)}: {pair[0]} exported, entries add up to {pair[1]}"


def orders_counted_are_the_orders_confirmed(totals: Totals) -> Iterator[str]:
    """The entries have as many orders as were confirmed."""
    counted = sum(_by_segment(totals, metrics.SHOP_ORDERS.name).values())
    if counted != totals.confirmed_orders:
        yield f"{counted} orders counted, {totals.confirmed_orders} confirmed"


def order_value_is_the_sum_of_prices(totals: Totals) -> Iterator[str]:
    """The entries' order value is the sum of confirmed orders' prices, per currency."""
    counted: Counter[str] = Counter()
    for cell, value in totals.entries.items():
        if cell.metric == metrics.SHOP_ORDER_VALUE.name:
            counted[cell.labels[-1]] += value
    for currency in sorted({*counted, *totals.order_value}):
        pair = (counted[currency], totals.order_value.get(currency, 0))
        if pair[0] != pair[1]:
            yield f"{currency}: {pair[0]} minor units counted, prices add up to {pair[1]}"


def no_segment_loses_more_than_it_sold(totals: Totals) -> Iterator[str]:
    """In every segment and currency what was given up, returned or paid back was ordered."""
    sold, lost = (
        _by_segment(totals, metric.name, own=1)
        for metric in (metrics.SHOP_ORDER_VALUE, metrics.SHOP_ORDER_VALUE_LOST)
    )
    for labels, value in lost.items():
        if value > sold[labels]:
            yield f"{value} minor units lost of {sold[labels]} sold in {'/'.join(labels)}"


def every_order_has_its_durations(totals: Totals) -> Iterator[str]:
    """Both duration histograms have one observation per order."""
    for metric in (metrics.SHOP_ORDER_DURATION, metrics.SHOP_CONFIRMATION_DURATION):
        observed = sum(
            value
            for cell, value in totals.entries.items()
            if cell.metric == metric.name and cell.part == COUNT
        )
        if observed != totals.confirmed_orders:
            yield f"{metric.name} has {observed} observations for {totals.confirmed_orders} orders"


def every_checkout_ends_at_most_once(totals: Totals) -> Iterator[str]:
    """In every segment ends never outnumber starts."""
    yield from _within(
        totals, metrics.SHOP_CHECKOUTS_ENDED.name, metrics.SHOP_CHECKOUTS_STARTED.name
    )


def sessions_have_what_sessions_do(totals: Totals) -> Iterator[str]:
    """In every segment converted, engaged and advised visits are among the visits."""
    for metric in (metrics.SHOP_SESSIONS_CONVERTED, metrics.SHOP_SESSIONS_ENGAGED):
        yield from _within(totals, metric.name, metrics.SHOP_SESSIONS.name)


def every_step_is_within_the_step_before(totals: Totals) -> Iterator[str]:
    """In every segment nobody reaches a step of a funnel without the one before it."""
    for metric, steps in (
        (metrics.SHOP_FUNNEL_STEPS, FUNNEL_STEPS),
        (metrics.SHOP_ADVICE_STEPS, ADVICE_STEPS),
    ):
        found = _by_segment(totals, metric.name, own=1)
        for (*segment, step), count in found.items():
            if step == steps[0]:
                continue
            before = found[*segment, steps[steps.index(step) - 1]]
            if count > before:
                yield f"{step}: {count} of {before} in {'/'.join(segment)}"


def no_consumer_is_ahead(totals: Totals) -> Iterator[str]:
    """What was booked of a source is what the source has: none was restored behind our back."""
    for source in totals.parted:
        yield f"{source} has another history than the one that was booked"


INVARIANTS: Final[tuple[Callable[[Totals], Iterator[str]], ...]] = (
    every_number_is_the_sum_of_its_entries,
    orders_counted_are_the_orders_confirmed,
    order_value_is_the_sum_of_prices,
    no_segment_loses_more_than_it_sold,
    every_order_has_its_durations,
    every_checkout_ends_at_most_once,
    sessions_have_what_sessions_do,
    every_step_is_within_the_step_before,
    no_consumer_is_ahead,
)


def violations(totals: Totals) -> list[Violation]:
    """Everything that does not hold; empty when the ledger balances."""
    return [Violation(check.__name__, detail) for check in INVARIANTS for detail in check(totals)]


def _by_segment(totals: Totals, metric: str, *, own: int = 0) -> Counter[tuple[str, ...]]:
    """A counter's sums by segment and the first `own` of its own labels."""
    found: Counter[tuple[str, ...]] = Counter()
    for cell, value in totals.entries.items():
        if cell.metric == metric:
            found[cell.labels[: 5 + own]] += value
    return found


def _within(totals: Totals, part: str, whole: str) -> Iterator[str]:
    found = _by_segment(totals, whole)
    for segment, count in _by_segment(totals, part).items():
        if count > found[segment]:
            yield f"{part}: {count} of {found[segment]} in {'/'.join(segment)}"


def _named(cell: Cell) -> str:
    return f"{cell.metric}{{{'/'.join(cell.labels)}}}{cell.part and ' ' + cell.part}"
