"""Importing feeds through the API: counts, reasons, the guard, facts, and nothing half done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.catalog import imports
from app.catalog.commands import commands
from app.catalog.documents import car_id_of
from app.catalog.main import build
from app.catalog.range.loading import load_range
from app.catalog.staging import Feed, Staged, stage
from app.contracts.catalog import CarPage, FeedReport
from app.contracts.events import CarListed, CarWithdrawn, FeedImported
from app.frame.inbound.bodies import FEED_BYTES
from app.kernel.clock import ManualClock, SystemClock
from tests.builders.checkout_events import CheckoutEvents
from tests.builders.feeds import car, feed
from tests.builders.services import DEALER, Running, running, synthetic_headers

TESTS = Path(__file__).parents[1]
SAMPLE = TESTS / "fixtures" / "us_listings_sample.csv"
REAL = TESTS.parents[1] / "shared" / "data" / "us_listings.csv"
LISTINGS = [path for path in (SAMPLE, REAL) if path.exists()]
TEN = [car(f"A{number}") for number in range(10)]


@pytest.fixture(autouse=True)
def only_what_a_test_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rehearsal stock and its job there is less to start and to tell apart."""
    monkeypatch.setenv("CATALOG_REHEARSAL", "false")


@pytest.fixture
async def shop(
    tmp_path: Path, checkout: CheckoutEvents, clock: ManualClock
) -> AsyncIterator[Running]:
    others = {("checkout", True): checkout.app}
    async with running(tmp_path, {"catalog": build}, clock=clock, others=others) as services:
        yield services["catalog"]


async def send(shop: Running, content: bytes, **query: Any) -> FeedReport:
    path = f"/api/catalog/v1/feeds/{query.pop('source', 'acme')}"
    query.setdefault("market", "SE")
    response = await shop.public.post(path, content=content, params=query, headers=DEALER)
    assert response.status_code == 200, response.text
    return FeedReport.model_validate_json(response.content)


