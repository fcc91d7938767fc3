"""What brought a visit, through the storefront's real edge: its fact and its cookie."""

from __future__ import annotations

import base64
import json

import pytest

from app.frame.sessions import COOKIE
from tests.storefront.conftest import Shopfront

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_visit_says_what_brought_it_and_nothing_of_the_page_before(
    shopfront: Shopfront,
) -> None:
    secret = "https://www.google.se/search?q=privat&gclid=abc"
    async with shopfront.visitor(referer=secret) as visitor:
        page = await visitor.get("/se/sv?gclid=Cj0KCQ&utm_source=brought")
    cookie = page.cookies[COOKIE].partition(".")[0]
    session = json.loads(base64.urlsafe_b64decode(cookie + "=="))

    facts = await shopfront.facts()
    (started,) = [f for f in facts if f["data"].get("utm_source") == "brought"]  # type: ignore[attr-defined]
    assert started["data"] | {"session_id": ""} == {  # type: ignore[operator]
        "session_id": "",
        "landing_page": "/{market}/{language}",
        "channel_group": "paid_other",
        "utm_source": "brought",
        "utm_medium": "",
        "awaits_proof": True,
    }
    assert session["channel_group"] == "paid_other"
    kept = json.dumps([session, [f for f in facts if f["sessionid"] == started["sessionid"]]])
    assert [word for word in ("google.se", "privat", "gclid", "Cj0KCQ") if word in kept] == []


@pytest.mark.parametrize(
    ("referrer", "path", "group"),
    [
        ("https://l.facebook.com/", "/se/en", "organic_social"),
        ("http://test/se/en/cars", "/se/en", "email"),
        ("https://bank.example/3ds", "/se/en/purchases", "email"),
        ("https://bank.example/3ds", "/se/en/cars", "referral"),
        ("", "/se/en/cars", "email"),
    ],
)
async def test_a_running_visit_is_brought_anew_by_another_site_but_by_no_bank(
    shopfront: Shopfront, referrer: str, path: str, group: str
) -> None:
    async with shopfront.visitor() as visitor:
        await visitor.get("/se/en?utm_medium=email")
        await visitor.get(path, headers={"referer": referrer})
        cookie = visitor.cookies[COOKIE].partition(".")[0]

    assert json.loads(base64.urlsafe_b64decode(cookie + "=="))["channel_group"] == group
