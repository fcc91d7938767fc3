"""What checkout measures as it happens. What it *sold* is the ledger's to say (insight.py)."""

from typing import Literal, get_args

from telemetry.catalogue.labels import MARKET, OUTCOME, PROVIDER, SERVICE
from telemetry.catalogue.spec import Label, Metric

DeskResult = Literal["sold", "hold_ended", "held", "ordered", "taken_back"]
WorkKind = Literal["refunds", "reconcile", "lapses", "sweep"]

PAYMENT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

LATE_RESULT = Label(
    "result", ("honoured", "refunded"), "The car was still free and is theirs, or money went back."
)
DESK_RESULT = Label(
    "result",
    get_args(DeskResult),
    "The car went off sale, and with it a shopper's hold; it was refused because a shopper holds or"
    " has ordered the car; the dealer took the sale back.",
)
WEBHOOK_RESULT = Label(
    "result",
    ("applied", "duplicate", "rejected", "ignored", "failed", "unknown_order"),
    "What became of a provider's message; rejected means a bad signature or age, unknown_order that"
    " money carried our reference and we have no such order.",
)
MOVE = Label(
    "move",
    (
        "refunded",
        "partly_refunded",
        "refund_failed",
        "inquiry",
        "disputed",
        "dispute_won",
        "dispute_lost",
    ),
    "What happened to money that had been taken.",
)
WORK = Label(
    "work",
    get_args(WorkKind),
    "What a background job goes through, item by item.",
)
CIRCUIT_STATE = Label(
    "state",
    ("closed", "half_open", "open"),
    "Closed: calls pass. Open: none does. Half open: one is tried.",
)
RETRY_RESULT = Label(
    "result",
    ("retried", "over_budget"),
    "Whether a failed attempt was repeated, or not because repeats would be over 10 % of calls.",
)
EFFECT = Label(
    "effect",
    (
        "read",
        "place_hold",
        "end_hold",
        "submit_order",
        "open_payment",
        "settle_payment",
        "move_money",
        "refund",
        "hand_over",
        "withdraw",
        "return_car",
        "desk_sale",
        "erase",
        "refuse",
    ),
    "What was to be written, or read for it, in one statement.",
)
EFFECT_RESULT = Label(
    "result",
    ("done", "outrun", "failed"),
    "Done; outrun because something else happened to the car since it was looked at, so that it is"
    " looked at and decided anew; failed with its outcome unknown, so that it is looked up.",
)
INVARIANT = Label(
    "invariant", None, "Name of the always-true check.", bounded_by="one name per invariant file"
)

