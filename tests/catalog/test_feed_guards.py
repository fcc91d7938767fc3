"""What a feed may change without a confirmation, and which feeds are too old."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.catalog.main import build
from app.kernel.clock import ManualClock, rfc3339
from tests.builders.checkout_events import CheckoutEvents
from tests.builders.feeds import car, feed
from tests.builders.services import DEALER, Running, running


def stock(number: int, **changed: str) -> list[dict[str, str]]:
    return [car(f"B{n}", **changed) for n in range(number)]


@pytest.fixture
async def shop(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    monkeypatch.setenv("CATALOG_REHEARSAL", "false")
    others = {("checkout", True): CheckoutEvents().app}
    async with running(tmp_path, {"catalog": build}, clock=clock, others=others) as services:
        yield services["catalog"]


async def send(shop: Running, rows: Sequence[dict[str, str]], **query: Any) -> httpx.Response:
    return await shop.public.post(
        f"/api/catalog/v1/feeds/{query.pop('source', 'small')}",
        content=feed(rows),
        params={"market": "SE", **query},
        headers=DEALER,
    )


def brief(answer: httpx.Response) -> tuple[int, Any]:
    """The status, with how many cars were removed or the kind of problem."""
    body = answer.json()
    return answer.status_code, body.get("removed", body.get("type"))


REFUSED = (409, "/problems/feed-guarded")


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        (2, 1, (200, 1)),
        (3, 1, (200, 2)),
        (10, 6, (200, 4)),
        (10, 5, (200, 5)),
        (10, 4, REFUSED),
        (20, 14, (200, 6)),  # exactly 30 %
        (20, 13, REFUSED),
        (1, 0, (200, 1)),
        (2, 0, REFUSED),
        (5, 0, REFUSED),
    ],
)
async def test_some_cars_may_leave_at_once_but_not_the_stock(
    shop: Running, before: int, after: int, answer: tuple[int, Any]
) -> None:
    await send(shop, stock(before))

    assert brief(await send(shop, stock(before)[before - after :])) == answer


async def test_a_small_dealer_may_replace_its_whole_stock(shop: Running) -> None:
    await send(shop, stock(2))

    assert brief(await send(shop, [car("C1"), car("C2")])) == (200, 2)


async def test_a_large_removal_says_how_to_confirm_it(shop: Running) -> None:
    await send(shop, stock(10))

    refused = (await send(shop, stock(4))).json()

    assert (refused["would_remove"], refused["on_offer"]) == (6, 10)
    assert refused["detail"] == (
        "This feed would remove 6 of 10 cars that small has on offer in SE; 5 is the most without "
        "a confirmation (30%, at least 5). If they are really gone, send it again with "
        "confirm_removal=true."
    )
    assert brief(await send(shop, stock(4), confirm_removal="true")) == (200, 6)


@pytest.mark.parametrize(
    ("cars", "changed", "price", "status"),
    [
        (2, 2, "499900.00 SEK", 200),
        (5, 5, "450000.00 SEK", 200),
        (2, 2, "55990.00 SEK", 409),
        (7, 7, "55990.00 SEK", 409),
        (40, 1, "55990.00 SEK", 409),
        (10, 6, "450000.00 SEK", 409),
        (10, 6, "900000.00 SEK", 409),
        (10, 10, "500000.00 SEK", 200),  # 11 % for all: a sale
        (30, 6, "450000.00 SEK", 200),
        (30, 7, "450000.00 SEK", 409),
    ],
)
async def test_prices_that_collapse_or_jump_need_a_confirmation(
    shop: Running, cars: int, changed: int, price: str, status: int
) -> None:
    await send(shop, stock(cars))
    repriced = [*stock(changed, price=price), *stock(cars)[changed:]]

    answer = await send(shop, repriced)

    assert answer.status_code == status
    if status == 409:
        assert answer.json()["type"] == "/problems/prices-guarded"
        assert "confirm_prices=true" in answer.json()["detail"]
        assert (await send(shop, stock(cars))).json()["unchanged"] == cars
        assert (await send(shop, repriced, confirm_prices="true")).json()["accepted"] == changed


async def test_an_older_export_is_refused_and_the_same_one_changes_nothing(
    shop: Running, clock: ManualClock
) -> None:
    first = rfc3339(clock.now())
    await send(shop, stock(3), exported_at=first)
    clock.advance(seconds=3600)
    second = rfc3339(clock.now())
    await send(shop, stock(2), exported_at=second)

    replayed = await send(shop, stock(3), exported_at=first)

    assert brief(replayed) == (409, "/problems/feed-outdated")
    assert (await send(shop, stock(2), exported_at=second)).json()["unchanged"] == 2
    assert (await send(shop, stock(2))).json()["unchanged"] == 2
    assert brief(await send(shop, stock(3), exported_at=first)) == (409, "/problems/feed-outdated")


@pytest.mark.parametrize(
    "moment",
    ["soon", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "2026-11-27T09:00:00"],
)
async def test_an_impossible_moment_of_export_is_refused(shop: Running, moment: str) -> None:
    assert (await send(shop, stock(1), exported_at=moment)).status_code == 422


@pytest.mark.parametrize(
    ("handover", "taken"),
    [
        ("0001-01-01T00:00:00+14:00", False),
        ("9999-12-31T23:59:59-12:00", False),
        ("2029-06-01T09:00:00+01:00", False),
        ("2024-01-01T09:00:00+01:00", False),
        ("2026-11-01T09:00:00+01:00", True),
        ("2028-11-01T09:00:00+01:00", True),
        ("P367D", False),
        ("P99999999999999999999D", False),
    ],
)
async def test_a_handover_outside_what_is_plausible_rejects_its_row(
    shop: Running, handover: str, taken: bool
) -> None:
    report = (await send(shop, [car("H1", handover=handover), car("H2")])).json()

    assert (report["accepted"], [row["field"] for row in report["rejections"]]) == (
        (2, []) if taken else (1, ["handover"])
    )


async def test_more_cars_than_were_laid_out_for_are_refused_and_nothing_changes(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG_REHEARSAL", "false")
    monkeypatch.setenv("CATALOG_MOST_CARS", "2000")
    others = {("checkout", True): CheckoutEvents().app}
    async with running(tmp_path, {"catalog": build}, clock=clock, others=others) as services:
        shop = services["catalog"]
        room = 2000 - (await shop.public.get("/api/catalog/v1/cars")).json()["total"]
        fits = await send(shop, stock(room - 1))
        refused = [
            await send(shop, stock(room + 1)),
            await send(shop, stock(2), source="another"),
        ]
        last = await send(shop, stock(1), source="another")

    assert (fits.status_code, fits.json()["accepted"]) == (200, room - 1)
    assert [brief(answer) for answer in refused] == [(422, "/problems/stock-too-large")] * 2
    assert (last.status_code, last.json()["accepted"]) == (200, 1)
