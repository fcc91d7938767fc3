"""What the practice payment provider measures, so that a drill can see what it did."""

from telemetry.catalogue.labels import SERVICE
from telemetry.catalogue.spec import Label, Metric

PAYMENT_RESULT = Label(
    "result",
    ("paid", "declined", "challenged", "timed_out", "cancelled"),
    "What the provider answered the shopper; challenged means that 3-D Secure was asked for.",
)
DELIVERY_RESULT = Label(
    "result",
    ("delivered", "retried", "lost", "gave_up"),
    "What became of one attempt to deliver a webhook; lost ones are lost on purpose.",
)

SANDBOX_PAYMENTS = Metric(
    name="sandbox_payments_total",
    kind="counter",
    description="Submissions of the hosted payment page by answer.",
    labels=(SERVICE, PAYMENT_RESULT),
    unit="payments",
    owner="sandbox",
    shown_on="services",
)
SANDBOX_WEBHOOKS = Metric(
    name="sandbox_webhooks_total",
    kind="counter",
    description="Attempts to deliver a webhook by result.",
    labels=(SERVICE, DELIVERY_RESULT),
    unit="attempts",
    owner="sandbox",
    shown_on="services",
)

METRICS = (SANDBOX_PAYMENTS, SANDBOX_WEBHOOKS)