CHECKOUT_HOLD_ATTEMPTS = Metric(
    name="checkout_hold_attempts_total",
    kind="counter",
    description="Attempts to hold a car; sold_out means that another shopper was faster.",
    labels=(SERVICE, OUTCOME),
    unit="attempts",
    owner="checkout",
    shown_on="shop",
)
CHECKOUT_PAYMENT_SUBMISSIONS = Metric(
    name="checkout_payment_submissions_total",
    kind="counter",
    description=(
        "Submitted orders by what became of their payment: ok when the order is confirmed, refused"
        " when the bank or shopper said no, unavailable when the provider did not open it, fault"
        " when we failed. A submission that failed counts so once, however often it is tried again"
        " with the same key or for the same hold; if a retry succeeds, it is ok besides."
    ),
    labels=(SERVICE, PROVIDER, OUTCOME),
    unit="payments",
    owner="checkout",
    shown_on="shop",
)
CHECKOUT_PAYMENT_DURATION = Metric(
    name="checkout_payment_duration_seconds",
    kind="histogram",
    description="One call to the payment provider, from request to answer or time-out.",
    labels=(SERVICE, PROVIDER, OUTCOME),
    unit="seconds",
    owner="checkout",
    buckets=PAYMENT_BUCKETS,
    shown_on="services",
)
CHECKOUT_WEBHOOKS = Metric(
    name="checkout_webhooks_total",
    kind="counter",
    description="Messages from payment providers by what became of them.",
    labels=(SERVICE, PROVIDER, WEBHOOK_RESULT),
    unit="messages",
    owner="checkout",
    shown_on="services",
)
CHECKOUT_EFFECTS = Metric(
    name="checkout_effects_total",
    kind="counter",
    description="Statements that write all of an effect or nothing, by what became of them.",
    labels=(SERVICE, EFFECT, EFFECT_RESULT),
    unit="effects",
    owner="checkout",
    shown_on="services",
)
CHECKOUT_LATE_PAYMENTS = Metric(
    name="checkout_late_payments_total",
    kind="counter",
    description="Payments that succeeded after their hold had ended.",
    labels=(SERVICE, LATE_RESULT),
    unit="payments",
    owner="checkout",
    shown_on="services",
)
CHECKOUT_DESK_SALES = Metric(
    name="checkout_desk_sales_total",
    kind="counter",
    description="Cars that dealers reported as sold in the showroom, by what came of it.",
    labels=(SERVICE, DESK_RESULT),
    unit="reports",
    owner="checkout",
    shown_on="services",
)
CHECKOUT_INVARIANT_VIOLATIONS = Metric(
    name="checkout_invariant_violations",
    kind="gauge",
    description="Rows that break an always-true rule at the last check; anything but 0 is wrong.",
    labels=(SERVICE, INVARIANT),
    unit="rows",
    owner="checkout",
    shown_on="services",
)
CHECKOUT_PAYMENT_CIRCUIT = Metric(
    name="checkout_payment_circuit",
    kind="gauge",
    description="Whether a provider is asked at all: 0 closed (asked), 1 half open, 2 open.",
    labels=(SERVICE, PROVIDER),
    unit="state",
    owner="checkout",
    shown_on="services",
)
CHECKOUT_PAYMENT_CIRCUIT_CHANGES = Metric(
    name="checkout_payment_circuit_changes_total",
    kind="counter",
    description="Changes of a provider's circuit, by the state that it came to.",
    labels=(SERVICE, PROVIDER, CIRCUIT_STATE),
    unit="changes",
    owner="checkout",
    shown_on="services",
)
CHECKOUT_PAYMENT_RETRIES = Metric(
    name="checkout_payment_retries_total",
    kind="counter",
    description="Failed attempts at a provider that were repeated, or were not for want of budget.",
    labels=(SERVICE, PROVIDER, RETRY_RESULT),
    unit="attempts",
    owner="checkout",
    shown_on="services",
)
CHECKOUT_PAYMENT_MISMATCHES = Metric(
    name="checkout_payment_mismatches_total",
    kind="counter",
    description="Payments of another amount or currency than their order's; they never confirm it.",
    labels=(SERVICE, PROVIDER),
    unit="payments",
    owner="checkout",
    shown_on="services",
)
CHECKOUT_MONEY_MOVED = Metric(
    name="checkout_money_moved_total",
    kind="counter",
    description="Times that money of an order moved at the provider without our asking for it.",
    labels=(SERVICE, PROVIDER, MOVE),
    unit="moves",
    owner="checkout",
    shown_on="services",
)
CHECKOUT_WORK_DUE = Metric(
    name="checkout_work_due_seconds",
    kind="gauge",
    description="How long the oldest item of a work list has been due or failing; 0 for none.",
    labels=(SERVICE, WORK),
    unit="seconds",
    owner="checkout",
    shown_on="services",
)
CHECKOUT_REFUNDS_REFUSED = Metric(
    name="checkout_refunds_refused",
    kind="gauge",
    description="Refunds that the provider refused or that failed: a person must end each.",
    labels=(SERVICE,),
    unit="refunds",
    owner="checkout",
    shown_on="services",
)
CHECKOUT_STOCK_HELD = Metric(
    name="checkout_stock_held_ratio",
    kind="gauge",
    description="Share of a market's cars on offer that somebody holds and has not bought.",
    labels=(SERVICE, MARKET),
    unit="ratio",
    owner="checkout",
    shown_on="services",
)

METRICS = (
    CHECKOUT_HOLD_ATTEMPTS,
    CHECKOUT_PAYMENT_SUBMISSIONS,
    CHECKOUT_PAYMENT_DURATION,
    CHECKOUT_WEBHOOKS,
    CHECKOUT_EFFECTS,
    CHECKOUT_LATE_PAYMENTS,
    CHECKOUT_DESK_SALES,
    CHECKOUT_INVARIANT_VIOLATIONS,
    CHECKOUT_PAYMENT_CIRCUIT,
    CHECKOUT_PAYMENT_CIRCUIT_CHANGES,
    CHECKOUT_PAYMENT_RETRIES,
    CHECKOUT_PAYMENT_MISMATCHES,
    CHECKOUT_MONEY_MOVED,
    CHECKOUT_WORK_DUE,
    CHECKOUT_REFUNDS_REFUSED,
    CHECKOUT_STOCK_HELD,
)
