"""An audit tells what a hand has changed in any table, what checkout has otherwise, and no more."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from app.insight.archive import auditing
from app.insight.archive.auditing import audit, checkout_orders, ledger_orders
from app.insight.archive.findings import Findings
from app.insight.archive.scratch import FOLLOW
from tests.builders.ledgers import Stored, opened
from tests.builders.shop import Shop

ROOT = Path(__file__).parents[3]
HANDS = {
    "sessions": "UPDATE sessions SET views = views + 1 WHERE views = 2",
    "checkouts": "DELETE FROM checkouts WHERE result = 'abandoned'",
    "orders": "UPDATE orders SET release = 'x' WHERE currency = 'SEK'",
    "entries": "UPDATE entries SET until = booked_at WHERE until IS NOT NULL",
    "counters": "UPDATE counters SET value = value + 7 WHERE metric = 'shop_sessions_total'",
    "restated": "DELETE FROM restated WHERE reason = 'suspect'",
    "cars": "UPDATE cars SET title = 'Another'",
}


async def audited(ledger: Stored) -> Findings:
    """With a checkout that has what the ledger has."""

    async def checkout() -> Mapping[str, auditing.Sold]:
        return await ledger_orders(ledger.database)

    return await audit(ledger.database, checkout, wait_seconds=0)


async def changed(ledger: Stored, statement: str) -> None:
    async with ledger.database.transaction() as transaction:
        assert (await transaction.exec_driver_sql(statement)).rowcount > 0


async def test_a_ledger_that_was_left_alone_is_as_it_should_be(ledger_on_each: Stored) -> None:
    before = await ledger_on_each.tables()
    found = await audited(ledger_on_each)
    assert (found.differences, found.unknown, found.scope) == ([], [], "")
    assert found.exit_code == 0
    assert found.compared == {
        **{table.name: len(before[table.name]) for table in FOLLOW},
        "orders of checkout": sum(dict(row)["confirmed_at"] != "None" for row in before["orders"]),
    }
    assert await ledger_on_each.tables() == before


def test_a_hand_tries_every_table() -> None:
    assert set(HANDS) == {table.name for table in FOLLOW}


@pytest.mark.parametrize("table", HANDS)
async def test_what_a_hand_has_changed_is_told(table: str, ledger: Stored) -> None:
    await changed(ledger, HANDS[table])
    found = await audited(ledger)
    assert table in {each.where for each in found.differences}
    assert {each.where for each in found.differences} <= {table, "law"}
    assert found.exit_code == 1


async def test_an_entry_that_somebody_has_added_is_told(ledger: Stored) -> None:
    names = "measure, label, market, channel, device, entry, traffic, channel_group, campaign"
    more = "at, moment, amount, booked_at, until, reason, ended_by"
    await changed(
        ledger,
        f"INSERT INTO entries (subject, {names}, {more}) SELECT 'ses_made_up', {names}, {more}"  # noqa: S608
        " FROM entries WHERE measure = 'session' LIMIT 1",
    )
    (entry,) = [each for each in (await audited(ledger)).differences if each.where == "entries"]
    assert entry.what.startswith("ses_made_up session")
    assert (entry.ledger != "", entry.should_be) == (True, "")


async def test_orders_and_money_are_checkout_s(sqlite_shop: Shop, tmp_path: Path) -> None:
    shop = sqlite_shop
    for car in ("car_1", "car_2", "car_3"):
        await shop.confirmed(car)
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'ledger'}.db") as ledger:
        facts = [each for each in await shop.facts() if each.source == "checkout"]
        await ledger.tell([(shop.clock.now(), facts)])

        async def asked() -> Findings:
            return await audit(
                ledger.database, lambda: checkout_orders(shop.checkout.internal), wait_seconds=0
            )

        agreed = await asked()
        assert agreed.differences == []
        assert agreed.compared["orders of checkout"] == 3
        first, second, _ = await ledger_orders(ledger.database)
        await shop.damage(
            f"UPDATE orders SET price = price + 100 WHERE order_id = '{first}'",  # noqa: S608
        )
        await changed(ledger, f"DELETE FROM orders WHERE order_id = '{second}'")  # noqa: S608
        found = await asked()
    differing = {each.what: each for each in found.differences if each.where == "checkout"}
    assert set(differing) == {first, second}
    assert differing[first].ledger != differing[first].should_be
    assert differing[second].ledger == ""
    assert found.exit_code == 1


async def test_what_was_just_ordered_is_waited_for(ledger: Stored) -> None:
    ours, looks = await ledger_orders(ledger.database), 0

    async def ahead() -> Mapping[str, auditing.Sold]:
        nonlocal looks
        looks += 1
        new = {"ord_new": auditing.Sold(100, "SEK", lost=False)}
        return {**ours, **new} if looks < 3 else ours

    found = await audit(ledger.database, ahead, wait_seconds=0)
    assert (found.exit_code, looks) == (0, 3)


async def test_without_checkout_an_audit_cannot_tell_all(ledger: Stored) -> None:
    async def away() -> Mapping[str, auditing.Sold]:
        raise httpx.ConnectError("nobody listens")

    found = await audit(ledger.database, away)
    assert (found.differences, found.exit_code) == ([], 2)
    assert "nobody listens" in found.unknown[0]


async def test_without_events_an_audit_cannot_tell(ledger: Stored) -> None:
    await changed(ledger, "DELETE FROM events WHERE number <= 100")
    found = await audited(ledger)
    assert (found.differences, found.exit_code) == ([], 2)
    assert "kept no events" in found.unknown[0]


async def test_what_events_have_left_of_is_said_and_the_rest_compared(ledger: Stored) -> None:
    ledger.clock.advance(days=401)
    await ledger.let_go()
    found = await audited(ledger)
    assert (found.differences, found.unknown) == ([], [])
    assert "INSIGHT_LEDGER_DAYS" in found.scope
    assert found.compared["orders"] > 0
    await changed(ledger, "UPDATE orders SET price = price + 1 WHERE confirmed_at IS NOT NULL")
    told = (await audited(ledger)).differences
    assert {"orders", "law"} == {each.where for each in told}


async def test_the_command_prints_a_table_and_says_by_its_exit_code(ledger: Stored) -> None:
    folder = Path(ledger.database.path).parent
    (folder / "insight.db").symlink_to(ledger.database.path)

    async def typed(*words: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "app.insight", *words],
            cwd=ROOT,
            env={**os.environ, "VITRINE_DATA": str(folder), "COLUMNS": "300"},
            capture_output=True,
            text=True,
            check=False,
        )

    alone = await typed("audit")
    assert alone.returncode == 2, alone.stderr
    assert "CHECKOUT_INTERNAL_URL" in alone.stdout
    assert "0 differences" in alone.stdout
    await changed(ledger, HANDS["counters"])
    broken = await typed("audit")
    assert broken.returncode == 1
    for word in ("counters", "shop_sessions_total", "value=", "law"):
        assert word in broken.stdout
    assert (await typed("rebuild")).returncode == 0
    assert "0 differences" in (await typed("audit")).stdout
    exported = await typed("export", "--to", str(folder / "archive"))
    assert "has the ledger as of" in exported.stdout
    refused = await typed("import", "--from", str(folder / "archive"))
    assert refused.returncode == 2
    assert "the ledger is not empty" in refused.stderr
