"""The payment provider becomes slow and unreliable in the middle of a busy hour."""

from loadtests.drills.drill import Drill
from loadtests.faults.sandbox import BROWNOUT

PAYMENT_BROWNOUT = Drill(
    name="payment-brownout",
    description="The provider takes five seconds and fails every tenth call; shoppers keep coming.",
    fault=BROWNOUT,
    alert="PaymentProviderFailing",
    baseline_seconds=20.0,
    detect_within=60.0,
    clear_within=90.0,
    base_rate=1.5,
)
