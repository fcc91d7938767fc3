"""Checks of business truths: wrong once is wrong, however fast everything was."""

from collections import Counter

from loadtests.orders import orders_seen
from loadtests.verdict.finding import Finding, Result, passed
from loadtests.verdict.record import Record

GAVE_BACK = frozenset({"cancelled", "returned", "refunded"})
"""States of once-confirmed orders whose car may rightly have been sold again."""


def one_car_one_order(record: Record) -> Finding:
    """No car has two orders that both own it, in the books or in what clients were told."""
    owners = Counter(order.car_id for order in record.booked if order.state not in GAVE_BACK)
    returned = {order.order_id for order in record.booked if order.state in GAVE_BACK}
    promised = Counter(
        order.car_id
        for order in orders_seen(record.orders_seen, "confirmed").values()
        if order.order_id not in returned
    )
    twice = sorted({car for cars in (owners, promised) for car, count in cars.items() if count > 1})
    return Finding(
        check="one_car_one_order",
        title="One car, one owner",
        weight="truth",
        result=passed(not twice),
        measured=f"{len(twice)} cars sold twice" + (f": {', '.join(twice[:5])}" if twice else ""),
        required="0",
        meaning="Every car is unique: two confirmed orders for one car is a broken promise.",
    )


def confirmed_orders_kept(record: Record) -> Finding:
    """Every order that a client saw confirmed is in checkout's records."""
    booked = {order.order_id for order in record.booked}
    seen = orders_seen(record.orders_seen, "confirmed")
    lost = sorted(set(seen) - booked)
    return Finding(
        check="confirmed_orders_kept",
        title="No confirmed order lost",
        weight="truth",
        result=passed(not lost),
        measured=f"{len(lost)} of {len(seen)} lost" + (f": {', '.join(lost[:5])}" if lost else ""),
        required="0 lost",
        meaning="What a shopper was shown as theirs is in the books.",
    )


def paid_orders_honoured(record: Record) -> Finding:
    """Every order whose money was accepted became a confirmed order."""
    booked = {order.order_id for order in record.booked}
    paid = orders_seen(record.orders_seen, "paid")
    lost = sorted(set(paid) - booked)
    return Finding(
        check="paid_orders_honoured",
        title="No paid order lost",
        weight="truth",
        result=passed(not lost),
        measured=f"{len(lost)} of {len(paid)} lost" + (f": {', '.join(lost[:5])}" if lost else ""),
        required="0 lost",
        meaning="Where the provider took the money, the shop handed over the order.",
    )


def ledger_balanced(record: Record) -> Finding:
    """`shop_orders_total` over all traffic is the number of orders ever confirmed, exactly."""
    caught_up = record.ledger_lag_seconds == 0
    equal = record.ledger_orders == record.ever_confirmed
    return Finding(
        check="ledger_balanced",
        title="The ledger is the truth",
        weight="truth",
        result=passed(caught_up and equal),
        measured=(
            f"{record.ledger_orders:,.0f} counted, {record.ever_confirmed:,} in checkout's database"
            + ("" if caught_up else f", still {record.ledger_lag_seconds:.1f} s behind")
        ),
        required="equal, with no lag",
        meaning="The business number on every board equals the orders in checkout's database.",
    )


def invariants_hold(record: Record) -> Finding:
    """Checkout's own always-true rules have no violation, and there are such rules."""
    broken = [f"{each.name} ({each.violations})" for each in record.invariants if each.violations]
    result = passed(not broken) if record.invariants else Result.INVALID
    return Finding(
        check="invariants_hold",
        title="Invariants hold",
        weight="truth",
        result=result,
        measured=", ".join(broken) or f"{len(record.invariants)} rules, no violation",
        required="no violation",
        meaning="; ".join(each.name.replace("_", " ") for each in record.invariants),
    )
