"""The program that tests start as Stripe: localstripe with two parts of Stripe that it lacks.

`python -m tests.builders.localstripe_server <port>` serves localstripe's own application (payment
intents, captures, refunds, events and webhooks are its work) on the loopback address, and adds

- Idempotency-Key as Stripe documents it: the first answer is kept, the same key with another body
  is an error;
- hosted Checkout sessions, as far as a one-off payment with manual capture needs them. A page is
  paid by `POST /_config/sessions/<id>/pay` with a `payment_method`.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from localstripe.errors import UserError
from localstripe.resources import PaymentIntent, Store, random_id
from localstripe.server import app, get_post_data, json_response, unflatten_data

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ANSWERS: dict[str, tuple[str, int, bytes]] = {}
_SESSIONS: dict[str, dict[str, Any]] = {}


@web.middleware
async def idempotency(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Stored once the work began: successes, declined cards and our own errors."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return await handler(request)
    body = await request.read()
    asked = hashlib.sha256(request.path.encode() + b"?" + body).hexdigest()
    if key in _ANSWERS:
        first, status, stored = _ANSWERS[key]
        if first != asked:
            error = {"type": "idempotency_error", "message": "Same key, other parameters."}
            return web.json_response({"error": error}, status=400)
        return web.Response(
            body=stored,
            status=status,
            content_type="application/json",
            headers={"Idempotent-Replayed": "true"},
        )
    answer = await handler(request)
    if not 400 <= answer.status < 500 and isinstance(answer, web.Response):
        _ANSWERS[key] = asked, answer.status, (answer.text or "").encode()
    return answer


async def create_session(request: web.Request) -> web.Response:
    sent = await get_post_data(request)
    if "payment_method_types" in sent or sent["mode"] != "payment":
        raise UserError(400, "Bad request")
    if not time.time() + 1800 <= int(sent["expires_at"]) <= time.time() + 86400:
        raise UserError(400, "expires_at must be between 30 minutes and 24 hours from now")
    price = sent["line_items"][0]["price_data"]
    session = {
        "id": f"cs_test_{random_id(58)}",
        "object": "checkout.session",
        "status": "open",
        "amount_total": int(price["unit_amount"]),
        "currency": price["currency"],
        "metadata": sent["metadata"],
        "payment_intent": None,
        "_intent": sent["payment_intent_data"],
    }
    session["url"] = f"http://{request.host}/c/pay/{session['id']}#{'x' * 500}"
    _SESSIONS[session["id"]] = session
    return _shown(session, {})


async def read_session(request: web.Request) -> web.Response:
    return _shown(_session(request), unflatten_data(request.query))


async def expire_session(request: web.Request) -> web.Response:
    session = _session(request)
    if session["status"] != "open":
        raise UserError(400, "Only an open session can be expired.")
    session |= {"status": "expired", "url": None}
    return _shown(session, await get_post_data(request) or {})


async def pay_session(request: web.Request) -> web.Response:
    """The shopper sends the hosted page's form."""
    session = _session(request)
    if session["status"] != "open":
        raise UserError(400, "This page is closed.")
    sent = await get_post_data(request)
    intent = session["_intent"]
    session["payment_intent"] = session["payment_intent"] or (
        PaymentIntent._api_create(
            amount=session["amount_total"],
            currency=session["currency"],
            capture_method=intent["capture_method"],
            metadata=intent["metadata"],
        ).id
    )
    PaymentIntent._api_update(session["payment_intent"], payment_method=sent["payment_method"])
    paid = PaymentIntent._api_retrieve(session["payment_intent"])
    paid.latest_charge = None
    PaymentIntent._api_confirm(paid.id)
    session |= {"status": "complete", "url": None}
    return _shown(session, {})


def _session(request: web.Request) -> dict[str, Any]:
    session = _SESSIONS.get(request.match_info["id"])
    if session is None:
        raise UserError(404, "Not Found")
    return session


def _shown(session: dict[str, Any], asked: dict[str, Any]) -> web.Response:
    shown = {key: value for key, value in session.items() if not key.startswith("_")}
    expanded = [path.split(".")[0] for path in asked.get("expand", [])]
    if "payment_intent" in expanded and session["payment_intent"]:
        shown["payment_intent"] = PaymentIntent._api_retrieve(session["payment_intent"])._export()
    answer: web.Response = json_response(shown)
    return answer


def main() -> None:
    """Serve until the process is ended."""
    Store.dump_to_disk = lambda self: None  # it would write all payments to a file in /tmp
    app.middlewares.insert(0, idempotency)
    app.router.add_post("/v1/checkout/sessions", create_session)
    app.router.add_get("/v1/checkout/sessions/{id}", read_session)
    app.router.add_post("/v1/checkout/sessions/{id}/expire", expire_session)
    app.router.add_post("/_config/sessions/{id}/pay", pay_session)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()
