"""A real PostgreSQL that tests may restart, stall and kill."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.ports import is_free
from deploy.local.postgres import SERVICES, LocalPostgres
from deploy.local.processes import NotReady

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


def test_composes_script_gives_each_service_a_role_that_sees_only_its_own() -> None:
    with LocalPostgres(databases=()) as server:
        environment = {
            **os.environ,
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "POSTGRES_USER": "vitrine",
            "POSTGRES_DB": "postgres",
            **{f"{name.upper()}_DATABASE_PASSWORD": f"it's {name}" for name in SERVICES},
        }
        script = ROOT / "deploy" / "postgres" / "create-databases.sh"
        subprocess.run(["sh", str(script)], check=True, env=environment, capture_output=True)

        owners = server.query(
            "SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'checkout'"
        )
        allowed = server.query(
            "SELECT r.rolname, d.datname FROM pg_roles r, pg_database d "
            "WHERE r.rolname IN (SELECT datname FROM pg_database WHERE datname <> 'postgres') "
            "AND d.datname <> 'postgres' AND NOT d.datistemplate "
            "AND has_database_privilege(r.rolname, d.datname, 'CONNECT')"
        )
    assert owners == "checkout|checkout"
    assert sorted(allowed.split()) == sorted(f"{name}|{name}" for name in SERVICES)
