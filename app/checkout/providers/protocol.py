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


MoneyMove = Literal[
    "refunded",
    "refund_pending",
    "refund_failed",
    "inquiry",
    "inquiry_closed",
    "disputed",
    "dispute_won",
    "dispute_lost",
    "dispute_refunded",
]
"""An inquiry is a bank's question before a dispute: no money moves. `dispute_refunded` is a dispute
that is over because its money was given back."""


class ProviderUnavailable(Unavailable):
    """The payment provider does not answer; the hold is kept."""

    code, title = "payment-provider-unavailable", "The payment service does not answer right now"


class ProviderPaused(ProviderUnavailable):
    """It is not asked at all for the moment: its circuit is open."""


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
    refunded: int = 0
    """What of it went back, whoever sent it."""
    disputed: bool = False
    """Whether the shopper's bank has asked for it back, however that was decided."""


@dataclass(frozen=True, slots=True)
class MoneyMoved:
    """Money that moved at the provider after it was taken, whoever moved it.

    `amount` is what the move is about, in minor units; without a `move_id`, what went back in
    total. `reference` is our order's id, or empty: then `payment_id` finds it.
    """

    payment_id: str
    reference: str
    move: MoneyMove
    amount: int
    """0 of a dispute: not known, so all of it."""
    move_id: str = ""
    """The refund's or the dispute's own."""
    currency: str = ""
    """Where it may be another one than the payment's."""
    asked: bool = False
    """Whether it is the answer to a question of now, which no message overtakes."""


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A verified message of a provider, about a payment's state or about money that moved later.

    Neither is there when it is about nothing of ours.
    """

    event_id: str
    type: str
    payment: ProviderPayment | None
    moved: MoneyMoved | None = None


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
