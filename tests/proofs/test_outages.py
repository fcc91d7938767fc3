"""PostgreSQL or its pooler stopped, frozen, restarted, connections cut, while people buy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import httpx
import pytest

from rigs.pgbouncer import LocalPgbouncer
from rigs.postgres import LocalPostgres
from rigs.processes import ManagedProcess, wait_until
from tests.proofs.books import assert_nothing_lost_or_doubled
from tests.proofs.conftest import POOLER, Stack, running_stack
from tests.proofs.length import LONG, OUTAGES
from tests.proofs.shopping import OpenDoors, Shopping

pytestmark = pytest.mark.integration

SHOPPERS = 8
LONGEST_ANSWER_SECONDS = 30.0
"""While the database is away. A statement is given up after 10 s and a connection after 5; a
request makes up to three transactions."""
CUTS = 5
CARS = 600 * OUTAGES


def ready(stack: Stack) -> list[bool]:
    """Whether each worker calls itself ready."""
    return [
        httpx.get(f"{each.internal_url}/health/ready", timeout=60, trust_env=False).is_success
        for each in stack.checkout.addresses
    ]


@contextlib.contextmanager
def away(stack: Stack, crowd: Shopping) -> Iterator[None]:
    """The database is gone before this block: shoppers are told, workers say that they are not
    ready; after it they recover by themselves."""
    processes = [process.pid for process in stack.checkout.processes]
    crowd.wait_met(503, SHOPPERS)
    wait_until(lambda: not any(ready(stack)), timeout_seconds=60, what="nobody is ready")
    yield
    wait_until(lambda: all(ready(stack)), timeout_seconds=60, what="all are ready again")
    crowd.wait_bought(2)
    assert [process.pid for process in stack.checkout.processes] == processes


def stop(server: ManagedProcess, stack: Stack, crowd: Shopping) -> None:
    server.stop()
    with away(stack, crowd):
        server.start()


def kill(postgres: LocalPostgres, stack: Stack, crowd: Shopping) -> None:
    """The server dies without a word, as when its machine does, and recovers from its log."""
    postgres.kill()
    with away(stack, crowd):
        (postgres.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        postgres.start()


def freeze(server: ManagedProcess, stack: Stack, crowd: Shopping) -> None:
    server.pause()
    try:
        with away(stack, crowd):
            server.resume()
    finally:
        server.resume()


def restart(postgres: LocalPostgres, stack: Stack, crowd: Shopping) -> None:
    postgres.restart()
    wait_until(lambda: all(ready(stack)), timeout_seconds=60, what="all are ready again")
    crowd.wait_bought(2)


def cut(postgres: LocalPostgres, stack: Stack, crowd: Shopping) -> None:
    for _ in range(CUTS):
        crowd.wait_answers(7)
        postgres.query(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = 'checkout'"
        )
    crowd.wait_bought(2)
    assert all(ready(stack))


Outage = Callable[[Stack, Shopping], None]


def of_postgres(server: LocalPostgres) -> list[Outage]:
    """One of each kind; a pooler before it stays."""
    return [partial(each, server) for each in (stop, kill, freeze, restart, cut)]


def of_pooler(pooler: LocalPgbouncer) -> list[Outage]:
    """One of each kind, PostgreSQL behind it being there."""
    return [partial(each, pooler) for each in (stop, freeze)]


def test_outages_of_the_database_are_said_survived_and_lose_nothing(
    own_postgres: LocalPostgres, tmp_path: Path
) -> None:
    url = own_postgres.url("checkout")
    with running_stack(tmp_path, database_url=url, workers=2) as stack:
        survive(of_postgres(own_postgres), stack)


@pytest.mark.skipif(not LONG, reason="the same once more, slower; this is the long proof's")
def test_behind_a_pooler_its_outages_and_the_database_s_are_survived_alike(
    own_postgres: LocalPostgres, tmp_path: Path
) -> None:
    with LocalPgbouncer(own_postgres, settings=POOLER) as pooler:
        outages = of_pooler(pooler) + of_postgres(own_postgres)
        url = pooler.url("checkout")
        with running_stack(tmp_path, database_url=url, workers=2, pooler="transaction") as stack:
            survive(outages, stack)


def survive(outages: Sequence[Outage], stack: Stack) -> None:
    """People buy through all of them, and the books say what they saw."""
    doors = OpenDoors()
    stack.list_cars(CARS)
    outbox = stack.outbox()
    with stack.shopping(SHOPPERS, doors.behave) as crowd:
        try:
            for outage in [*outages] * OUTAGES:
                crowd.wait_bought(2)
                outage(stack, crowd)
                outbox.read_on()
        finally:
            doors.open = False
    assert crowd.diary.improper == []
    assert [m for m in crowd.diary.met if m.seconds > LONGEST_ANSWER_SECONDS] == []
    assert_nothing_lost_or_doubled(stack.books, outbox, crowd.diary.bought)
