"""Stripe, through its official client: a deposit is authorised, and taken by a second call.

docs/decisions/0005-stripe-by-redirect-captured-by-us.md says why. Two ways to pay, one life after:

- *redirect*: Stripe's hosted Checkout page; no card data and no script of a third party touches us.
- *intent*: a bare payment intent, for a head that shows Stripe's own form at `payment_page` (an
  app, or a test against localstripe). The client secret follows that address as its fragment,
  which browsers keep to themselves.

Whatever the way, the payment intent carries our order's id and decides the payment's state. What
Stripe is told: the amount, the car's name and our order's id. Nothing about the shopper.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, NoReturn, TypeVar

import httpx
import stripe
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.checkout.providers.named import moves_money
from app.checkout.providers.protocol import (
    NoAnswer,
    PaymentOrder,
    PaymentState,
    ProviderEvent,
    ProviderPayment,
    ProviderRefused,
)
from app.checkout.providers.signatures import check_signature
from app.checkout.providers.stripe_messages import (
    EVENT_TYPES,
    INTENT_TYPES,
    ORDER_KEY,
    SESSION_TYPES,
    Amount,
    Metadata,
    moved,
)
from app.kernel.clock import Clock
from app.kernel.errors import MalformedRequest
from app.kernel.facts import text_of

stripe.enable_telemetry = False
"""Its client would tell Stripe about this machine and about earlier calls."""

API_BASE: Final = "https://api.stripe.com"
DEADLINE: Final = httpx.Timeout(5.0, connect=1.0)
"""One attempt: 1 s to connect, 5 s to read or write."""

PAGE_LIFE: Final = timedelta(minutes=45)
"""From the order on. Stripe wants 30 minutes from its own now on, and the same value in a retry."""

_STATES: Final[Mapping[str, PaymentState]] = {
    "requires_payment_method": "pending",
    "requires_confirmation": "pending",
    "processing": "pending",
    "requires_action": "action_required",
    "requires_capture": "authorised",
    "succeeded": "succeeded",
    "canceled": "cancelled",
}
T = TypeVar("T")


class _Read(BaseModel):
    """What we read of Stripe's objects; the rest is theirs to change."""

    model_config = ConfigDict(extra="ignore", frozen=True)


Moment = Annotated[int, Field(ge=0, lt=253_402_300_800)]
"""Unix seconds up to the year 9999: a date can be made of them."""


class _Charge(_Read):
    created: Moment
    amount_refunded: Amount = 0
    disputed: bool = False


class _Intent(_Read):
    id: str = Field(pattern=r"^pi_[A-Za-z0-9_]{1,77}$")
    status: str
    amount: Amount
    currency: str
    metadata: Metadata = {}
    amount_capturable: Amount | None = None
    amount_received: Amount | None = None
    client_secret: str | None = None
    last_payment_error: dict[str, Any] | None = None
    latest_charge: _Charge | str | None = None


class _Session(_Read):
    id: str = Field(pattern=r"^cs_[A-Za-z0-9_]{1,77}$")
    url: Annotated[str, text_of(2000)] | None = None
    status: str | None = None
    amount_total: Amount
    currency: str
    metadata: Metadata = {}
    payment_intent: _Intent | None = None


class _EventData(_Read):
    object: dict[str, Any]


class _Event(_Read):
    id: Annotated[str, text_of(80)] = Field(min_length=1)
    type: str
    created: Moment
    livemode: bool | None = None
    account: str | None = None
    data: _EventData


