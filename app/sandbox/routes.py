"""The provider's money API, for shops with a key."""

from __future__ import annotations

import asyncio
import hmac
import random
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from starlette.responses import JSONResponse

from app.contracts.sandbox import Payment, PaymentRequest, RefundRequest
from app.contracts.wire import Identifier, problem_responses
from app.frame.platform import Platform
from app.kernel.errors import NotAuthorised
from app.sandbox.errors import BrownOut
from app.sandbox.payments import Payments


def public_routes(payments: Payments, platform: Platform) -> APIRouter:
    """Create, find, cancel and refund payments; fails on purpose when a fault flag says so."""

    def authorised(authorization: Annotated[str, Header()] = "") -> None:
        expected = f"Bearer {platform.settings.payment_key}"
        if not hmac.compare_digest(authorization.encode(), expected.encode()):
            raise NotAuthorised("Send the shop's payment key as Authorization: Bearer <key>.")

    async def troubled() -> None:
        latency = platform.flags.number("sandbox-latency-seconds")
        if latency > 0:
            await asyncio.sleep(min(latency, 60.0))
        if random.random() < platform.flags.number("sandbox-error-ratio"):  # noqa: S311 - a fault
            raise BrownOut("A fault flag makes this provider fail.", retry_after_seconds=1)

    router = APIRouter(prefix="/sandbox/v1", dependencies=[Depends(authorised), Depends(troubled)])
    answers = problem_responses(400, 401, 404, 409, 422, 503)

    @router.post("/payments", response_model=Payment, responses=answers)
    async def create(body: PaymentRequest) -> JSONResponse:
        return JSONResponse(await payments.create(body))

    @router.get("/payments/{payment_id}", response_model=Payment, responses=answers)
    async def find(payment_id: Identifier) -> JSONResponse:
        return JSONResponse(payments.wire(await payments.find(payment_id)))

    @router.post("/payments/{payment_id}/refunds", response_model=Payment, responses=answers)
    async def refund(payment_id: Identifier, body: RefundRequest) -> JSONResponse:
        return JSONResponse(await payments.refund(payment_id))

    @router.post("/payments/{payment_id}/cancellation", response_model=Payment, responses=answers)
    async def cancel(payment_id: Identifier) -> JSONResponse:
        return JSONResponse(await payments.cancel(payment_id))

    return router
