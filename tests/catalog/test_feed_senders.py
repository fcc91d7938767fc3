"""Whose dealer key sends a feed: each key its own sources, and the import says whose it was."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.catalog.main import build
from tests.builders.checkout_events import CheckoutEvents
from tests.builders.feeds import car, feed
from tests.builders.services import DEALER, Running, running

NORD, SYD = ({"authorization": f"Bearer key-of-{name}"} for name in ("nordbil", "sydbil"))
KEYS = [
    {"name": "nordbil", "key": "key-of-nordbil", "sources": ["nordbil"]},
    {"name": "sydbil", "key": "key-of-sydbil", "sources": ["sydbil"], "dealers": ["SE-STO-1"]},
]


@pytest.fixture
async def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setenv("CATALOG_REHEARSAL", "false")
    others = {("checkout", True): CheckoutEvents().app}
    given = json.dumps(KEYS)
    async with running(tmp_path, {"catalog": build}, others=others, dealer_keys=given) as found:
        yield found["catalog"]


async def send(
    catalog: Running, source: str, headers: dict[str, str], **query: Any
) -> httpx.Response:
    rows = feed([car(f"{source}-{number}") for number in range(2)])
    return await catalog.public.post(
        f"/api/catalog/v1/feeds/{source}",
        content=rows,
        params={"market": "SE", **query},
        headers=headers,
    )


async def imports(catalog: Running) -> list[tuple[str, str]]:
    """(source, whose key) of every import, the shop's own shipped stock left out."""
    events, after = [], 0
    while True:
        answer = await catalog.internal.get(
            "/internal/catalog/events", params={"consumer": "t", "after": after, "limit": 1000}
        )
        items = answer.json()["items"]
        if not items:
            break
        events += items
        after += len(items)
    return [
        (event["data"]["source"], event["data"]["sent_by"])
        for event in events
        if event["type"] == "catalog.feed.imported" and event["data"]["source"] != "ellevar"
    ]


async def test_each_key_imports_its_own_sources_and_the_operators_all(catalog: Running) -> None:
    answers = [
        await send(catalog, "nordbil", NORD),
        await send(catalog, "nordbil", SYD),
        await send(catalog, "nordbil", SYD, confirm_removal="true"),
        await send(catalog, "ellevar", SYD),
        await send(catalog, "sydbil", SYD),
        await send(catalog, "nordbil", DEALER),
        await send(catalog, "nordbil", {"authorization": "Bearer key-of-nobody"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 403, 403, 403, 200, 200, 401]
    problem = answers[1].json()
    assert problem["type"] == "/problems/dealer-key-elsewhere"
    assert problem["detail"] == (
        "The key of sydbil imports the source sydbil, and not nordbil. Send nordbil with its own"
        " key, or ask the shop's operator to add it to this one."
    )
    assert (problem["key"], problem["sources"]) == ("sydbil", ["sydbil"])
    assert await imports(catalog) == [
        ("nordbil", "nordbil"),
        ("sydbil", "sydbil"),
        ("nordbil", "operator"),
    ]
    async with catalog.service.database.read() as connection:
        kept = await connection.execute(text("SELECT source, sent_by FROM feeds ORDER BY source"))
        assert [tuple(row) for row in kept if row.source != "ellevar"] == [
            ("nordbil", "operator"),
            ("sydbil", "sydbil"),
        ]


async def test_a_key_that_names_what_the_shop_does_not_know_is_warned_of_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CATALOG_REHEARSAL", "false")
    others = {("checkout", True): CheckoutEvents().app}
    right = {
        "name": "right",
        "key": "key-of-right",
        "sources": ["ellevar"],
        "dealers": ["SE-STO-1"],
    }
    typo = {"name": "typo", "key": "key-of-typo", "sources": ["nordisc"], "dealers": ["SE-STO-99"]}
    given = json.dumps([right, typo])
    async with running(tmp_path, {"catalog": build}, others=others, dealer_keys=given):
        pass
    said = "".join(capfd.readouterr())
    (line,) = [json.loads(each) for each in said.splitlines() if "dealer_key.unknown" in each]

    assert (line["level"], line["entry"]) == ("warning", "typo")
    assert (line["sources"], line["dealers"]) == (["nordisc"], ["SE-STO-99"])
    assert "VITRINE_DEALER_KEYS, entry typo" in line["detail"]
    assert "restart catalog and checkout" in line["detail"]
    assert "key-of-" not in said
