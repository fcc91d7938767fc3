"""Somebody's data, put into every place that a caller can fill, is in no file afterwards."""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from rigs.processes import wait_until
from rigs.shop import SERVICES
from tests.builders.purchase import CHALLENGE, PAYS, Buyer
from tests.doors.houses import LONG, House, Shape, opened

pytestmark = pytest.mark.integration

NAME: Final = "Zebedeus Qvist"
EMAIL: Final = "zebedeus@qvistmail.example"
PHONE: Final = "0709876543"
IDENTITY: Final = "19811228-9874"
CARD: Final = CHALLENGE.replace(" ", "")
NEEDLES: Final = ("zebedeus", "qvist", "709876543", "709 87 65 43", "9812289874", "228-9874", CARD)
RECOGNISED: Final = (EMAIL, PHONE, "+46709876543", IDENTITY, CARD)
"""A name can be told from a campaign's by nobody: it is kept out of everything else."""

TYPED: Final = (NAME, *RECOGNISED) if LONG else (NAME, EMAIL, IDENTITY)
PATHS: Final = (
    *("/{}", "/se/en/{}", "/se/en/cars/{}", "/se/en/models/{}", "/se/en/purchases/{}"),
    *("/se/en/purchases/{}/order", "/se/en/advisor/{}", "/static/{}", "/console/orders/{}"),
    *("/console/traces/{}", "/sandbox/pay/{}", "/sandbox/v1/payments/{}", "/api/{}"),
    *("/api/catalog/v1/cars/{}", "/api/catalog/v1/models/{}", "/api/checkout/v1/holds/{}"),
    *("/api/checkout/v1/orders/{}", "/api/advisor/v1/{}", "/api/insight/v1/{}"),
)
LABELS: Final = ("source", "medium", "campaign", "content", "term")


def _headers(typed: str) -> dict[str, str]:
    """What a program may send along, with the typed text in all of it."""
    plain = typed.replace(" ", "-")
    return {
        "user-agent": f"Mozilla/5.0 ({typed})",
        "referer": f"https://mail.example/{plain}?to={typed}",
        "accept-language": f"sv, {plain};q=0.4",
        "cookie": f"vitrine_session={plain}; vitrine_advice={plain}; vitrine_hold={plain}",
        "authorization": f"Bearer {plain}",
        "tracestate": f"vitrine={plain}",
        "baggage": f"who={plain}",
        "x-request-id": plain,
    }


def _asked(client: httpx.Client, typed: str) -> None:
    """Every address with the text in its path, its query and its headers."""
    for path in PATHS:
        client.get(path.format(typed), headers=_headers(typed))
    query = {"q": typed, "near": typed, "market": typed, "email": typed}
    for path in ("/", "/se/en/cars", "/se/en/advisor", "/api/catalog/v1/cars", "/console"):
        client.get(path, params=query, headers=_headers(typed))


def _posted(client: httpx.Client, typed: str) -> None:
    """Every body: well-formed, of the wrong kind, and unreadable."""
    customer = {"name": NAME, "email": EMAIL, "phone": PHONE}
    bodies = {
        "/api/checkout/v1/holds": {"car_id": typed.replace(" ", "-"), "note": typed},
        "/api/checkout/v1/orders": {"hold_id": typed, "customer": customer, "return_url": typed},
        "/api/advisor/v1/matches": {"market": "SE", "language": "sv", "wishes": typed, "x": typed},
        "/api/insight/v1/events": {"events": [{"type": "page_view", "path": f"/{typed}"}]},
        "/api/insight/v1/feedback": {"touchpoint": typed, "csat": 5, "comment": typed},
        "/api/catalog/v1/feeds/nordic": {"x": typed},
        "/sandbox/v1/payments": {"reference": typed, "description": typed},
    }
    for path, body in bodies.items():
        sent = _headers(typed) | {"idempotency-key": f'"{uuid.uuid4()} {typed}"'}
        client.post(path, json=body, headers=sent)
        client.post(path, content=f'{{"{typed}": ', headers=sent)
        client.post(path, data={"who": typed}, headers=sent)
    client.post("/console/login", data={"password": typed, "next": f"/console/{typed}"})


