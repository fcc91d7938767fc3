"""What shoppers thought of it: an order, told by who has bought; advice, by who was given it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from app.contracts.checkout import CheckoutClient
from app.contracts.client import UpstreamProblem
from app.contracts.events import FeedbackGiven
from app.contracts.wire import Identifier, Wire
from app.frame.sessions import Session
from app.kernel.errors import NotAuthorised
from telemetry.catalogue.labels import Market


class Feedback(Wire):
    """Answers of one questionnaire, about an order or about advice.

    `market` is needed only without a session; advice is not asked about with `nps`.
    """

    order_id: Identifier | None = None
    advice_id: Identifier | None = None
    touchpoint: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
    csat: Annotated[int, Field(ge=1, le=5)] | None = None
    nps: Annotated[int, Field(ge=0, le=10)] | None = None
    market: Market | None = None

    @model_validator(mode="after")
    def _answers_something(self) -> Feedback:
        if (self.order_id is None) == (self.advice_id is None):
            raise ValueError("either order_id or advice_id says what it is about")
        if self.csat is None and self.nps is None:
            raise ValueError("csat or nps must be answered")
        if self.advice_id is not None and self.nps is not None:
            raise ValueError("nps is asked about an order, not about advice")
        return self


async def fact_of_order(answer: Feedback, token: str, checkout: CheckoutClient) -> FeedbackGiven:
    """The fact of an answer by whoever has a bought order's token.

    Raises `NotAuthorised` for anybody else, `Unavailable` while checkout cannot be asked.
    """
    order_id = answer.order_id or ""
    try:
        order = await checkout.read_order(order_id, token=token)
    except UpstreamProblem as problem:
        if problem.status not in (401, 404):
            raise
        order = None
    if order is None or order.confirmed_at is None:
        raise NotAuthorised("Feedback is given with the token of an order that was bought.")
    return FeedbackGiven(answer.touchpoint, answer.csat, answer.nps, order_id)


def fact_of_advice(answer: Feedback, session: Session | None) -> FeedbackGiven:
    """The fact of an answer by the visit that was given this advice last.

    Raises `NotAuthorised` for anybody else, and for a visit that is in no number or has answered.
    """
    if session is None or not session.counted or session.rated:
        raise NotAuthorised("Advice is spoken about once, by the visit that it was given to.")
    if not session.advice or session.advice != answer.advice_id:
        raise NotAuthorised("This visit was not given this advice, or another one since.")
    return FeedbackGiven(answer.touchpoint, answer.csat, advice_id=session.advice)
