"""What shoppers thought of it: told by who has bought, counted once per order."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from app.contracts.checkout import CheckoutClient
from app.contracts.client import UpstreamProblem
from app.contracts.events import FeedbackGiven
from app.contracts.wire import Identifier, Wire
from app.kernel.errors import NotAuthorised
from telemetry.catalogue.labels import Market


class Feedback(Wire):
    """Answers of one questionnaire; `market` is needed only without a session."""

    order_id: Identifier
    touchpoint: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
    csat: Annotated[int, Field(ge=1, le=5)] | None = None
    nps: Annotated[int, Field(ge=0, le=10)] | None = None
    market: Market | None = None

    @model_validator(mode="after")
    def _answers_something(self) -> Feedback:
        if self.csat is None and self.nps is None:
            raise ValueError("csat or nps must be answered")
        return self


async def fact_of(answer: Feedback, token: str, checkout: CheckoutClient) -> FeedbackGiven:
    """The fact of an answer by whoever has a bought order's token.

    Raises `NotAuthorised` for anybody else, `Unavailable` while checkout cannot be asked.
    """
    try:
        order = await checkout.read_order(answer.order_id, token=token)
    except UpstreamProblem as problem:
        if problem.status not in (401, 404):
            raise
        order = None
    if order is None or order.confirmed_at is None:
        raise NotAuthorised("Feedback is given with the token of an order that was bought.")
    return FeedbackGiven(answer.touchpoint, answer.csat, answer.nps, answer.order_id)
