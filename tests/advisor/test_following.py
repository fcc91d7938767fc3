"""One car of the catalogue that the advisor cannot read keeps no other from being advised."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from app.advisor.gateways import CatalogFollower
from app.advisor.showroom import OfferedCar, Showroom
from app.kernel.clock import rfc3339
from tests.builders.showroom import shipped_showroom


def _change(version: int, offered: OfferedCar, **changed: Any) -> dict[str, Any]:
    return {
        "version": version,
        "car_id": offered.car.car_id,
        "listed": True,
        "rehearsal": False,
        "state": "available",
        "handover_at": offered.stand.handover_at and rfc3339(offered.stand.handover_at),
        "handover_lead_seconds": None,
        "car": offered.car.model_dump(mode="json"),
        "dealer": offered.dealer.model_dump(mode="json"),
        **changed,
    }


def test_the_others_are_taken_over_and_the_one_comes_back_when_it_can_be_read() -> None:
    shipped = shipped_showroom()
    offers = next(iter(shipped.offers(rehearsal=False, market="SE").values()))
    one, two = offers[0], offers[1]
    pages: list[list[dict[str, Any]]] = [
        [_change(1, one), _change(2, two)],
        [_change(3, one, state="on the moon"), _change(4, two)],
        [_change(5, one)],
    ]

    def answer(request: httpx.Request) -> httpx.Response:
        items = pages.pop(0)
        return httpx.Response(
            200, json={"version": items[-1]["version"], "more": False, "items": items}
        )

    room = Showroom()
    room.put_models(list(shipped.models.values()))
    seen = []

    async def follow() -> None:
        async with httpx.AsyncClient(
            transport=httpx.MockTransport(answer), base_url="http://catalog"
        ) as catalog:
            follower = CatalogFollower(room, public=catalog, internal=catalog)
            while pages:
                await follower.refresh()
                cars = next(iter(room.offers(rehearsal=False, market="SE").values()), ())
                ids = {offered.car.car_id for offered in cars}
                seen.append((ids, set(room.unread), room.version))

    asyncio.run(follow())
    both = {one.car.car_id, two.car.car_id}
    assert seen == [
        (both, set(), 2),
        ({two.car.car_id}, {one.car.car_id}, 4),
        (both, set(), 5),
    ]
