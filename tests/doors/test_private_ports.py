"""What is for the shop's own ears is not reachable from outside, in either shape."""

from __future__ import annotations

import httpx
import pytest

from tests.doors.houses import House

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("path", ["/metrics", "/health/ready", "/internal/checkout/events"])
def test_an_internal_path_is_nothing_to_the_world(house: House, path: str) -> None:
    with httpx.Client(trust_env=False) as stranger:
        assert stranger.get(f"{house.url}{path}").status_code == 404
        assert stranger.get(f"{house.internal('checkout')}/health/live").status_code == 200
