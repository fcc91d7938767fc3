"""Two sources, two VINs, and everything that feeds and shoppers can do: one car is had once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.catalog.documents import car_id_of
from app.catalog.main import build as build_catalog
from app.checkout.main import build as build_checkout
from app.kernel.clock import ManualClock
from tests.builders.feeds import car, feed
from tests.builders.services import DEALER, Running, running
from tests.conftest import NewDatabase
from tests.proofs.length import LONG

VINS: Final = ("YS3FB45S2310", "WBA3A5C50DF3")
"""The beginnings of two; each example ends them in its own way."""

ROWS: Final = ("first", "second", "first broken", "second broken", "empty", "broken", "none")
DOES: Final = ("hold", "hold", "release", "desk sale")
STEPS: Final = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(ROWS + DOES)), min_size=2, max_size=10
)


@dataclass(slots=True)
class Source:
    """What a source's newest row named, and who has its car."""

    named: str = ""
    known: bool = False
    """Whether a row of it was ever readable; what nobody could read names nothing later."""
    offered: bool = False
    """Dealers report desk sales of cars that are on offer."""
    hold: str = ""
    sold: bool = False
    left: bool = False


@dataclass(slots=True)
class World:
    services: dict[str, Running]
    clock: ManualClock
    keys: Iterator[int] = field(default_factory=lambda: count(1))

    async def run(self, number: int, steps: list[tuple[str, str]]) -> None:
        sources = {"a": Source(), "b": Source()}
        # In the end shoppers try to get both.
        for name, step in [*steps, ("a", "hold"), ("b", "hold")]:
            if step in ROWS:
                await self._send(f"{name}{number}", sources[name], step, number)
            else:
                other = sources["b" if name == "a" else "a"]
                await self._act(f"{name}{number}", sources[name], other, step)
            await self._settle()

    async def _send(self, name: str, source: Source, row: str, number: int) -> None:
        rows = []
        if row != "none":
            which = row.partition(" ")[0]
            if which in ("first", "second"):
                source.named = f"{VINS[which == 'second']}{number:05}"
            elif which == "empty" and not source.known:
                source.named = ""
            source.known |= not row.endswith("broken")
            cell = source.named if which in ("first", "second") else ""
            price = "x" if row.endswith("broken") else "559900.00 SEK"
            rows = [car("S1", vin=cell, price=price)]
        elif source.sold:
            source.left = True
        answer = await self.services["catalog"].public.post(
            f"/api/catalog/v1/feeds/{name}",
            content=feed([*rows, car("other")]),
            params={"market": "SE"},
            headers=DEALER,
        )
        assert answer.status_code == 200, answer.text
        refused = [rejected["stock_id"] for rejected in answer.json()["rejections"]]
        source.offered = bool(rows) and "S1" not in refused

    async def _act(self, name: str, mine: Source, other: Source, step: str) -> None:
        checkout = self.services["checkout"].public
        car_id = car_id_of(name, "SE", "S1")
        headers = {"idempotency-key": f'"key-{next(self.keys)}"'}
        if step == "release" and mine.hold:
            await checkout.delete(f"/api/checkout/v1/holds/{mine.hold}")
            mine.hold = ""
        elif step == "desk sale" and mine.offered:
            answer = await checkout.post(
                f"/api/checkout/v1/cars/{car_id}/desk-sale", headers={**headers, **DEALER}
            )
            if answer.status_code == 200 and not mine.sold:
                mine.sold, mine.left = True, False
        elif step == "hold":
            answer = await checkout.post(
                "/api/checkout/v1/holds", json={"car_id": car_id}, headers=headers
            )
            if answer.status_code == 201:
                assert not (mine.sold and not mine.left), "sold in the showroom"
                taken = other.hold or (other.sold and not other.left)
                assert not (taken and mine.named and mine.named == other.named), "had twice"
                mine.hold, mine.sold = answer.json()["hold_id"], False

    async def _settle(self) -> None:
        await self.services["checkout"].job("consume:catalog")()
        await self.services["catalog"].job("follow-checkout")()


@asynccontextmanager
async def open_world(
    folder: Path, clock: ManualClock, databases: dict[str, str]
) -> AsyncIterator[World]:
    builds = {"catalog": build_catalog, "checkout": build_checkout}
    async with running(folder, builds, clock=clock, databases=databases) as services:
        yield World(services, clock)


def test_no_order_of_feeds_and_shoppers_has_one_car_twice(
    tmp_path: Path,
    clock: ManualClock,
    new_database: NewDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.catalog.main.shipped_feeds", lambda: ())
    monkeypatch.setenv("CHECKOUT_MAX_HOLDS_PER_ADDRESS", "100000")
    databases = {name: new_database(name) for name in ("catalog", "checkout")}
    numbers = count(1)
    with asyncio.Runner() as runner:
        opened = open_world(tmp_path, clock, databases)
        world = runner.run(_enter(opened))

        @settings(
            max_examples=60 if LONG else 15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(st.sampled_from(["first", "empty"]), STEPS)
        def anything(row: str, steps: list[tuple[str, str]]) -> None:
            runner.run(world.run(next(numbers), [("a", row), *steps]))

        try:
            anything()
        finally:
            runner.run(_leave(opened))


def _enter(opened: Any) -> Coroutine[Any, Any, World]:
    return opened.__aenter__()  # type: ignore[no-any-return]


def _leave(opened: Any) -> Coroutine[Any, Any, None]:
    return opened.__aexit__(None, None, None)  # type: ignore[no-any-return]
