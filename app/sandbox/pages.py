"""The hosted payment page: plain forms that work without JavaScript."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

from babel.numbers import format_currency
from fastapi import APIRouter, Form
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.frame.inbound.callers import preferred_language
from app.kernel.clock import Clock
from app.kernel.money import MINOR_UNITS
from app.sandbox.cards import CARDS, CardForm, errors_of
from app.sandbox.errors import PaymentClosed, PaymentUnknown
from app.sandbox.payments import OPEN, Payments, Submitted
from app.sandbox.store import Record
from app.sandbox.texts import texts_for
from app.sandbox.webhooks import Webhooks

TEMPLATES: Final = Path(__file__).parent / "templates"
STYLE: Final = (TEMPLATES / "style.css").read_bytes()

HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_ID: Final = re.compile(r"[a-z0-9_]{1,40}")
Typed = Annotated[str, Form(max_length=200)]


class Pages:
    """Renders the hosted page's states."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined
        )

    def render(
        self, template: str, payment: Record, heading: str, *, status: int = 200, **values: Any
    ) -> Response:
        texts = texts_for(payment["language"])
        html = self._templates.get_template(template).render(
            t=texts,
            language=payment["language"],
            heading=texts[heading],
            payment=payment,
            amount=_amount(payment),
            **values,
        )
        return Response(html, status_code=status, media_type="text/html", headers=HEADERS)

    def form(self, payment: Record, form: CardForm, errors: dict[str, str]) -> Response:
        return self.render(
            "form.html",
            payment,
            "title",
            status=422 if errors else 200,
            errors=errors,
            form={"name": form.name},
            cards=CARDS,
        )

    def notice(self, payment: Record, name: str, *, retry: bool, status: int = 200) -> Response:
        text = texts_for(payment["language"])[f"{name}_text"]
        return self.render(
            "notice.html", payment, f"{name}_title", status=status, text=text, retry=retry
        )

    def unknown(self, language: str) -> Response:
        """A link that leads nowhere; a person followed it, so it is a page."""
        texts = texts_for(language)
        html = self._templates.get_template("notice.html").render(
            t=texts,
            language=language,
            heading=texts["unknown_title"],
            payment=None,
            text=texts["unknown_text"],
            retry=False,
        )
        return Response(html, status_code=404, media_type="text/html", headers=HEADERS)


def page_routes(payments: Payments, webhooks: Webhooks, clock: Clock) -> APIRouter:  # noqa: C901 - a list of routes
    """The shopper's side of the provider."""
    router = APIRouter(prefix="/sandbox", include_in_schema=False)
    pages = Pages()

    async def after(submitted: Submitted) -> Response:
        """Tell the shop at once, then show what comes next."""
        payment = submitted.payment
        await webhooks.deliver_due(payment_id=payment["payment_id"])
        if submitted.answer == "timed_out":
            return pages.notice(payment, "timeout", retry=True, status=504)
        if submitted.answer == "challenged":
            here = f"/sandbox/pay/{payment['payment_id']}"
            return RedirectResponse(here, status_code=303, headers=HEADERS)
        return RedirectResponse(payment["return_url"], status_code=303, headers=HEADERS)

    @router.get("/style.css")
    async def style() -> Response:
        return Response(STYLE, media_type="text/css", headers={"cache-control": "max-age=3600"})

    async def found(payment_id: str) -> Record | None:
        with suppress(PaymentUnknown):
            return await payments.find(payment_id) if _ID.fullmatch(payment_id) else None
        return None

    @router.get("/pay/{payment_id}")
    async def show(payment_id: str, request: Request) -> Response:
        payment = await found(payment_id)
        if payment is None:
            return pages.unknown(_language(request))
        if payment["state"] not in OPEN:
            return pages.notice(payment, "closed", retry=False)
        if payment["state"] == "requires_action":
            return pages.render("challenge.html", payment, "challenge_title")
        return pages.form(payment, CardForm("", "", "", ""), {})

    @router.post("/pay/{payment_id}")
    async def pay(
        payment_id: str,
        request: Request,
        card_number: Typed = "",
        expiry: Typed = "",
        cvc: Typed = "",
        name: Typed = "",
    ) -> Response:
        payment = await found(payment_id)
        if payment is None:
            return pages.unknown(_language(request))
        if payment["state"] not in OPEN:
            # A double click or a reload, whatever was typed: the first one counts.
            return RedirectResponse(payment["return_url"], status_code=303, headers=HEADERS)
        form = CardForm(card_number, expiry, cvc, name)
        errors = errors_of(form, clock.now().date())
        if errors:
            return pages.form(payment, form, errors)
        try:
            return await after(await payments.submit(payment_id, form))
        except PaymentClosed:
            return RedirectResponse(payment["return_url"], status_code=303, headers=HEADERS)

    @router.post("/pay/{payment_id}/challenge")
    async def challenge(payment_id: str, request: Request, decision: Typed = "") -> Response:
        payment = await found(payment_id)
        if payment is None:
            return pages.unknown(_language(request))
        try:
            submitted = await payments.decide_challenge(payment_id, approve=decision == "approve")
        except PaymentClosed:
            return RedirectResponse(payment["return_url"], status_code=303, headers=HEADERS)
        return await after(submitted)

    return router


def _language(request: Request) -> str:
    return preferred_language(request.headers.get("accept-language", ""))


def _amount(payment: Record) -> str:
    value = payment["amount"] / 10 ** MINOR_UNITS[payment["currency"]]
    if payment["language"] == "sv":
        return format_currency(value, payment["currency"], locale="sv_SE")
    spaced = "¤¤\N{NO-BREAK SPACE}#,##0.00"  # the code itself: "kr" means three currencies
    return format_currency(value, payment["currency"], spaced, locale="en_GB")
