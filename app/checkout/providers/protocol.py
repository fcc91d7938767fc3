"""What checkout asks of a payment provider, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from app.kernel.errors import Unavailable, VitrineError
from app.kernel.money import Money
from telemetry.catalogue.outcomes import Outcome

PaymentState = Literal[
    "pending", "action_required", "authorised", "succeeded", "declined", "cancelled", "released"
]
"""Authorised money is ready and not taken yet; *released* is authorised money that we let go."""


class ProviderUnavailable(Unavailable):
    """The payment provider does not answer; the hold is kept."""

    code, title = "payment-provider-unavailable", "The payment service does not answer right now"


class ProviderRefused(VitrineError):
    """The provider understood and said no: a defect of ours or of the settings."""

    code, title = "payment-provider-refused", "The payment service refused our request"
    outcome, status = Outcome.FAULT, 500


class NoAnswer(Exception):
    """One attempt failed in a way that another may not: no answer, or none that can be read.

    Every call carries its own idempotency, so repeating it is safe.
    """


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """What a provider is asked to collect. `reference` is our order: the same one, one payment."""

    reference: str
    amount: Money
    description: str
    return_url: str
    cancel_url: str
    language: str
    traceparent: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ProviderPayment:
    """A payment as the provider sees it; `amount` (minor units) is what it has or would take."""

    payment_id: str
    reference: str
    state: PaymentState
    amount: int
    currency: str
    payment_url: str
    accepted_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A verified message of a provider; `payment` is None when it is about nothing of ours."""

    event_id: str
    type: str
    payment: ProviderPayment | None


class PaymentProvider(Protocol):
    """One payment provider.

    A bare adapter makes one attempt and raises `NoAnswer`; checkout uses it inside a
    `GuardedProvider`, which repeats within a deadline and a budget and raises
    `ProviderUnavailable` instead. Both raise `ProviderRefused` for a clear no.
    """

    name: str

    async def create(self, order: PaymentOrder) -> ProviderPayment:
        """Open a payment; the same reference gives the same one."""
        ...

    async def find(self, payment_id: str) -> ProviderPayment: ...

    async def capture(self, payment_id: str, reference: str) -> ProviderPayment:
        """Take authorised money. Asking again, or for money that was taken, changes nothing."""
        ...

    async def void(self, payment_id: str, reference: str) -> ProviderPayment:
        """Close a payment that has not taken money; authorised money is let go.

        A payment that has taken money, or was closed before, is returned as it is.
        """
        ...

    async def refund(self, payment_id: str, reference: str) -> None:
        """Give all the money back; the same reference refunds once."""
        ...

    def verify(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent:
        """Check a webhook over its raw bytes.

        Raises `SignatureRefused` for a wrong, missing or old signature, `MalformedRequest` for a
        signed body that cannot be read.
        """
        ...
