"""The whole shop in this process, on the shipped stock, and shoppers who visit it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest
import pytest_asyncio

from app.advisor.main import build as build_advisor
from app.catalog.main import build as build_catalog
from app.checkout.main import build as build_checkout
from app.kernel.clock import ManualClock
from app.sandbox.main import build as build_sandbox
from app.storefront.main import build
from tests.builders.services import Running, running

TUESDAY = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
"""A working day, with the dealers open."""

SERVICES = {
    "catalog": build_catalog,
    "advisor": build_advisor,
    "checkout": build_checkout,
    "sandbox": build_sandbox,
    "storefront": build,
}
DETAILS = {"name": "Anna Ask", "email": "anna@example.se", "phone": "+46 70 123 45 67"}


@dataclass(slots=True)
class Shopfront:
    """The running services; `visitor` opens a browser of its own."""

    services: dict[str, Running]
    clock: ManualClock

    def visitor(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(
            self.services["storefront"].service.api, raise_app_exceptions=False
        )
        return httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers)

    async def catch_up(self) -> None:
        """Let the catalogue hear what checkout decided, as it does within a second."""
        await self.services["catalog"].job("follow-checkout")()
        await self.services["catalog"].job("refresh-shelf")()

    async def facts(self) -> list[dict[str, object]]:
        """Every behaviour fact stated so far, as the ledger would read them."""
        await self.services["storefront"].job("write-behaviour")()
        found: list[dict[str, object]] = []
        while True:
            answer = await self.services["storefront"].internal.get(
                "/internal/storefront/events",
                params={"consumer": "test", "after": len(found), "limit": 1000},
            )
            items = answer.json()["items"]
            if not items:
                return found
            found += items


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def shopfront(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shopfront]:
    folder = tmp_path_factory.mktemp("shop")
    clock = ManualClock(TUESDAY)
    with pytest.MonkeyPatch.context() as patch:
        # All these visits begin and hold cars at one address in one minute: the clock stands still.
        patch.setenv("STOREFRONT_SESSIONS_PER_ADDRESS", "1000000")
        patch.setenv("CHECKOUT_STRANGERS_LEAST", "1000000")
        patch.setenv("CHECKOUT_REST_SHARE", "0")
        async with running(folder, SERVICES, clock=clock) as services:
            for _ in range(8):  # the shipped stock is several pages of events
                await services["checkout"].job("consume:catalog")()
            yield Shopfront(services, clock)


def hidden(html: str, name: str) -> str:
    """The value of a form's hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found, f"no field {name} in the page"
    return found.group(1)


async def available_car(visitor: httpx.AsyncClient, query: str = "", *, skip: int = 0) -> str:
    """A car of the list."""
    page = await visitor.get(f"/se/en/cars?{query}")
    cars = re.findall(r'href="/se/en/cars/(car_[0-9a-f]+)"', page.text)
    return str(cars[skip])


async def held(visitor: httpx.AsyncClient, car_id: str) -> httpx.Response:
    """Hold a car from its page; the answer to the form."""
    page = await visitor.get(f"/se/en/cars/{car_id}")
    return await visitor.post(
        "/se/en/purchases", data={"car_id": car_id, "key": hidden(page.text, "key")}
    )
