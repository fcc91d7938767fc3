"""On PostgreSQL: thousands of other people's holds, many at one car, one shopper everywhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.checkout.change import Changes
from app.checkout.errors import TooManyHolds
from app.checkout.holds import HoldCommand, Holds, Terms, place
from app.checkout.idempotency import Claim, StoredAnswer
from app.checkout.lines_postgresql import PostgresqlLines
from app.checkout.looks import CarLook
from app.checkout.main import lines_to
from app.kernel.clock import ManualClock
from app.kernel.errors import Unavailable
from app.kernel.facts import EventContext
from rigs.postgres import LocalPostgres
from rigs.processes import wait_until
from tests.builders.shop import Shop, open_shop

pytestmark = pytest.mark.integration

PLACED = 6
MOST_READ = 60
"""Rows and index entries of holds for one placement."""
TERMS = Terms(hold_ttl_seconds=900, max_holds_per_session=3, max_holds_per_address=30)
NUMBERS = count(1)

FILL = """
INSERT INTO cars (car_id, model_id, title, market, dealer_id, price, currency, vat_rate, rehearsal,
                  listed, state)
SELECT 'other_' || n, model_id, title, market, dealer_id, price, currency, vat_rate, rehearsal,
       true, 'held' FROM cars, generate_series(1, 5000) n WHERE car_id = 'car_1';
INSERT INTO holds (hold_id, car_id, state, session_id, address_hash, price, currency, deposit,
                   context, created_at, expires_at, extended)
SELECT 'hld_' || n, 'other_' || n, 'active', 'ses_' || n, 'address_' || n, price, currency,
       deposit, context, created_at, expires_at, false
  FROM (SELECT * FROM holds LIMIT 1) one, generate_series(1, 5000) n;
"""
READ = """
SELECT (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'holds')
     + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'holds')
"""
LEAVE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = '{name}' AND pid <> pg_backend_pid()
"""


@pytest.fixture
def database(postgres: LocalPostgres) -> str:
    name = f"crowd_{next(NUMBERS)}"
    postgres.query(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
async def shop(
    tmp_path: Path, clock: ManualClock, postgres: LocalPostgres, database: str
) -> AsyncIterator[Shop]:
    urls = {"checkout": postgres.url(database)}
    async with open_shop(tmp_path, clock, urls, cars=24) as opened:
        yield opened


def holds_of(shop: Shop) -> Holds:
    found: Holds = shop.checkout.job("sweep").__closure__[0].cell_contents.run.__self__
    return found


def a_worker(shop: Shop) -> Changes:
    """Another process's way to the same database."""
    holds = holds_of(shop)
    lines: Any = holds._changes._lines
    database = shop.checkout.service.database
    return Changes(lines_to(database, lines._outbox), holds._signals, shop.clock)


async def placed(changes: Changes, shop: Shop, car: int, *, session: str, address: str) -> str:
    command = HoldCommand(
        car_id=f"car_{car}",
        claim=Claim(f"key {next(NUMBERS)}", "the same"),
        session_id=session,
        address_hash=address,
        synthetic=False,
        known=False,
        context=EventContext(),
        headers={},
        refusal=lambda error: StoredAnswer(error.status, "application/json", b"{}"),
    )
    look = CarLook(command.car_id, session, address, command.claim.key)

    def decide(sight: Any, key: Any) -> Any:
        return place(sight, key, command, shop.clock.now(), TERMS)

    try:
        return type(await changes.once("place_hold", look, command.claim, decide)).__name__
    except (TooManyHolds, Unavailable) as error:
        return type(error).__name__


async def test_a_hold_does_not_read_those_of_thousands_of_others(
    shop: Shop, postgres: LocalPostgres, database: str
) -> None:
    postgres.query("ALTER TABLE holds SET (autovacuum_enabled = false)", database=database)
    for car in range(1, 7):  # plans are made, and kept
        assert (await shop.hold(f"car_{car}", **shop.cookie(f"first_{car}"))).status_code == 201
    postgres.query(FILL, database=database)
    before = int(postgres.query(READ, database=database))

    for car in range(7, 7 + PLACED):
        assert (await shop.hold(f"car_{car}", **shop.cookie(f"mine_{car}"))).status_code == 201

    postgres.query(LEAVE.format(name=database))  # who leaves says what it read
    wait_until(
        lambda: postgres.query(LEAVE.format(name=database)) == "0",
        timeout_seconds=10,
        what="checkout's connections have ended",
    )
    read = int(postgres.query(READ, database=database)) - before
    assert PLACED <= read <= PLACED * MOST_READ


async def test_one_shopper_with_many_addresses_holds_no_more_cars_than_one_may(
    shop: Shop,
) -> None:
    workers = [a_worker(shop), a_worker(shop)]

    ended = await asyncio.gather(
        *(
            placed(workers[n % 2], shop, n + 1, session="one", address=f"address {n}")
            for n in range(16)
        )
    )

    active = await shop.rows("SELECT count(*) FROM holds WHERE state = 'active'")
    assert active == [(Counter(ended)["Placed"],)]
    assert 1 <= Counter(ended)["Placed"] <= TERMS.max_holds_per_session
    for worker in workers:
        await worker.close()


async def test_a_hold_that_is_being_placed_counts_for_its_shopper_before_it_is_there(
    shop: Shop,
) -> None:
    worker = a_worker(shop)
    async with shop.checkout.service.database.transaction() as another:
        room = text("SELECT room_for_hold('one', 'there', 1, 30)")
        assert await another.scalar(room)  # and its hold is not committed yet

        assert await placed(worker, shop, 1, session="one", address="here") == "Busy"
        assert await placed(worker, shop, 1, session="two", address="here") == "Placed"

    assert await placed(worker, shop, 2, session="one", address="here") == "Placed"
    await worker.close()


async def test_sixteen_at_one_car_share_a_few_statements(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: Counter[str] = Counter()
    for name in ("_look", "_write"):
        original = getattr(PostgresqlLines, name)

        def counted(self: Any, *arguments: Any, original: Any = original, name: str = name) -> Any:
            statements[name] += 1
            return original(self, *arguments)

        monkeypatch.setattr(PostgresqlLines, name, counted)
    worker = a_worker(shop)

    ended = await asyncio.gather(
        *(placed(worker, shop, 1, session=f"ses {n}", address=f"at {n}") for n in range(16))
    )

    assert Counter(ended) == {"Placed": 1, "Lost": 15}
    assert statements["_look"] <= 4
    assert statements["_write"] <= 2
    await worker.close()
