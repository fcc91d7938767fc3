"""Visits that begin at one network are counted up to a budget, and served beyond it."""

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
        ("storefront.session.started", "synthetic"): 1,
        ("storefront.page.viewed", "synthetic"): 2,
    }
    assert all(known)
