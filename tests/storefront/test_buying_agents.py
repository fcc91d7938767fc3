"""A buying agent's visit, as the ledger hears of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from app.kernel.clock import ManualClock
from app.storefront.main import build
from tests.builders.agents import BuyingAgent
from tests.builders.services import running
from tests.storefront.conftest import Shopfront

SHOP = "http://test"


async def test_an_agent_s_visit_is_told_as_an_agent_s_from_its_proof_on(
    tmp_path: Path, clock: ManualClock
) -> None:
    agent = BuyingAgent()
    async with running(
        tmp_path, {"storefront": build}, clock=clock, agent_directories=agent.directory
    ) as services:
        services["storefront"].service.platform.agents.learn(agent.directory, agent.keys)
        front = Shopfront(services, clock)
        proved, late, old = (
            front.visitor(**{"user-agent": "Buyer/1.0 (+https://agent.example)"}) for _ in range(3)
        )

        def signed(path: str, ago: int = 0) -> dict[str, str]:
            return agent.signed(f"{SHOP}{path}", clock.now() - timedelta(seconds=ago))

        await proved.get("/se/en/privacy", headers=signed("/se/en/privacy"))
        await proved.get("/se/en/how-it-works")  # by its session
        await late.get("/se/en/privacy")
        await late.get("/se/en/how-it-works", headers=signed("/se/en/how-it-works"))
        await old.get("/se/en/privacy", headers=signed("/se/en/privacy", ago=3600))
        for visitor in (proved, late, old):
            await visitor.aclose()
        told = [(fact["type"], fact["traffic"]) for fact in await front.facts()]

    started, viewed = "storefront.session.started", "storefront.page.viewed"
    proven = "storefront.session.proven"
    assert told == [
        *((started, "agent"), (viewed, "agent"), (proven, "agent"), (viewed, "agent")),
        *((started, "bot"), (viewed, "bot"), (proven, "agent"), (viewed, "agent")),
        *((started, "bot"), (viewed, "bot")),
    ]
