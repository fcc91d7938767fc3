"""Which visits are people's: proof by the cookie, programs by what they do, visitors by consent."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta

import httpx
import pytest

from app.kernel.clock import ManualClock
from app.kernel.ids import made_at, new_id
from app.storefront import cookies
from app.storefront.cookies import VISITOR_SECONDS, read_click, read_visitor
from app.storefront.pages.page import MOST_PAGES_A_MINUTE
from tests.storefront.conftest import TUESDAY, Shopfront

SEEN = "/seen.css"
PRETENDS = {
    "user-agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/140.0.0.0 Safari/537.36"
}
"""To be a person, in a test where nothing else may tell."""


async def told(shopfront: Shopfront, campaign: str) -> list[dict[str, object]]:
    """The facts of visits that this campaign brought."""
    return [fact for fact in await shopfront.facts() if fact.get("campaign") == campaign]


def kinds(facts: list[dict[str, object]]) -> Counter[str]:
    return Counter(str(fact["type"]).removeprefix("storefront.") for fact in facts)


def because(facts: list[dict[str, object]]) -> list[object]:
    return [
        fact["data"]["because"]  # type: ignore[index]
        for fact in facts
        if fact["type"] == "storefront.session.suspected"
    ]


# --- proof ----------------------------------------------------------------------------------


async def test_a_crawler_without_cookies_proves_none_of_its_visits(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as crawler:
        for _ in range(20):
            page = await crawler.get("/se/en?utm_campaign=crawled")
            assert SEEN in page.text
            await crawler.get(SEEN, headers={"cookie": ""})
            crawler.cookies.clear()
    assert kinds(await told(shopfront, "crawled")) == {"session.started": 20, "page.viewed": 20}


async def test_a_person_who_sees_one_page_is_proven_once_and_asked_no_more(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as person:
        await person.get("/se/en?utm_campaign=one-page")
        before = person.cookies["vitrine_session"]
        for _ in range(3):
            seen = await person.get(SEEN)
            assert (seen.status_code, seen.text) == (200, "")
            assert (seen.headers["cache-control"], seen.headers.get("set-cookie")) == (
                "no-store",
                None,
            )
        assert person.cookies["vitrine_session"] == before
    found = await told(shopfront, "one-page")
    assert kinds(found) == {"session.started": 1, "page.viewed": 1, "session.proven": 1}


async def test_a_person_without_styles_or_scripts_is_proven_by_the_second_page(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as person:
        await person.get("/se/en?utm_campaign=plain")
        second = await person.get("/se/en/cars")
        third = await person.get("/se/en/models")
    assert SEEN not in second.text + third.text
    found = await told(shopfront, "plain")
    assert kinds(found) == {"session.started": 1, "page.viewed": 3, "session.proven": 1}


# --- programs -------------------------------------------------------------------------------


async def test_whoever_reads_faster_than_people_can_is_suspected_once(shopfront: Shopfront) -> None:
    async with shopfront.visitor(**PRETENDS) as program:
        for _ in range(MOST_PAGES_A_MINUTE + 10):
            page = await program.get("/se/en/how-it-works?utm_campaign=fast")
            assert page.status_code == 200
    found = await told(shopfront, "fast")
    assert because(found) == ["pace"]
    traffic = Counter(fact["traffic"] for fact in found)
    assert traffic == {"human": 1 + 1 + MOST_PAGES_A_MINUTE + 1, "suspect": 10}


async def test_a_person_who_reads_page_after_page_is_none(shopfront: Shopfront) -> None:
    async with shopfront.visitor(**PRETENDS) as person:
        for _ in range(MOST_PAGES_A_MINUTE + 10):
            await person.get("/se/en/how-it-works?utm_campaign=slow")
            shopfront.clock.advance(seconds=2)
    assert because(await told(shopfront, "slow")) == []


async def test_only_who_disregards_robots_txt_comes_to_the_closed_page(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor(**PRETENDS) as program:
        page = await program.get("/se/en?utm_campaign=closed")
        rules = await program.get("/robots.txt")
        (link,) = re.findall(r"<a [^>]*nothing-here[^>]*>", page.text)
        assert all(word in link for word in ('rel="nofollow"', "hidden", 'tabindex="-1"'))
        assert "Disallow: /se/en/nothing-here\n" in rules.text
        for header in ("sec-purpose", "purpose"):
            ahead = await program.get("/se/en/nothing-here", headers={header: "prefetch"})
            assert ahead.status_code == 303
        await program.get("/se/en/nothing-here", headers={"sec-fetch-site": "cross-site"})
        assert because(await told(shopfront, "closed")) == []
        await program.get("/se/en/nothing-here")
        await program.get("/se/en/cars")
    found = await told(shopfront, "closed")
    assert because(found) == ["robots_txt"]
    assert found[-1]["traffic"] == "suspect"


async def test_a_browser_that_is_driven_says_so_once(shopfront: Shopfront) -> None:
    async with shopfront.visitor(**PRETENDS) as driven:
        await driven.get("/se/en?utm_campaign=driven")
        for _ in range(2):
            await driven.get(f"{SEEN}?driven")
    assert because(await told(shopfront, "driven")) == ["webdriver"]


# --- visitors -------------------------------------------------------------------------------

YES, NO = {"analytics": "granted"}, {"analytics": "refused"}


async def agree(person: httpx.AsyncClient) -> str:
    await person.post("/se/en/consent", data=YES)
    return person.cookies.get(cookies.VISITOR) or ""


async def test_without_consent_nobody_is_known_again(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as person:
        await person.get("/se/en?utm_campaign=no-consent")
        await person.post("/se/en/consent", data=NO)
        await person.get("/se/en/cars")
        assert {cookies.VISITOR, cookies.CLICK} & set(person.cookies) == set()
    assert {fact.get("visitorid") for fact in await told(shopfront, "no-consent")} == {None}


async def test_who_agrees_is_the_same_visitor_in_the_next_visit_and_no_longer_than_told(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as person:
        await person.get("/se/en?utm_campaign=again-1")
        visitor_id = await agree(person)
        await person.get("/se/en/cars")
        del person.cookies["vitrine_session"]
        await person.get("/se/en?utm_campaign=again-2")
        assert person.cookies[cookies.VISITOR] == visitor_id
    first, second = await told(shopfront, "again-1"), await told(shopfront, "again-2")
    assert first[-1]["visitorid"] == second[0]["visitorid"] == visitor_id
    now = TUESDAY + timedelta(seconds=VISITOR_SECONDS)
    made = new_id("vis", TUESDAY)
    assert made_at(made) == TUESDAY
    assert read_visitor(made, now=now - timedelta(hours=1)) == (made, 3600)
    assert read_visitor(made, now=now) == ("", 0)


@pytest.mark.parametrize("value", [None, "", "vis_", "vis_" + "z" * 26, "me@example.se", "x" * 99])
def test_what_is_no_visitors_id_is_nobody(value: str | None) -> None:
    assert read_visitor(value, now=TUESDAY) == ("", 0)


async def test_who_takes_consent_back_loses_the_id_at_once(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as person:
        await person.get("/se/en?utm_campaign=taken-back")
        assert await agree(person)
        await person.post("/se/en/consent", data=NO)
        assert cookies.VISITOR not in person.cookies
        await person.get("/se/en/cars")
    assert (await told(shopfront, "taken-back"))[-1].get("visitorid") is None


async def test_a_visitor_is_forgotten_by_a_button(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as person:
        await person.get("/se/en?utm_campaign=forgotten")
        visitor_id = await agree(person)
        page = await person.get("/se/en/privacy")
        assert "/se/en/forget-me" in page.text
        answer = await person.post("/se/en/forget-me")
        after = await person.get(answer.headers["location"])
        assert "we do not know you again" in after.text
        assert {cookies.VISITOR, cookies.CLICK} & set(person.cookies) == set()
    found = await told(shopfront, "forgotten")
    forgotten = [f["data"] for f in found if f["type"] == "storefront.visitor.forgotten"]
    assert forgotten == [{"visitor_id": visitor_id}]
    assert found[-1].get("visitorid") is None


async def test_who_said_yes_to_less_is_asked_again(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as person:
        person.cookies[cookies.CONSENT] = "granted"
        page = await person.get("/se/en")
    assert "May we measure how well this shop works for you?" in page.text


# --- attribution ----------------------------------------------------------------------------


async def next_visit(person: httpx.AsyncClient, clock: ManualClock, days: int) -> None:
    clock.advance(days=days)
    del person.cookies["vitrine_session"]
    await person.get("/se/en")


@pytest.mark.parametrize(("consent", "campaign"), [(YES, "letter"), (NO, None)])
async def test_a_direct_visit_is_thanked_to_the_click_of_before_if_that_may_be_known(
    shopfront: Shopfront, consent: dict[str, str], campaign: str | None
) -> None:
    async with shopfront.visitor() as person:
        await person.get("/se/en?utm_campaign=letter&utm_source=letter&utm_medium=email")
        await person.post("/se/en/consent", data=consent)
        before = len(await shopfront.facts())
        await next_visit(person, shopfront.clock, 5)
        await person.get("/se/en/cars")
        found = (await shopfront.facts())[before:]
        session = shopfront.services["storefront"].service.platform.sessions.decode(
            person.cookies["vitrine_session"], now=shopfront.clock.now().timestamp()
        )
    (started,) = [fact for fact in found if fact["type"] == "storefront.session.started"]
    assert started["data"]["channel_group"] == "direct"  # type: ignore[index]
    assert started.get("campaign") is None
    assert found[-1].get("campaign") == campaign
    assert session is not None
    assert session.channel_group == ("email" if campaign else "direct")


async def test_a_click_is_thanked_for_ninety_days_and_a_newer_one_instead(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as person:
        await person.get("/se/en?utm_campaign=old&utm_medium=email")
        await agree(person)
        await next_visit(person, shopfront.clock, 91)
        assert (await shopfront.facts())[-1].get("campaign") is None
        await person.get("/se/en?utm_campaign=new&utm_medium=email")
        await next_visit(person, shopfront.clock, 30)
        await person.get("/se/en/cars")
        assert (await shopfront.facts())[-1]["campaign"] == "new"


async def test_a_direct_visit_makes_the_click_before_it_no_younger(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as person:
        await person.get("/se/en?utm_campaign=kept&utm_medium=email")
        await agree(person)
        found = []
        for days in (60, 20, 20):
            await next_visit(person, shopfront.clock, days)
            shopfront.clock.advance(seconds=90)
            await person.get("/se/en/cars")
            found.append((await shopfront.facts())[-1].get("campaign"))
    assert found == ["kept", "kept", None]


@pytest.mark.parametrize("value", [None, "", "e30", "W10", "bm90aGluZw", "%%%", "x" * 5000])
def test_what_is_no_click_is_none(value: str | None) -> None:
    assert read_click(value, since=0) == {}


def test_a_strangers_click_is_cut_to_labels() -> None:
    made = cookies.click({"campaign": "c" * 400, "source": "a\x00b"}, 10)
    kept = read_click(made.value, since=5)
    assert kept["campaign"] == "c" * 100
    assert "\x00" not in kept["source"]
    assert read_click(made.value, since=11) == {}
