"""What shoppers thought of their advice: asked once in a visit, told by whoever was given it."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx
import pytest

from app.frame.sessions import COOKIE
from tests.storefront.conftest import Shopfront

MATCHES = "advisor/matches?seats=5&near=Solna"
ASKED = {"en": "Was this advice helpful?", "sv": "Hade du hjälp av råden?"}
THANKED = {"en": "Thank you for telling us", "sv": "Tack för att du berättade"}


async def _given(front: Shopfront, campaign: str) -> list[object]:
    """The answers of the visit that this campaign brought."""
    return [
        fact["data"]
        for fact in await front.facts()
        if fact["type"] == "storefront.feedback.given" and fact.get("campaign") == campaign
    ]


async def _rate(visitor: httpx.AsyncClient, page: httpx.Response, **scores: str) -> httpx.Response:
    """Send the form of a page; the page that it leads to."""
    found = re.search(r'action="([^"]*/matches/feedback[^"]*)"', page.text)
    assert found, "the page has no such form"
    answer = await visitor.post(found[1].replace("&amp;", "&"), data=scores)
    assert answer.status_code == 303
    assert answer.headers["location"].endswith("&near=Solna#feedback")
    return await visitor.get(answer.headers["location"])


@pytest.mark.parametrize("language", ["en", "sv"])
async def test_advice_is_asked_about_once_in_a_visit(shopfront: Shopfront, language: str) -> None:
    asked, thanked, campaign = ASKED[language], THANKED[language], f"rated-{language}"
    async with shopfront.visitor() as visitor:
        first = await visitor.get(f"/se/{language}/{MATCHES}&utm_campaign={campaign}")
        advice_id = visitor.cookies["vitrine_advice"]
        rated = await _rate(visitor, first, csat="4")
        reloaded = await visitor.get(f"/se/{language}/{MATCHES}")
        other = await visitor.get(f"/se/{language}/advisor/matches?seats=2")
        await visitor.post(f"/se/{language}/advisor/matches/feedback", data={"csat": "1"})

    shown = [(asked in page.text, thanked in page.text) for page in (first, rated, reloaded, other)]
    assert shown == [(True, False), (False, True), (False, False), (False, False)]
    assert await _given(shopfront, campaign) == [
        {"touchpoint": "advice", "csat": 4, "nps": None, "order_id": "", "advice_id": advice_id}
    ]


async def test_saying_thank_you_gives_no_new_advice(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        first = await visitor.get(f"/se/en/{MATCHES}&utm_campaign=thanked")
        advice_id = visitor.cookies["vitrine_advice"]
        await _rate(visitor, first, csat="5")
        kept = visitor.cookies["vitrine_advice"]

    seen = [
        (fact["type"], fact["data"].get("again"))  # type: ignore[attr-defined]
        for fact in await shopfront.facts()
        if fact.get("campaign") == "thanked"
        and fact["type"] in ("storefront.match.viewed", "storefront.page.viewed")
    ]
    assert kept == advice_id
    assert sorted(seen, key=str) == [
        ("storefront.match.viewed", None),
        ("storefront.page.viewed", False),
        ("storefront.page.viewed", True),
    ]


@pytest.mark.parametrize("score", ["", "0", "6", "-1", "4.5", "٤", "44444444444444444444"])
async def test_what_is_no_score_is_no_answer(shopfront: Shopfront, score: str) -> None:
    campaign = f"score-{len(score)}-{score[:1]}"
    async with shopfront.visitor() as visitor:
        first = await visitor.get(f"/se/en/{MATCHES}&utm_campaign={campaign}")
        page = await _rate(visitor, first, csat=score)

    assert ASKED["en"] in page.text
    assert await _given(shopfront, campaign) == []


async def test_who_was_given_no_advice_is_not_heard(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        await visitor.get("/se/en?utm_campaign=unadvised")
        await visitor.post("/se/en/advisor/matches/feedback", data={"csat": "1"})
        none = await visitor.get(
            "/se/en/advisor/matches?seats=7&max_price=30000000&fuels=electric&towing_kg=2000"
        )
    async with shopfront.visitor() as stranger:
        await stranger.post(
            "/se/en/advisor/matches/feedback?utm_campaign=unadvised", data={"csat": "1"}
        )

    assert ASKED["en"] not in none.text
    assert await _given(shopfront, "unadvised") == []


async def test_a_visit_in_no_number_says_nothing(shopfront: Shopfront) -> None:
    sessions = shopfront.services["storefront"].service.platform.sessions
    async with shopfront.visitor() as visitor:
        first = await visitor.get(f"/se/en/{MATCHES}&utm_campaign=uncounted")
        session = sessions.decode(visitor.cookies[COOKIE], now=shopfront.clock.now().timestamp())
        assert session is not None
        visitor.cookies.set(COOKIE, sessions.encode(replace(session, counted=False)), "test.local")
        page = await _rate(visitor, first, csat="1")

    assert THANKED["en"] in page.text
    assert await _given(shopfront, "uncounted") == []
