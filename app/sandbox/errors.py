"""What can go wrong at the practice provider."""

from __future__ import annotations

from app.kernel.errors import CannotStart, NotFound, Unavailable, VitrineError
from telemetry.catalogue.outcomes import Outcome


class PaymentUnknown(NotFound):
    code, title = "payment-unknown", "There is no such payment"


class PaymentClosed(VitrineError):
    code, title = "payment-closed", "This payment is already decided"
    outcome, status = Outcome.CONFLICT, 409


class BrownOut(Unavailable):
    """Failing on purpose: a fault flag is set."""

    code, title = "sandbox-brown-out", "The practice provider is failing on purpose"


class NotInProduction(CannotStart):
    """The practice provider must be allowed by name in production."""