async def facts(shop: Running, after: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """(type, data) of everything in the outbox after a position."""
    response = await shop.internal.get(
        "/internal/catalog/events", params={"consumer": "test", "after": after, "limit": 1000}
    )
    return [(item["type"], item["data"]) for item in response.json()["items"]]


async def last_position(shop: Running) -> int:
    position = 0
    while found := await facts(shop, position):
        position += len(found)
    return position


async def on_offer(shop: Running, source: str = "acme", market: str = "SE") -> set[str]:
    """Stock ids among TEN that shoppers find."""
    response = await shop.public.get(
        "/api/catalog/v1/cars", params={"market": market, "dealer": "SE-STO-1", "limit": 100}
    )
    found = {item.car_id for item in CarPage.model_validate_json(response.content).items}
    return {row["id"] for row in TEN if car_id_of(source, market, row["id"]) in found}


async def test_a_feeds_cars_are_on_offer_when_the_import_answers(shop: Running) -> None:
    before = await last_position(shop)

    report = await send(shop, feed(TEN))

    assert report == FeedReport(source="acme", accepted=10, rejected=0, unchanged=0, removed=0)
    assert await on_offer(shop) == {row["id"] for row in TEN}
    stated = await facts(shop, before)
    assert [kind for kind, _ in stated] == [CarListed.TYPE] * 10 + [FeedImported.TYPE]
    assert stated[0][1] == asdict(
        CarListed(
            car_id=car_id_of("acme", "SE", "A0"),
            model_id="alken",
            title="Ellevar Alken Linje 2026",
            market="SE",
            dealer_id="SE-STO-1",
            source="acme",
            price=55_990_000,
            currency="SEK",
            vat_rate="0.25",
            handover_lead_seconds=2 * 3600,
            dealer_calendar=(
                '["SE","Europe/Stockholm",[[["Monday","Tuesday","Wednesday","Thursday","Friday"],'
                '"09:00","20:00"],[["Saturday"],"10:00","17:00"],[["Sunday"],"11:00","16:00"]],[]]'
            ),
        )
    )


async def test_a_listed_car_says_from_when_it_can_be_collected(shop: Running) -> None:
    before = await last_position(shop)

    await send(
        shop,
        feed([car("A0", handover="2027-01-11T09:00:00+01:00"), car("A1", handover="P14D")]),
    )

    listed = [data for kind, data in await facts(shop, before) if kind == CarListed.TYPE]
    assert [(d["ready_for_handover_at"], d["handover_lead_seconds"]) for d in listed] == [
        ("2027-01-11T08:00:00.000Z", None),
        ("", 14 * 24 * 3600),
    ]


async def test_the_same_feed_again_changes_nothing_and_keeps_every_id(shop: Running) -> None:
    await send(shop, feed(TEN))
    before = await last_position(shop)

    report = await send(shop, feed(TEN[::-1]))

    assert report == FeedReport(source="acme", accepted=0, rejected=0, unchanged=10, removed=0)
    assert [kind for kind, _ in await facts(shop, before)] == [FeedImported.TYPE]


async def test_a_new_price_lists_that_car_again(shop: Running) -> None:
    await send(shop, feed(TEN))
    before = await last_position(shop)

    report = await send(shop, feed([{**TEN[0], "price": "499900.00 SEK"}, *TEN[1:]]))

    assert (report.accepted, report.unchanged) == (1, 9)
    listed = [data for kind, data in await facts(shop, before) if kind == CarListed.TYPE]
    assert [(data["car_id"], data["price"]) for data in listed] == [
        (car_id_of("acme", "SE", "A0"), 49_990_000)
    ]


async def test_a_car_that_left_its_feed_is_withdrawn_and_may_come_back(shop: Running) -> None:
    await send(shop, feed(TEN))
    before = await last_position(shop)

    report = await send(shop, feed(TEN[1:]))

    gone = car_id_of("acme", "SE", "A0")
    assert (report.removed, await on_offer(shop)) == (1, {row["id"] for row in TEN[1:]})
    assert (CarWithdrawn.TYPE, {"car_id": gone, "in_feed": False}) in await facts(shop, before)
    assert (await shop.public.get(f"/api/catalog/v1/cars/{gone}")).status_code == 404

    assert (await send(shop, feed(TEN))).accepted == 1
    assert (await shop.public.get(f"/api/catalog/v1/cars/{gone}")).json()["state"] == "available"


async def test_sold_and_held_cars_that_leave_the_feed_are_not_lost_stock(
    shop: Running, checkout: CheckoutEvents
) -> None:
    await send(shop, feed(TEN))
    for number in range(5):
        state = "sold" if number else "held"
        checkout.car_is(car_id_of("acme", "SE", f"A{number}"), state)
    await shop.job("follow-checkout")()

    report = await send(shop, feed(TEN[5:]))

    assert report == FeedReport(
        source="acme", accepted=0, rejected=0, unchanged=5, removed=0, promised=["A0"]
    )
    held = await shop.public.get(f"/api/catalog/v1/cars/{car_id_of('acme', 'SE', 'A0')}")
    assert held.json()["state"] == "held"

    checkout.car_is(car_id_of("acme", "SE", "A0"), "available")
    await shop.job("follow-checkout")()
    await shop.job("refresh-shelf")()
    assert await on_offer(shop) == {row["id"] for row in TEN[5:]}


async def test_rejected_rows_say_why_and_the_others_are_sold(shop: Running) -> None:
    rows = [
        *TEN[:2],
        car("free", price="0.00 SEK"),
        car("far", **{"vehicle_fulfillment(option:store_code)": "in_store:XX-1"}),
        car("odd", handover="soon"),
    ]

    report = await send(shop, feed(rows))

    assert (report.accepted, report.rejected) == (2, 3)
    assert [(row.row, row.stock_id, row.reason) for row in report.rejections] == [
        (4, "free", "price_not_positive"),
        (5, "far", "unknown_dealer"),
        (6, "odd", "malformed_value"),
    ]


async def test_a_source_of_one_market_need_not_name_it_again(shop: Running) -> None:
    await send(shop, feed(TEN))

    again = await shop.public.post("/api/catalog/v1/feeds/acme", content=feed(TEN), headers=DEALER)
    unknown = await shop.public.post(
        "/api/catalog/v1/feeds/other", content=feed(TEN), headers=DEALER
    )

    assert (again.status_code, again.json()["unchanged"]) == (200, 10)
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "market")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": f"Basic {DEALER['authorization'].split()[1]}"}, 401),
        ({"authorization": "Bearer ключ".encode()}, 401),
    ],
)
async def test_without_the_dealer_key_nothing_is_imported(
    shop: Running, headers: dict[str, Any], status: int
) -> None:
    response = await shop.public.post(
        "/api/catalog/v1/feeds/acme", content=feed(TEN), params={"market": "SE"}, headers=headers
    )

    assert (response.status_code, response.json()["type"]) == (status, "/problems/not-authorised")
    assert await on_offer(shop) == set()


