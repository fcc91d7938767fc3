"""What happens at a provider without the shop: its own refunds, the banks' disputes.

On the internal port, for tests and rehearsals: a real provider has a dashboard for it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from app.contracts.sandbox import DisputeStatus, Payment
from app.contracts.wire import Identifier, Wire
from app.sandbox.payments import Payments


class RefundByHand(Wire):
    """Minor units to give back now; None is all that is left."""

    amount: Annotated[int, Field(ge=1)] | None = None


class DisputeStep(Wire):
    """`open`: the shopper's bank wants the money back; `won` and `lost` are the shop's.

    After one that was decided, `open` is another one. `amount` (minor units) is what it is about
    when it opens; None is everything.
    """

    status: DisputeStatus
    amount: Annotated[int, Field(ge=1)] | None = None


def internal_routes(payments: Payments) -> APIRouter:
    router = APIRouter()

    @router.post("/payments/{payment_id}/refunds", response_model=Payment)
    async def refund(payment_id: Identifier, body: RefundByHand) -> object:
        return await payments.refund_by_hand(payment_id, body.amount)

    @router.post("/payments/{payment_id}/disputes", response_model=Payment)
    async def dispute(payment_id: Identifier, body: DisputeStep) -> object:
        return await payments.dispute(payment_id, body.status, body.amount)

    @router.post("/payments/{payment_id}/cancellation", response_model=Payment)
    async def cancel(payment_id: Identifier) -> object:
        return await payments.close(payment_id)

    return router
