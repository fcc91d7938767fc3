"""A payment's life at the practice provider."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import orjson

from app.contracts.sandbox import DisputeStatus, PaymentRequest
from app.frame.flags import Flags
from app.kernel.clock import Clock, rfc3339
from app.kernel.ids import new_id
from app.sandbox.cards import CARDS, Behaviour, CardForm, digits
from app.sandbox.errors import PaymentClosed, PaymentUnknown
from app.sandbox.signals import Signals
from app.sandbox.store import Record, SandboxTransaction, Store

OPEN: Final = frozenset({"requires_payment_method", "requires_action"})
DELAY: Final = timedelta(seconds=8)
"""How late the webhook of the "delayed" card is."""

Answer = Literal["paid", "declined", "challenged", "timed_out"]


@dataclass(frozen=True, slots=True)
class Submitted:
    """What the hosted page shows next."""

    answer: Answer
    payment: Record


class Payments:
    """Use cases around a payment."""

    def __init__(self, store: Store, signals: Signals, clock: Clock, flags: Flags) -> None:
        self._flags = flags
        self._store = store
        self._signals = signals
        self._clock = clock

    async def create(self, request: PaymentRequest) -> dict[str, Any]:
        """Open a payment; the same reference gives the same one."""
        async with self._store.begin() as transaction:
            await transaction.add_payment(
                {
                    "payment_id": new_id("pay", self._clock.now()),
                    "reference": request.reference,
                    "amount": request.amount.amount,
                    "currency": request.amount.currency,
                    "refunded": 0,
                    "state": "requires_payment_method",
                    "description": request.description,
                    "return_url": request.return_url,
                    "cancel_url": request.cancel_url,
                    "language": request.language,
                    "traceparent": request.traceparent,
                    "created_at": self._clock.now(),
                }
            )
            payment = await transaction.payment_of(request.reference)
        return self.wire(payment)

    async def find(self, payment_id: str) -> Record:
        """Raises `PaymentUnknown`."""
        payment = await self._store.payment(payment_id)
        if payment is None:
            raise PaymentUnknown(f"There is no payment {payment_id}.")
        return payment

    async def refund(self, payment_id: str) -> dict[str, Any]:
        """Give everything back; asking again changes nothing."""
        async with self._store.begin() as transaction:
            payment = await self._taken(transaction, payment_id)
            await transaction.set_payment(payment_id, refunded=payment["amount"])
            payment["refunded"] = payment["amount"]
        return self.wire(payment)

    async def refund_by_hand(self, payment_id: str, amount: int | None) -> dict[str, Any]:
        """Somebody at the provider gives money back, and the shop is told; never more than paid."""
        async with self._store.begin() as transaction:
            payment = await self._taken(transaction, payment_id)
            left = payment["amount"] - payment["refunded"]
            payment["refunded"] += left if amount is None else min(amount, left)
            await transaction.set_payment(payment_id, refunded=payment["refunded"])
            await self._tell(transaction, payment, "payment.refunded")
        return self.wire(payment)

    async def dispute(
        self, payment_id: str, status: DisputeStatus, amount: int | None = None
    ) -> dict[str, Any]:
        """The shopper's bank asks for the money back, or that was decided; the shop is told.

        Each one that opens after another was decided is a new one.
        """
        async with self._store.begin() as transaction:
            payment = await self._taken(transaction, payment_id)
            changed: Record = {"dispute": status}
            decided = payment.get("dispute") in ("won", "lost")
            if not payment.get("dispute") or (decided and status == "open"):
                asked = payment["amount"] if amount is None else min(amount, payment["amount"])
                number = (payment.get("disputes") or 0) + 1
                changed |= {"disputes": number, "disputed_amount": asked}
            payment |= changed
            await transaction.set_payment(payment_id, **changed)
            type_ = "payment.disputed" if status == "open" else "payment.dispute_closed"
            await self._tell(transaction, payment, type_)
        return self.wire(payment)

    async def close(self, payment_id: str) -> dict[str, Any]:
        """The provider closes a payment that nobody has made, and tells the shop."""
        async with self._store.begin() as transaction:
            payment = await self._open(transaction, payment_id)
            payment["state"] = "canceled"
            await transaction.set_payment(payment_id, state="canceled")
            await self._tell(transaction, payment, "payment.canceled")
        return self.wire(payment)

    async def cancel(self, payment_id: str) -> dict[str, Any]:
        """Close a payment that nobody may pay any more; a decided one stays as it is."""
        async with self._store.begin() as transaction:
            payment = await self._locked(transaction, payment_id)
            if payment["state"] in OPEN:
                payment["state"] = "canceled"
                await transaction.set_payment(payment_id, state="canceled")
        return self.wire(payment)

    async def submit(self, payment_id: str, form: CardForm) -> Submitted:
        """The shopper sent the card form (already checked); the card decides what happens.

        Raises `PaymentUnknown`, or `PaymentClosed` when the payment is decided.
        """
        behaviour = CARDS[digits(form.card_number)]
        if random.random() < self._flags.number("sandbox-decline-ratio"):  # noqa: S311 - a fault
            behaviour = "declined"
        async with self._store.begin() as transaction:
            payment = await self._open(transaction, payment_id)
            answer = await self._play(transaction, payment, behaviour)
        self._signals.answered(payment_id, answer, caused_by=payment["traceparent"])
        return Submitted(answer, payment)

    async def decide_challenge(self, payment_id: str, *, approve: bool) -> Submitted:
        """The shopper's answer to the 3-D Secure step."""
        async with self._store.begin() as transaction:
            payment = await self._open(transaction, payment_id)
            if payment["state"] != "requires_action":
                raise PaymentClosed("There is no confirmation to give for this payment.")
            if approve:
                await self._succeed(transaction, payment)
            else:
                await self._decline(transaction, payment)
        answer: Answer = "paid" if approve else "declined"
        self._signals.answered(payment_id, answer, caused_by=payment["traceparent"])
        return Submitted(answer, payment)

    async def _play(
        self, transaction: SandboxTransaction, payment: Record, card: Behaviour
    ) -> Answer:
        match card:
            case "declined" | "insufficient":
                await self._decline(transaction, payment)
                return "declined"
            case "challenge":
                payment["state"] = "requires_action"
                await transaction.set_payment(
                    payment["payment_id"], state="requires_action", card=card
                )
                await self._tell(transaction, payment, "payment.requires_action")
                return "challenged"
            case "timeout":
                return "timed_out"
            case "reordered":
                # The success is told first, the earlier step arrives after it.
                await self._tell(
                    transaction,
                    {**payment, "state": "requires_action"},
                    "payment.requires_action",
                    delay=timedelta(seconds=2),
                )
                await self._succeed(transaction, payment)
            case "delayed":
                await self._succeed(transaction, payment, delay=DELAY)
            case "repeated":
                await self._succeed(transaction, payment, copies=3)
            case "lost":
                await self._succeed(transaction, payment, copies=0)
            case "pays":
                await self._succeed(transaction, payment)
        return "paid"

    async def _succeed(
        self,
        transaction: SandboxTransaction,
        payment: Record,
        *,
        delay: timedelta = timedelta(),
        copies: int = 1,
    ) -> None:
        now = self._clock.now()
        payment |= {"state": "succeeded", "accepted_at": now}
        await transaction.set_payment(payment["payment_id"], state="succeeded", accepted_at=now)
        await self._tell(transaction, payment, "payment.succeeded", delay=delay, copies=copies)

    async def _decline(self, transaction: SandboxTransaction, payment: Record) -> None:
        payment["state"] = "declined"
        await transaction.set_payment(payment["payment_id"], state="declined")
        await self._tell(transaction, payment, "payment.declined")

    async def _tell(
        self,
        transaction: SandboxTransaction,
        payment: Record,
        type_: str,
        *,
        delay: timedelta = timedelta(),
        copies: int = 1,
    ) -> None:
        """Store a webhook with its effect; it is sent after the commit."""
        now = self._clock.now()
        event_id = new_id("wh", now)
        body = {
            "event_id": event_id,
            "type": type_,
            "created_at": rfc3339(now),
            "payment": self.wire(payment),
        }
        if not copies:
            self._signals.delivery(event_id, "lost")
        await transaction.add_delivery(
            {
                "event_id": event_id,
                "payment_id": payment["payment_id"],
                "body": orjson.dumps(body),
                "copies": copies,
                "due_at": now + delay if copies else None,
            }
        )

    async def _taken(self, transaction: SandboxTransaction, payment_id: str) -> Record:
        payment = await self._locked(transaction, payment_id)
        if payment["state"] != "succeeded":
            raise PaymentClosed("Only money of a payment that succeeded can move.")
        return payment

    async def _open(self, transaction: SandboxTransaction, payment_id: str) -> Record:
        payment = await self._locked(transaction, payment_id)
        if payment["state"] not in OPEN:
            raise PaymentClosed("This payment is already decided.")
        return payment

    async def _locked(self, transaction: SandboxTransaction, payment_id: str) -> Record:
        payment = await transaction.lock_payment(payment_id)
        if payment is None:
            raise PaymentUnknown(f"There is no payment {payment_id}.")
        return payment

    def wire(self, payment: Record) -> dict[str, Any]:
        """A payment as the money API shows it (`contracts.sandbox.Payment`)."""
        accepted_at: datetime | None = payment.get("accepted_at")
        disputes, disputed = payment.get("disputes"), payment.get("disputed_amount")
        shop = urlsplit(payment["return_url"])
        return {
            "payment_id": payment["payment_id"],
            "reference": payment["reference"],
            "state": payment["state"],
            "amount": {"amount": payment["amount"], "currency": payment["currency"]},
            "refunded": {"amount": payment["refunded"], "currency": payment["currency"]},
            "payment_url": f"{shop.scheme}://{shop.netloc}/sandbox/pay/{payment['payment_id']}",
            "dispute": payment.get("dispute") or "",
            "dispute_id": f"dp_{disputes}_{payment['payment_id']}" if disputes else "",
            "disputed": {"amount": disputed, "currency": payment["currency"]} if disputed else None,
            "accepted_at": None if accepted_at is None else rfc3339(accepted_at),
        }
