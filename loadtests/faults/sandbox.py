"""Faults of the payment provider."""

from loadtests.faults.flags import Fault

BROWNOUT = Fault(
    name="payment-brownout",
    description="The provider answers after five seconds, and every tenth time not at all.",
    flags={"sandbox-latency-seconds": 5.0, "sandbox-error-ratio": 0.1},
)
"""As in the peak model: 5 s latency and 10 % errors. It is a brown-out, not an outage: most
payments still succeed, slowly, which is exactly what a status page that only pings would miss."""
