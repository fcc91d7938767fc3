"""A buying agent's order by the API alone, as the ledger hears of it."""

from __future__ import annotations

from pathlib import Path

from app.kernel.clock import ManualClock
from tests.builders.agents import BuyingAgent
from tests.builders.shop import PAYS, open_shop

ORDERS = "http://test/api/checkout/v1/orders"


async def test_what_an_agent_signs_is_told_as_an_agent_s_to_its_end(
    tmp_path: Path, clock: ManualClock
) -> None:
    agent = BuyingAgent()
    async with open_shop(tmp_path, clock, {}, agent_directories=agent.directory) as shop:
        shop.checkout.service.platform.agents.learn(agent.directory, agent.keys)
        hold = await shop.held()  # not signed
        signed = agent.signed(ORDERS, clock.now(), method="POST")
        order = (await shop.order(hold["hold_id"], headers=signed)).json()
        await shop.pay(order, PAYS)
        told = {
            event.type.removeprefix("checkout."): (event.context.traffic, event.context.channel)
            for event in await shop.facts()
        }

    assert told["hold.placed"] == ("human", "api")
    assert told["order.submitted"] == told["order.confirmed"] == ("agent", "api")
