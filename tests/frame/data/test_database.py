"""Transactions, schemas, and a database that goes away."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app import checkout
from app.checkout.lines_postgresql import PAUSE_SECONDS
from app.checkout.models import METADATA as CHECKOUT
from app.frame.data.database import Database, DatabaseUnavailable, damaged
from app.frame.data.migrations import migrate, newest_revision
from app.frame.data.outages import means_away
from app.kernel.clock import ManualClock
from app.kernel.errors import CannotStart, InvalidInput
from app.sandbox.models import METADATA as SANDBOX
from rigs.postgres import TEST_SETTINGS, LocalPostgres
from tests.builders.shop import PAYS, Shop, open_shop
from tests.conftest import NewDatabase

MIGRATIONS = Path(checkout.__file__).parent / "migrations"
SCHEMAS = {"checkout": CHECKOUT, "sandbox": SANDBOX}
MIGRATIONS = Path(__file__).parents[3] / "app" / "checkout" / "migrations"


@pytest.mark.parametrize("service", SCHEMAS)
async def test_migrations_make_exactly_the_schema_that_the_code_uses(
    new_database: NewDatabase, service: str
) -> None:
    database = Database(new_database(service))
    for _ in range(2):  # the second start finds nothing to do
        await migrate(database, service, SCHEMAS[service])

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [d for d in compare_metadata(context, SCHEMAS[service]) if _matters(d)]

    async with database.read() as connection:
        found = await connection.run_sync(differences)
        indexes = await _unique_indexes(connection, database.dialect)
    await database.close()

    assert found == []
    if service == "checkout":
        assert {"uq_holds_one_active_per_car", "uq_orders_one_live_per_car"} <= indexes


def _matters(difference: Any) -> bool:
    return not (isinstance(difference, tuple) and "alembic_version" in str(difference))


async def _unique_indexes(connection: Any, dialect: str) -> set[str]:
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '%UNIQUE%WHERE%'"
        if dialect == "sqlite"
        else "SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%UNIQUE%WHERE%'"
    )
    return {row[0] for row in await connection.execute(text(query))}


async def test_replicas_that_start_at_once_migrate_once(new_database: NewDatabase) -> None:
    url = new_database("checkout")
    replicas = [Database(url) for _ in range(3)]

    await asyncio.gather(*[migrate(replica, "checkout", CHECKOUT) for replica in replicas])

    async with replicas[0].read() as connection:
        versions = (await connection.execute(text("SELECT * FROM alembic_version"))).all()
    for replica in replicas:
        await replica.close()
    assert [tuple(version) for version in versions] == [(newest_revision(MIGRATIONS),)]


@pytest.mark.parametrize(
    ("newer", "why"),
    [
        (["ALTER TABLE orders ADD COLUMN note TEXT", "CREATE TABLE later (n INTEGER)"], ""),
        (["ALTER TABLE orders ADD COLUMN n INTEGER DEFAULT 1 NOT NULL"], ""),
        (["ALTER TABLE orders DROP COLUMN provider"], "orders has no column provider"),
        (["DROP TABLE desk_sales"], "there is no table desk_sales"),
    ],
)
async def test_a_version_serves_on_a_later_schema_that_only_added(
    new_database: NewDatabase, newer: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    database = Database(new_database("later"))
    await migrate(database, "checkout", CHECKOUT)
    async with database.transaction() as transaction:
        for statement in (*newer, "UPDATE alembic_version SET version_num = '9000'"):
            await transaction.execute(text(statement))
    try:
        await migrate(database, "checkout", CHECKOUT)
    except CannotStart as error:
        told = str(error)
    else:
        told = capsys.readouterr().err
    await database.close()

    assert "checkout has schema 9000" in told
    assert (f"({why})" in told) if why else ("it has all that this version uses" in told)


async def test_a_schema_of_another_program_is_one_sentence(new_database: NewDatabase) -> None:
    database = Database(new_database("other"))
    await migrate(database, "checkout", CHECKOUT)
    async with database.transaction() as transaction:
        await transaction.execute(text("UPDATE alembic_version SET version_num = 'ae1027a6acf'"))
    with pytest.raises(CannotStart, match=r"has schema ae1027a6acf; this version knows \d{4} and"):
        await migrate(database, "checkout", CHECKOUT)
    await database.close()


async def _numbers(database: Database) -> list[int]:
    async with database.read() as connection:
        return [row[0] for row in await connection.execute(text("SELECT n FROM t ORDER BY n"))]


async def test_a_cancelled_transaction_leaves_nothing_and_blocks_nobody(
    new_database: NewDatabase,
) -> None:
    database = Database(new_database("cancel"), pool_size=2)
    async with database.transaction() as transaction:
        await transaction.execute(text("CREATE TABLE t (n INTEGER PRIMARY KEY)"))
        await asyncio.sleep(0)
    await asyncio.gather(*[_numbers(database) for _ in range(4)])  # connections that are there
    dice = random.Random(7)

    async def write(number: int) -> None:
        async with database.transaction() as transaction:
            await transaction.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})
            await asyncio.sleep(0)
            await transaction.execute(text("INSERT INTO t VALUES (:n)"), {"n": number + 1000})

    tasks = [asyncio.create_task(write(number)) for number in range(60)]
    for task in tasks:
        await asyncio.sleep(dice.random() * 0.004)
        if dice.random() < 0.6:
            task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(20):
        await write(500)

    numbers = await _numbers(database)
    await database.close()
    halves = {n for n in numbers if n < 1000}, {n - 1000 for n in numbers if n >= 1000}
    assert halves[0] == halves[1]
    assert {number for number, end in enumerate(ended) if end is None} | {500} <= halves[0]


@pytest.mark.parametrize("value", ["nul \x00 character", 10**25])
async def test_a_value_that_cannot_be_stored_is_the_caller_s_mistake(
    new_database: NewDatabase, value: object
) -> None:
    database = Database(new_database("values"))
    async with database.transaction() as transaction:
        await transaction.execute(text("CREATE TABLE v (t VARCHAR(40), n BIGINT)"))
    column = "t" if isinstance(value, str) else "n"
    try:
        async with database.transaction() as transaction:
            await transaction.execute(text(f"INSERT INTO v ({column}) VALUES (:v)"), {"v": value})  # noqa: S608
        stored = True
    except InvalidInput:
        stored = False
    await database.close()

    # SQLite keeps a NUL character; nothing else is kept by anybody.
    assert stored is (database.dialect == "sqlite" and isinstance(value, str))


def test_a_damaged_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "checkout.db").write_bytes(b"not a database, " * 500)
    (tmp_path / "empty.db").touch()

    assert "is not a usable SQLite database" in str(damaged(tmp_path / "checkout.db"))
    assert damaged(tmp_path / "empty.db") is None
    assert damaged(tmp_path / "missing.db") is None


@pytest.mark.integration
async def test_without_its_database_checkout_answers_503_and_recovers_by_itself(
    tmp_path: Path, clock: ManualClock
) -> None:
    with LocalPostgres(databases=("checkout", "sandbox")) as server:
        databases = {name: server.url(name) for name in ("checkout", "sandbox")}
        async with open_shop(tmp_path, clock, databases) as shop:
            order = await shop.ordered()
            ready = [(await shop.checkout.internal.get("/health/ready")).status_code]
            await asyncio.to_thread(server.stop)

            down = await shop.hold("car_2", key='"during-outage"')
            ready.append((await shop.checkout.internal.get("/health/ready")).status_code)
            alive = (await shop.checkout.internal.get("/health/live")).status_code
            await asyncio.to_thread(server.start)
            await asyncio.sleep(PAUSE_SECONDS)  # until then nobody tries

            up = await shop.hold("car_2", key='"during-outage"')
            ready.append((await shop.checkout.internal.get("/health/ready")).status_code)
            await shop.pay(order, PAYS)

            assert (down.status_code, down.json()["type"], down.json()["retry_after_seconds"]) == (
                503,
                "/problems/temporarily-unavailable",
                2,
            )
            assert (up.status_code, ready, alive) == (201, [200, 503, 200], 200)
            assert (await shop.read(order))["state"] == "confirmed"
            assert await shop.broken_invariants() == {}


async def test_only_what_means_away_is_told_as_away(new_database: NewDatabase) -> None:
    database = Database(new_database("defects"))
    with pytest.raises(Exception, match=r"no such table|does not exist") as caught:
        async with database.transaction() as transaction:
            await transaction.execute(text("SELECT * FROM absent"))
    await database.close()

    assert not isinstance(caught.value, DatabaseUnavailable)


@pytest.mark.parametrize(
    ("sqlstate", "away"),
    [
        *[(code, True) for code in ("08000", "08003", "08006", "08P01", "28000", "28P01")],
        *[(code, True) for code in ("53100", "53200", "53300", "55P03", "40001", "40P01")],
        *[(code, True) for code in ("57014", "57P01", "57P02", "57P03", "57P04", "57P05")],
        *[(code, True) for code in ("25006", "25P03", "58000", "58030")],
        *[(code, False) for code in ("23505", "42P01", "42703", "25P02", "XX000", "")],
    ],
)
def test_what_a_server_says_is_unavailable_or_a_defect(sqlstate: str, away: bool) -> None:
    said = Exception("said by the server")
    said.sqlstate = sqlstate  # type: ignore[attr-defined]

    assert means_away(DBAPIError("SELECT 1", None, said)) is away


@pytest.mark.integration
async def test_a_shop_whose_database_became_read_only_answers_try_again_and_recovers(
    tmp_path: Path, clock: ManualClock, postgres: LocalPostgres
) -> None:
    postgres.query('CREATE DATABASE "failover"')

    def become(read_only: str) -> None:
        postgres.query(f'ALTER DATABASE "failover" SET default_transaction_read_only = {read_only}')

    def cut_off() -> None:
        postgres.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'failover'"
        )

    async with open_shop(tmp_path, clock, {"checkout": postgres.url("failover")}) as shop:
        become("on")
        cut_off()
        refused = [await shop.hold() for _ in range(2)]
        become("off")
        taken = await _until_taken(shop)  # nobody cuts the connections to the standby off

    assert [(answer.status_code, answer.headers["retry-after"]) for answer in refused] == [
        (503, "2"),
        (503, "2"),
    ]
    assert taken == 201


MOST = 10
"""Connections that a small server lets in."""


@pytest.mark.integration
async def test_a_shop_whose_database_is_full_of_others_answers_try_again_and_recovers(
    tmp_path: Path, clock: ManualClock
) -> None:
    few = {**TEST_SETTINGS, "max_connections": str(MOST), "superuser_reserved_connections": "0"}
    with LocalPostgres(databases=("checkout",), settings=few) as server:
        async with open_shop(tmp_path, clock, {"checkout": server.url("checkout")}) as shop:
            others = await _take_every_connection(server)
            full = await shop.hold()
            ready = await shop.checkout.internal.get("/health/ready")
            for other in others:
                await other.close()
            taken = await _until_taken(shop)

    assert (full.status_code, full.json()["type"], full.headers["retry-after"]) == (
        503,
        "/problems/temporarily-unavailable",
        "2",
    )
    assert (ready.status_code, taken) == (503, 201)


async def _take_every_connection(server: LocalPostgres) -> list[asyncpg.Connection]:
    """As a foreign program would, and whatever the shop had with them."""
    address = server.url("postgres", driver="postgresql")
    taken = [await asyncpg.connect(address)]
    await taken[0].execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'checkout'"
    )
    while len(taken) < MOST:
        with suppress(asyncpg.TooManyConnectionsError):  # one that ends has not ended yet
            taken.append(await asyncpg.connect(address))
    return taken


async def _until_taken(shop: Shop) -> int:
    for _ in range(100):
        answer = await shop.hold()
        if answer.status_code != 503:
            return answer.status_code
        await asyncio.sleep(0.1)
    return 503
