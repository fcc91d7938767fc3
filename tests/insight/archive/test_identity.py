"""Rebuilt, or exported and imported: a ledger is the same, with its whole history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from app.contracts import events as facts
from app.frame.data.database import Database
from app.insight.archive.exporting import export
from app.insight.archive.importing import import_from
from app.insight.archive.rebuilding import rebuild
from app.insight.archive.scratch import snapshot
from app.insight.ledger.invariants import violations
from app.insight.ledger.periods import Period
from app.insight.ledger.readings import Readings
from app.insight.ledger.store import Transaction
from tests.builders.crowds import Crowd
from tests.builders.facts import HUMAN, START, Stated, Writer, purchase
from tests.builders.ledgers import Stored, opened

ALL = Period(START - timedelta(days=1), START + timedelta(days=60))
LATER = Crowd(seed=12, visits=5)
VISITOR = "vis_01jd0000000000000000000001"


async def test_the_crowd_restates_and_every_law_holds(ledger: Stored) -> None:
    async with ledger.database.read() as connection:
        reasons = set(await connection.scalars(text("SELECT DISTINCT reason FROM entries")))
        ends = set(await connection.scalars(text("SELECT DISTINCT ended_by FROM entries")))
    assert {"first", "late", "suspect"} <= reasons
    assert {"late", "suspect"} <= ends
    assert violations(await Readings(ledger.store).totals()) == []


async def test_rebuilding_changes_nothing_and_mends_what_a_hand_has_broken(
    ledger_on_each: Stored,
) -> None:
    ledger = ledger_on_each
    before = await ledger.tables()
    await rebuild(ledger.database)
    assert await ledger.tables() == before
    async with ledger.database.transaction() as transaction:
        for statement in (
            "DELETE FROM entries WHERE measure = 'session'",
            "UPDATE counters SET value = value + 1",
            "UPDATE orders SET price = 1",
            "DELETE FROM restated",
        ):
            await transaction.execute(text(statement))
    await rebuild(ledger.database)
    assert await ledger.tables() == before


async def test_what_is_booked_meanwhile_is_in_it(
    ledger: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked: list[int] = []

    @asynccontextmanager
    async def then_more(database: Database) -> AsyncIterator[Transaction]:
        async with snapshot(database) as connection:
            yield connection
        await ledger.tell(LATER.told())
        booked.append(len((await ledger.tables())["events"]))

    events = len((await ledger.tables())["events"])
    monkeypatch.setattr("app.insight.archive.rebuilding.snapshot", then_more)
    await rebuild(ledger.database)
    monkeypatch.undo()
    once = await ledger.tables()
    await rebuild(ledger.database)
    assert booked[0] > events
    assert len(once["events"]) == booked[0]
    assert await ledger.tables() == once
    assert violations(await Readings(ledger.store).totals()) == []


async def test_imported_it_is_the_same_as_of_any_moment_and_goes_on_alike(
    ledger: Stored, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    await export(ledger.database, tmp_path / "archive")
    async with opened(new_database("imported")) as other:
        await import_from(tmp_path / "archive", other.database)
        assert await other.tables() == await ledger.tables()
        for days in (0.5, 3, 20, 45):
            period = Period(ALL.since, ALL.until, as_of=START + timedelta(days=days))
            reports = [await Readings(each.store).shop(period) for each in (ledger, other)]
            assert reports[0] == reports[1]
        assert reports[0].sessions > 0
        other.clock.advance(seconds=(ledger.clock.now() - other.clock.now()).total_seconds())
        for each in (ledger, other):
            await each.tell(LATER.told())
        one, two = await ledger.tables(), await other.tables()
        for tables in (one, two):
            del tables["events"]  # each has closed its visits with events of its own
        assert one == two


async def test_an_archive_keeps_what_leaves_the_ledger(ledger: Stored, tmp_path: Path) -> None:
    before = await ledger.tables()
    await export(ledger.database, tmp_path / "archive")
    ledger.clock.advance(days=401)
    await ledger.let_go()
    left = await ledger.tables()
    assert len(left["sessions"]) < len(before["sessions"])
    await export(ledger.database, tmp_path / "archive")
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'other'}.db") as other:
        await import_from(tmp_path / "archive", other.database)
        assert await other.tables() == before
        other.clock.advance(seconds=(ledger.clock.now() - other.clock.now()).total_seconds())
        await other.let_go()
        assert await other.tables() == left


async def test_whoever_was_forgotten_stays_so_in_a_rebuild(ledger_on_each: Stored) -> None:
    ledger, writer = ledger_on_each, Writer(positions={"checkout": 90_000, "storefront": 90_000})
    anna = replace(HUMAN, session_id="ses_anna", campaign="annas-letter", visitor_id=VISITOR)
    bought = [
        replace(one, fact=replace(one.fact, customer_id="anna"))
        if isinstance(one.fact, facts.OrderConfirmed)
        else one
        for one in purchase(anna, "anna", utm_source="for-anna")
    ]
    gone = [
        Stated("checkout", facts.CustomerErased("ord_anna"), anna, 100),
        Stated("storefront", facts.VisitorForgotten(VISITOR), anna, 101),
    ]
    now = ledger.clock.now()
    await ledger.tell([(now, writer.events(bought)), (now, writer.events(gone))])
    before = await ledger.tables()
    for word in ("annas-letter", "for-anna", '"anna"', VISITOR):
        assert word not in repr(before)

    await rebuild(ledger.database)

    assert await ledger.tables() == before