def _bought_by_pages(house: House) -> None:
    """A purchase through the forms, brought by links that name somebody."""
    with httpx.Client(
        base_url=house.url, trust_env=False, follow_redirects=True, timeout=30
    ) as visitor:
        for label in RECOGNISED:
            visitor.get("/se/en", params={f"utm_{name}": f"to {label}" for name in LABELS})
        car = re.findall(r"/se/en/cars/(car_[0-9a-f]+)", visitor.get("/se/en/cars").text)[0]
        page = visitor.get(f"/se/en/cars/{car}", params={"utm_campaign": PHONE})
        form = _form(page, "car_id", "key")
        bought = page

        def held() -> bool:  # a busy machine may ask to come again
            nonlocal bought
            bought = visitor.post("/se/en/purchases", data=form)
            return "/purchases/" in bought.url.path

        wait_until(held, timeout_seconds=60, what="a car that is held")
        details = {"name": NAME, "email": EMAIL, "phone": PHONE, "note": NAME}
        paying = visitor.post(f"{bought.url}/order", data=_form(bought, "key") | details)
        typed = {"card_number": PAYS, "expiry": "12/49", "cvc": "987", "name": NAME}
        assert visitor.post(str(paying.url), data=typed).status_code == 200
        for step in ("people", "luggage", "budget"):
            visitor.post(f"/se/en/advisor/{step}", data={step: NAME, "free": NAME})


def _form(page: httpx.Response, *names: str) -> dict[str, str]:
    found = {}
    for name in names:
        field = re.search(rf'name="{name}" value="([^"]*)"', page.text)
        assert field, f"no field {name} at {page.url}"
        found[name] = html.unescape(field[1])
    return found


def _bought_by_program(house: House) -> str:
    """An order by the API with somebody in every label; the id of its hold, which opens it."""
    with httpx.Client(base_url=house.url, trust_env=False, timeout=30) as client:
        buyer = Buyer(client)
        hold = buyer.hold(buyer.cars()[-1]["car_id"]).raise_for_status().json()["hold_id"]
        body = {
            "hold_id": hold,
            "customer": {"name": NAME, "email": EMAIL, "phone": PHONE},
            "payment": {"provider": "sandbox"},
            "attribution": {
                **dict(zip((f"utm_{name}" for name in LABELS), RECOGNISED, strict=True)),
                "advice_id": NAME.replace(" ", "-"),
                "entry": NAME,
            },
        }
        key = {"idempotency-key": f'"order of {EMAIL}"'}
        for address in (f"/{PHONE}", f"/?to={EMAIL}"):
            refused = {**body, "return_url": address, "cancel_url": address}
            answer = client.post("/api/checkout/v1/orders", json=refused, headers=key)
            assert answer.status_code == 422
        order = client.post("/api/checkout/v1/orders", json=body, headers=key)
        buyer.pay(order.raise_for_status().json(), CHALLENGE)
    return str(hold)


def _files(house: House) -> Iterator[Path]:
    yield from (path for folder in house.folders for path in folder.rglob("*") if path.is_file())


def _found_in(path: Path, needles: tuple[str, ...]) -> list[str]:
    stored = path.read_bytes().lower()
    return [needle for needle in needles if needle.lower().encode() in stored]


def test_nothing_that_a_person_typed_is_in_any_file_log_trace_or_metric(
    shape: Shape, tmp_path: Path
) -> None:
    with opened(shape, tmp_path, VITRINE_TRACE_KEEP_RATIO="1") as house:
        with httpx.Client(base_url=house.url, trust_env=False, timeout=30) as stranger:
            for typed in TYPED:
                _asked(stranger, typed)
                _posted(stranger, typed)
        _bought_by_pages(house)
        hold = _bought_by_program(house)

        def told() -> str:
            ports = {house.internal(service) for service in SERVICES}
            answers = [
                httpx.get(f"{port}/metrics", headers=house.operator, trust_env=False)
                for port in ports
            ]
            return "".join(answer.text for answer in answers)

        wait_until(
            lambda: re.search(r"^shop_orders_total\{.*\} 1", told(), re.MULTILINE) is not None,
            timeout_seconds=60,
            what="the ledger to know the order",
        )
        metrics = told().lower()
        leaks = {str(p): found for p in _files(house) if (found := _found_in(p, NEEDLES))}
        logs = [p for p in _files(house) if p.suffix == ".log" or p.name.startswith("traces.db")]
        shown = {str(p): found for p in logs if (found := _found_in(p, (hold,)))}
        assert any(_found_in(p, (hold[:18],)) for p in logs)

    assert leaks == {}
    assert [needle for needle in NEEDLES if needle.lower() in metrics] == []
    assert shown == {}