class StripeProvider:
    """One attempt per call at Stripe. An empty `payment_page` means redirect."""

    name = "stripe"

    def __init__(
        self,
        http: httpx.AsyncClient,
        clock: Clock,
        *,
        secret_key: str,
        webhook_secret: str,
        tolerance_seconds: int,
        api_base: str = "",
        payment_page: str = "",
    ) -> None:
        self._clock = clock
        self._secret = webhook_secret
        self._live = moves_money(secret_key)
        self._tolerance = tolerance_seconds
        self._page = payment_page
        self._client = stripe.StripeClient(
            secret_key,
            http_client=_Transport(http),
            base_addresses={"api": api_base.rstrip("/") or API_BASE},
            max_network_retries=0,  # the guard repeats
        )

    async def create(self, order: PaymentOrder) -> ProviderPayment:
        if self._page:
            return await self._create_intent(order)
        return await self._create_session(order)

    async def find(self, payment_id: str) -> ProviderPayment:
        if payment_id.startswith("cs_"):
            return _seen_session(await self._session(payment_id))
        return _seen(await self._intent(payment_id))

    async def capture(self, payment_id: str, reference: str) -> ProviderPayment:
        intent_id = await self._intent_id(payment_id)
        asked = self._client.v1.payment_intents.capture_async(
            intent_id,
            {"expand": ["latest_charge"]},
            {"idempotency_key": f"capture:{reference}:{intent_id}"},
        )
        try:
            return _seen(_read(_Intent, await _answered(asked)))
        except ProviderRefused:
            return await self._unless(intent_id, "authorised")

    async def void(self, payment_id: str, reference: str) -> ProviderPayment:
        if payment_id.startswith("cs_"):
            session = await self._session(payment_id)
            if session.payment_intent is None:
                return await self._expire(session, reference)
            payment_id = session.payment_intent.id
        asked = self._client.v1.payment_intents.cancel_async(
            payment_id, {}, {"idempotency_key": f"void:{reference}:{payment_id}"}
        )
        try:
            return _seen(_read(_Intent, await _answered(asked)))
        except ProviderRefused:
            return await self._unless(payment_id, "authorised", "pending", "action_required")

    async def refund(self, payment_id: str, reference: str) -> None:
        intent_id = await self._intent_id(payment_id)
        intent = await self._intent(intent_id)
        charge = intent.latest_charge
        if isinstance(charge, _Charge) and charge.amount_refunded >= intent.amount:
            return
        await _answered(
            self._client.v1.refunds.create_async(
                {"payment_intent": intent_id, "metadata": {ORDER_KEY: reference}},
                {"idempotency_key": f"refund:{reference}:{intent_id}"},
            )
        )

    def verify(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent:
        check_signature(
            body,
            headers.get("stripe-signature", ""),
            self._secret,
            tolerance_seconds=self._tolerance,
            now=self._clock.now().timestamp(),
            name="Stripe-Signature",
        )
        try:
            event = _Event.model_validate_json(body)
            if event.type not in EVENT_TYPES or self._of_another_account(event):
                return ProviderEvent(event.id, event.type, None)
            found = moved(event.type, event.data.object)
            return ProviderEvent(event.id, event.type, _payment_of(event), found)
        except ValidationError as error:
            raise MalformedRequest(
                f"the signed webhook cannot be read: {error.error_count()} fields do not fit"
            ) from error

    def _of_another_account(self, event: _Event) -> bool:
        """Practice beside real money, or an account that is connected to ours."""
        other_mode = event.livemode is not None and event.livemode != self._live
        return other_mode or bool(event.account)

    async def _create_intent(self, order: PaymentOrder) -> ProviderPayment:
        asked = self._client.v1.payment_intents.create_async(
            {
                "amount": order.amount.amount,
                "currency": order.amount.currency.lower(),
                "capture_method": "manual",
                "metadata": {ORDER_KEY: order.reference},
            },
            {"idempotency_key": f"create:{order.reference}"},
        )
        intent = _read(_Intent, await _answered(asked))
        return _seen(intent, payment_url=f"{self._page}#{intent.client_secret or ''}")

    async def _create_session(self, order: PaymentOrder) -> ProviderPayment:
        # Every value follows from the order alone: Stripe refuses a retry that differs in any.
        reference = {ORDER_KEY: order.reference}
        asked = self._client.v1.checkout.sessions.create_async(
            {
                "mode": "payment",
                "allowed_payment_method_types": ["card"],
                "line_items": [
                    {
                        "quantity": 1,
                        "price_data": {
                            "currency": order.amount.currency.lower(),
                            "unit_amount": order.amount.amount,
                            "product_data": {"name": order.description},
                        },
                    }
                ],
                "payment_intent_data": {"capture_method": "manual", "metadata": reference},
                "client_reference_id": order.reference,
                "metadata": reference,
                "success_url": order.return_url,
                "cancel_url": order.cancel_url,
                "locale": "auto",
                "expires_at": int((order.created_at + PAGE_LIFE).timestamp()),
            },
            {"idempotency_key": f"create:{order.reference}"},
        )
        session = _read(_Session, await _answered(asked))
        if not session.url:
            raise NoAnswer("a payment page without an address")
        return _seen_session(session)

    async def _session(self, session_id: str) -> _Session:
        asked = self._client.v1.checkout.sessions.retrieve_async(
            session_id, {"expand": ["payment_intent.latest_charge"]}
        )
        return _read(_Session, await _answered(asked))

    async def _intent(self, intent_id: str) -> _Intent:
        asked = self._client.v1.payment_intents.retrieve_async(
            intent_id, {"expand": ["latest_charge"]}
        )
        return _read(_Intent, await _answered(asked))

    async def _intent_id(self, payment_id: str) -> str:
        if not payment_id.startswith("cs_"):
            return payment_id
        intent = (await self._session(payment_id)).payment_intent
        if intent is None:
            raise ProviderRefused("Nobody has tried to pay at this payment page yet.")
        return intent.id

    async def _expire(self, session: _Session, reference: str) -> ProviderPayment:
        if session.status == "open":
            asked = self._client.v1.checkout.sessions.expire_async(
                session.id,
                {"expand": ["payment_intent.latest_charge"]},
                {"idempotency_key": f"void:{reference}:{session.id}"},
            )
            session = _read(_Session, await _answered(asked))
        return _seen_session(session)

    async def _unless(self, intent_id: str, *states: PaymentState) -> ProviderPayment:
        """After a refusal: the payment, if it is past what was asked for; else the refusal."""
        found = _seen(await self._intent(intent_id))
        if found.state in states:
            raise ProviderRefused(f"Stripe refused; the payment is still {found.state}.")
        return found


class _Transport(stripe.HTTPClient):
    """Carries Stripe's client over our own HTTP client: our deadlines, spans and metrics."""

    name = "httpx"

    def __init__(self, http: httpx.AsyncClient) -> None:
        super().__init__()
        self._http = http

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        response = await self._http.request(
            method,
            url,
            headers=dict(headers),
            content=post_data or None,
            timeout=DEADLINE,
            extensions={"vitrine.peer": "stripe"},
        )
        return response.content, response.status_code, response.headers

    async def close_async(self) -> None:
        """The client is its owner's to close."""


async def _answered(asked: Awaitable[T]) -> T:
    """Stripe's answer, or what its absence means to us."""
    try:
        return await asked
    except httpx.HTTPError as error:
        raise NoAnswer(type(error).__name__) from error
    except stripe.StripeError as error:
        _explain(error)


def _explain(error: stripe.StripeError) -> NoReturn:
    """429, 409 (the same key is in flight), 5xx and bodies that are not JSON are worth repeating.

    Stripe's own words stay out of answers and logs: they may repeat what was sent.
    """
    status = error.http_status or 0
    clear_no = 400 <= status < 500 and status not in (409, 429)
    if clear_no and not isinstance(error, stripe.RateLimitError):
        raise ProviderRefused(
            f"Stripe answered {status} ({type(error).__name__}, code {error.code or 'none'},"
            f" request {error.request_id or 'unknown'})."
        ) from error
    raise NoAnswer(f"status {status or 'unknown'}") from error


Object = TypeVar("Object", bound=_Read)


def _read(model: type[Object], answer: object) -> Object:
    # Its types promise an object; a list or null in the body comes through all the same.
    if not isinstance(answer, stripe.StripeObject):
        raise NoAnswer("an answer that cannot be read")
    try:
        return model.model_validate(answer.to_dict())
    except ValidationError as error:
        raise NoAnswer("an answer that cannot be read") from error


def _payment_of(event: _Event) -> ProviderPayment | None:
    """The payment that a message shows, when it is one of ours."""
    content = event.data.object
    if event.type in INTENT_TYPES:
        intent = _Intent.model_validate(content)
        return _seen(intent, happened_at=event.created) if ORDER_KEY in intent.metadata else None
    if event.type in SESSION_TYPES:
        # Its payment intent is an id here; a page that is over without one was never paid.
        session = _Session.model_validate({**content, "payment_intent": None})
        seen = _seen_session(session)
        if event.type == "checkout.session.async_payment_failed":
            seen = replace(seen, state="declined")
        return seen if ORDER_KEY in session.metadata else None
    return None


def _seen(
    intent: _Intent, *, payment_url: str = "", happened_at: int | None = None
) -> ProviderPayment:
    state = _STATES.get(intent.status, "pending")
    if intent.status == "requires_payment_method" and intent.last_payment_error is not None:
        state = "declined"
    charge = intent.latest_charge
    taken_at = charge.created if isinstance(charge, _Charge) else happened_at
    accepted = state in ("authorised", "succeeded") and taken_at is not None
    return ProviderPayment(
        payment_id=intent.id,
        reference=intent.metadata.get(ORDER_KEY, ""),
        state=state,
        amount=_amount(intent),
        currency=intent.currency.upper(),
        payment_url=payment_url,
        accepted_at=datetime.fromtimestamp(taken_at or 0, UTC) if accepted else None,
        refunded=charge.amount_refunded if isinstance(charge, _Charge) else 0,
        disputed=isinstance(charge, _Charge) and charge.disputed,
    )


def _amount(intent: _Intent) -> int:
    """What was taken or can be taken, where that is known; else what was asked for."""
    known = {
        "requires_capture": intent.amount_capturable,
        "succeeded": intent.amount_received,
    }.get(intent.status)
    return intent.amount if known is None else known


def _seen_session(session: _Session) -> ProviderPayment:
    """A payment page: its intent once somebody has tried to pay, else the page itself."""
    if session.payment_intent is not None:
        return _seen(session.payment_intent, payment_url=session.url or "")
    return ProviderPayment(
        payment_id=session.id,
        reference=session.metadata.get(ORDER_KEY, ""),
        state="cancelled" if session.status == "expired" else "pending",
        amount=session.amount_total,
        currency=session.currency.upper(),
        payment_url=session.url or "",
        accepted_at=None,
    )
