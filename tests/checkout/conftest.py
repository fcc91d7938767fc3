"""Checkout's promises are kept in both lanes: the express one and the careful one."""

from __future__ import annotations

import pytest

from tests.builders.shop import Shop


@pytest.fixture(params=["express", "careful"])
def lane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs twice; `careful` switches the express lane off."""
    monkeypatch.setenv("CHECKOUT_EXPRESS", str(request.param == "express"))
    return str(request.param)


@pytest.fixture
async def shop(lane: str, shop: Shop) -> Shop:
    """The shop of all tests, once in each lane (so on each database twice)."""
    return shop