@pytest.mark.parametrize(
    ("content", "query", "status", "kind", "says"),
    [
        (b"", {}, 422, "feed-unreadable", "empty"),
        (b"id,brand\n1,Ellevar\n", {}, 422, "feed-unreadable", "comma"),
        ("id\tbrand\u00e9".encode("latin-1"), {}, 422, "feed-unreadable", "UTF-8"),
        (b"PK\x03\x04\x00\x00", {}, 422, "feed-unreadable", "spreadsheet"),
        (feed(TEN), {"adapter": "spreadsheet"}, 422, "invalid-input", "google_vehicle_ads"),
        (feed(TEN), {"market": "XX"}, 422, "invalid-input", "market"),
        (feed(TEN), {"adapter": "us_listings"}, 422, "feed-unreadable", "market US"),
        (b"x" * (FEED_BYTES + 1), {}, 413, "too-large", "100663296"),
    ],
    ids=["empty", "commas", "latin-1", "zip", "adapter", "market", "other kind", "too large"],
)
async def test_a_feed_that_cannot_be_read_is_a_clear_problem(
    shop: Running, content: bytes, query: dict[str, str], status: int, kind: str, says: str
) -> None:
    response = await shop.public.post(
        "/api/catalog/v1/feeds/acme",
        content=content,
        params={"market": "SE", **query},
        headers=DEALER,
    )

    problem = response.json()
    assert (response.status_code, problem["type"]) == (status, f"/problems/{kind}")
    assert says in problem["detail"]


@pytest.mark.parametrize("path", LISTINGS, ids=lambda path: path.stem)
async def test_real_listings_are_each_accepted_or_rejected_with_a_reason(
    shop: Running, path: Path
) -> None:
    content = await asyncio.to_thread(path.read_bytes)

    report = await send(shop, content, source="auction", market="US", adapter="us_listings")

    assert report.accepted + report.rejected == len(content.splitlines()) - 1
    assert all(row.reason and row.message and row.field for row in report.rejections)
    listed = (await shop.public.get("/api/catalog/v1/cars", params={"market": "US"})).json()
    assert listed["total"] == report.accepted
    assert {item["model_id"] for item in listed["items"]} == {None}
    dealers = (await shop.public.get("/api/catalog/v1/dealers", params={"market": "US"})).json()
    assert {item["dealer"]["dealer_id"] for item in listed["items"]} <= {
        dealer["dealer_id"] for dealer in dealers["items"]
    }


async def test_an_import_is_measured_by_source_and_result(shop: Running) -> None:
    await send(shop, feed([*TEN, car("free", price="0.00 SEK")]))

    page = (await shop.internal.get("/metrics")).text
    for result, count in {"accepted": 10, "rejected": 1, "unchanged": 0, "removed": 0}.items():
        labels = f'{{result="{result}",service="catalog",source="acme"}}'
        assert f"stock_import_rows_total{labels} {count}.0" in page
    assert 'stock_import_last_success_timestamp_seconds{service="catalog",source="acme"}' in page


async def test_two_imports_at_once_leave_one_of_the_two_feeds(shop: Running) -> None:
    await send(shop, feed(TEN))

    reports = await asyncio.gather(
        send(shop, feed(TEN[:8])), send(shop, feed(TEN[1:9])), send(shop, feed(TEN[2:]))
    )

    final = await on_offer(shop)
    assert final in [
        {row["id"] for row in TEN[:8]},
        {row["id"] for row in TEN[1:9]},
        {row["id"] for row in TEN[2:]},
    ]
    assert all(report.rejected == 0 for report in reports)


