"""Which requests are visits and views: no flood, and no page that its own form leads back to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import httpx
import pytest

from app.frame.sessions import COOKIE
from app.kernel.clock import ManualClock
from app.storefront.main import build
from tests.builders.services import running, synthetic_headers
from tests.storefront.conftest import Shopfront

ANNA, BERIT = {"x-forwarded-for": "203.0.113.1"}, {"x-forwarded-for": "203.0.113.2"}


async def _visit(front: Shopfront, **headers: str) -> httpx.AsyncClient:
    """A browser that has looked at one page, and then at another."""
    visitor = front.visitor(**{"user-agent": "Mozilla/5.0 (X11; Linux x86_64)", **headers})
    for page in ("privacy", "how-it-works"):
        assert (await visitor.get(f"/se/en/{page}")).status_code == 200
    return visitor


async def test_a_flood_of_visits_from_one_network_is_served_and_moves_no_number(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOREFRONT_SESSIONS_PER_ADDRESS", "3")
    async with running(tmp_path, {"storefront": build}, clock=clock) as services:
        front = Shopfront(services, clock)
        visitors = [await _visit(front, **ANNA) for _ in range(10)]
        visitors += [await _visit(front, **BERIT)]
        visitors += [await _visit(front, **ANNA, **synthetic_headers(clock.now()))]
        clock.advance(seconds=60)
        visitors += [await _visit(front, **ANNA)]
        told = Counter((fact["type"], fact["traffic"]) for fact in await front.facts())
        known = [COOKIE in visitor.cookies for visitor in visitors]
        for visitor in visitors:
            await visitor.aclose()

    assert told == {
        ("storefront.session.started", "human"): 5,
        ("storefront.page.viewed", "human"): 10,
        ("storefront.session.proven", "human"): 5,
        ("storefront.session.proven", "synthetic"): 1,
        ("storefront.session.started", "synthetic"): 1,
        ("storefront.page.viewed", "synthetic"): 2,
    }
    assert all(known)


async def test_a_page_that_its_own_form_leads_back_to_is_stated_as_seen_again(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with running(tmp_path, {"storefront": build}, clock=clock) as services:
        front = Shopfront(services, clock)
        visitor = front.visitor()
        await visitor.get("/se/en/privacy")
        for _ in range(2):
            form = {"analytics": "granted", "back": "/se/en/privacy?saved=1"}
            answer = await visitor.post("/se/en/consent", data=form)
            await visitor.get(answer.headers["location"])
        await visitor.get("/se/en/privacy")  # the shopper's own reload, as GA4 counts it
        await visitor.post("/se/en/consent", data={"analytics": "refused", "back": "/se/en"})
        await visitor.get("/se/en/how-it-works")  # not where the form leads
        await visitor.aclose()

        late = front.visitor()  # the form was open for so long that its visit is over
        form = {"analytics": "refused", "back": "/se/en/privacy"}
        answer = await late.post("/se/en/consent", data=form)
        await late.get(answer.headers["location"])
        await late.aclose()
        views = [
            (fact["data"]["page"], fact["data"]["again"])  # type: ignore[index]
            for fact in await front.facts()
            if fact["type"] == "storefront.page.viewed"
        ]

    assert views == [
        ("privacy", False),
        ("privacy", True),
        ("privacy", True),
        ("privacy", False),
        ("how_it_works", False),
        ("privacy", False),
    ]
