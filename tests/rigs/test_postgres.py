"""A real PostgreSQL that tests may restart, stall and kill."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from rigs.ports import is_free
from rigs.postgres import LocalPostgres
from rigs.processes import NotReady
from rigs.shop import SERVICES

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def postgres() -> Iterator[LocalPostgres]:
    with LocalPostgres() as server:
        yield server


def test_each_service_has_a_database(postgres: LocalPostgres) -> None:
    names = postgres.query("SELECT datname FROM pg_database WHERE NOT datistemplate")

    assert set(names.split()) == {"postgres", *SERVICES}


def test_it_runs_with_the_settings_of_compose(postgres: LocalPostgres) -> None:
    shown = [
        postgres.query(f"SHOW {name}")
        for name in ("max_connections", "lock_timeout", "idle_in_transaction_session_timeout")
    ]

    assert shown == ["120", "5s", "30s"]


def test_data_survives_a_restart_and_a_kill(postgres: LocalPostgres) -> None:
    postgres.query("CREATE TABLE orders (order_id text)", database="checkout")
    postgres.query("INSERT INTO orders VALUES ('ord_1')", database="checkout")

    postgres.restart()
    postgres.query("INSERT INTO orders VALUES ('ord_2')", database="checkout")
    postgres.kill()
    postgres.start()

    rows = postgres.query("SELECT order_id FROM orders ORDER BY 1", database="checkout")
    assert rows.split() == ["ord_1", "ord_2"]


def test_a_refused_statement_says_why(postgres: LocalPostgres) -> None:
    with pytest.raises(NotReady, match='relation "nothing" does not exist'):
        postgres.query("SELECT * FROM nothing")


def test_it_is_gone_with_its_data_after_its_context() -> None:
    with LocalPostgres(databases=("one",)) as server:
        folder, port = server.folder, server.port
        assert server.url("one") == f"postgresql+asyncpg://vitrine@127.0.0.1:{port}/one"

    assert (folder.exists(), is_free(port), server.running) == (False, True, False)


@pytest.fixture(scope="module")
def of_compose() -> Iterator[LocalPostgres]:
    """A server after compose's script has run on it."""
    with LocalPostgres(databases=()) as server:
        environment = {
            **os.environ,
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "POSTGRES_USER": "vitrine",
            "POSTGRES_DB": "postgres",
            **{
                f"{name.upper()}_DATABASE_PASSWORD": f"it's {name}"
                for name in (*SERVICES, "collector")
            },
        }
        script = ROOT / "deploy" / "postgres" / "create-databases.sh"
        subprocess.run(["sh", str(script)], check=True, env=environment, capture_output=True)
        yield server


def test_composes_script_gives_each_service_a_role_that_sees_only_its_own(
    of_compose: LocalPostgres,
) -> None:
    owners = of_compose.query(
        "SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'checkout'"
    )
    allowed = of_compose.query(
        "SELECT r.rolname, d.datname FROM pg_roles r, pg_database d "
        "WHERE r.rolname IN (SELECT datname FROM pg_database WHERE datname <> 'postgres') "
        "AND d.datname <> 'postgres' AND NOT d.datistemplate "
        "AND has_database_privilege(r.rolname, d.datname, 'CONNECT')"
    )

    assert owners == "checkout|checkout"
    assert sorted(allowed.split()) == sorted(f"{name}|{name}" for name in SERVICES)


def test_no_role_of_composes_script_is_a_superuser(of_compose: LocalPostgres) -> None:
    roles = of_compose.query(
        "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname <> 'vitrine'"
        " AND NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)"
    )

    assert set(roles.split()) == {*SERVICES, "collector"}


async def test_the_collectors_role_reads_numbers_and_no_table(of_compose: LocalPostgres) -> None:
    of_compose.query("CREATE TABLE customers (sealed text)", database="checkout")
    of_compose.query("ALTER TABLE customers OWNER TO checkout", database="checkout")
    memberships = of_compose.query(
        "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid"
        " WHERE pg_get_userbyid(m.member) = 'collector'"
    )
    connection = await asyncpg.connect(
        host="127.0.0.1", port=of_compose.port, user="collector", database="checkout"
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("SELECT * FROM customers")
    # What its receiver asks: sizes of all databases, tables' counters, the background writer's.
    sizes = await connection.fetch("SELECT datname, pg_database_size(datname) FROM pg_database")
    tables = await connection.fetch(
        "SELECT relname, n_live_tup, pg_relation_size(relid) FROM pg_stat_user_tables"
    )
    written = await connection.fetchval("SELECT checkpoints_timed FROM pg_stat_bgwriter")
    others = await connection.fetch("SELECT query FROM pg_stat_activity WHERE query IS NOT NULL")
    await connection.close()

    assert memberships == "pg_monitor"
    assert {*SERVICES} <= {row["datname"] for row in sizes}
    assert [row["relname"] for row in tables] == ["customers"]
    assert (written >= 0, len(others) > 0) == (True, True)