async def test_rehearsal_stock_is_off_when_it_is_not_asked_for(shop: Running) -> None:
    response = await shop.public.get(
        "/api/catalog/v1/cars", headers=synthetic_headers(shop.service.platform.clock.now())
    )

    assert response.json()["total"] == 0
    with pytest.raises(StopIteration):
        shop.job("replenish-rehearsal")


def test_the_command_imports_as_the_api_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    monkeypatch.setenv("VITRINE_FLAGS", str(tmp_path / "flags.json"))
    file = tmp_path / "feed.txt"
    # The command has the machine's own clock, and a new car is of about its year.
    year = str(SystemClock().now().year)
    ten = [{**row, "year": year} for row in TEN]
    file.write_bytes(feed([*ten, car("free", price="0.00 SEK", year=year)]))
    arguments = ["import", str(file), "--source", "acme", "--market", "SE"]

    first = CliRunner().invoke(commands, arguments)
    file.write_bytes(feed(ten[6:]))
    guarded = CliRunner().invoke(commands, arguments)
    confirmed = CliRunner().invoke(commands, [*arguments, "--confirm-removal"])

    assert (first.exit_code, guarded.exit_code, confirmed.exit_code) == (0, 1, 0)
    assert "acme: 10 accepted, 0 unchanged, 0 removed, 1 rejected" in first.output
    assert "1 x price_not_positive" in first.output
    assert "would remove 6 of 10" in guarded.output
    assert "acme: 0 accepted, 4 unchanged, 6 removed, 0 rejected" in confirmed.output


def test_the_shipped_range_knows_every_market_of_the_contract() -> None:
    assert set(load_range().markets) == {"SE", "NO", "DK", "FI", "US"}


@pytest.mark.parametrize(
    ("field", "column", "most"),
    [
        ("trim", "trim", 120),
        ("colour", "color", 100),
        ("make", "brand", 80),
        ("model", "model", 80),
    ],
)
async def test_a_text_of_the_longest_length_is_listed_and_one_more_is_refused(
    shop: Running, field: str, column: str, most: int
) -> None:
    longest = car("A0", **{column: "x" * most})
    longer = car("A1", **{column: "x" * (most + 1)})
    report = await send(shop, feed([longest, longer]))
    assert report.accepted == 1
    assert [(one.stock_id, one.field, one.reason, one.message) for one in report.rejections] == [
        (
            "A1",
            field,
            "text_too_long",
            f"Row 3: the {field} has {most + 1} characters; {most} is the most. Shorten it.",
        )
    ]


async def test_a_title_is_as_long_as_its_fact_allows_and_no_longer(shop: Running) -> None:
    # Make, model and trim each fit; with the year and three blanks they are 200 or 201 characters.
    rows = [
        car(f"A{extra}", brand="b" * 70, model="m" * 60, trim="t" * (63 + extra))
        for extra in (0, 1)
    ]
    before = await last_position(shop)
    report = await send(shop, feed(rows))
    assert report.accepted == 1
    assert [(one.stock_id, one.field, one.reason) for one in report.rejections] == [
        ("A1", "title", "text_too_long")
    ]
    stated = await facts(shop, before)
    assert [len(data["title"]) for kind, data in stated if kind == CarListed.TYPE] == [200]


async def test_one_feed_is_read_at_a_time(shop: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def told(given: Feed, *args: Any, **named: Any) -> Staged:
        read.append(f"{given.source} begins")
        try:
            return stage(given, *args, **named)
        finally:
            read.append(f"{given.source} ends")

    monkeypatch.setattr(imports, "stage", told)
    sources = ("one", "two", "three")
    await asyncio.gather(*(send(shop, feed(TEN), source=source) for source in sources))

    turns = [line.split()[0] for line in read[::2]]
    assert sorted(turns) == sorted(sources)
    assert read == [f"{source} {what}" for source in turns for what in ("begins", "ends")]
