"""What every test has: no sockets unless it says so, a clock that stands still, both databases."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from app.frame.platform import Platform
from app.kernel.clock import ManualClock, SystemClock
from rigs.postgres import LocalPostgres
from tests.builders.platform import make_platform
from tests.builders.shop import Shop, open_shop

NewDatabase = Callable[[str], str]
"""Makes an empty database with this name and returns its SQLAlchemy address."""

_DATABASE_NUMBER = count(1)


class SocketGuard:
    """Lets a test connect to nothing, or to this machine, by its markers.

    A unit test that reaches for a socket is slow and fails elsewhere; no test at all may talk to
    another machine.
    """

    def __init__(self) -> None:
        self.loopback = False
        self._connect = socket.socket.connect
        self._connect_ex = socket.socket.connect_ex

    def install(self) -> None:
        guard = self

        def connect(self: socket.socket, address: Any) -> None:
            guard.check(self, address)
            guard._connect(self, address)

        def connect_ex(self: socket.socket, address: Any) -> int:
            guard.check(self, address)
            return guard._connect_ex(self, address)

        socket.socket.connect = connect  # type: ignore[method-assign, assignment]
        socket.socket.connect_ex = connect_ex  # type: ignore[method-assign, assignment]

    def check(self, opened: socket.socket, address: Any) -> None:
        if opened.family not in {socket.AF_INET, socket.AF_INET6}:
            return
        if not self.loopback:
            raise SocketBlocked(
                f"a unit test connects to {address}: mark it integration or browser"
            )
        if not _is_this_machine(str(address[0])):
            raise SocketBlocked(f"a test connects to another machine: {address}")


class SocketBlocked(Exception):
    """A test reached for a socket that it may not have."""


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_GUARD = SocketGuard()


OPENS = {
    *("shop", "lively_shop", "sqlite_shop", "strict_shop", "shopfront", "world", "world_on_each"),
    *("services", "url"),
}
"""The fixtures that open whole services, each with a database of its own."""
OPENERS = {"running", "open_shop", "open_world"}
"""What tests call that open some themselves."""

TESTS = Path(__file__).parent
MONEY = (
    *(f"checkout/test_{name}.py" for name in ("holds", "orders", "payments", "idempotency")),
    *("checkout/test_change.py", "checkout/test_poison.py", "insight/ledger/"),
)
"""How a car is held, ordered and paid, and what the ledger books of it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to `make test` what costs a whole service and is not the first word about money.

    What checkout decides is tried as rules, always. Of a sentence in MONEY `make check` looks at
    the first row of a whole service, on SQLite. Further rows and databases, what happens to an
    order later, and the other services are `thorough`; so are the proofs.
    """
    told: set[str] = set()
    for item in items:
        place = item.path.relative_to(TESTS).as_posix()
        sentence = item.nodeid.partition("[")[0]
        opens = not OPENS.isdisjoint(getattr(item, "fixturenames", ()))
        if isinstance(item, pytest.Function):
            opens |= not OPENERS.isdisjoint(item.function.__code__.co_names)
        whole = opens or place.startswith("proofs/")
        if not whole or item.get_closest_marker("integration") is not None:
            continue
        if not place.startswith(MONEY) or sentence in told:
            item.add_marker(pytest.mark.thorough)
        told.add(sentence)


def pytest_configure() -> None:
    _GUARD.install()


def pytest_collection_finish() -> None:
    """Keep the collector off what stays anyway: a fifth of all processor time was spent on it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _GUARD.loopback = any(item.get_closest_marker(name) for name in ("integration", "browser"))


@pytest.fixture
def clock() -> ManualClock:
    """A quiet moment before the holidays."""
    return ManualClock(datetime(2026, 11, 27, 9, 0, tzinfo=UTC))


@pytest.fixture
def platform(tmp_path: Path, clock: ManualClock) -> Iterator[Platform]:
    made = make_platform(tmp_path, clock=clock)
    yield made
    made.flags.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalPostgres]:
    """One real server for all tests of this process; each test makes databases of its own."""
    with LocalPostgres(databases=()) as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> NewDatabase:
    """Runs the test twice: on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return lambda name: f"sqlite+aiosqlite:///{tmp_path / name}.db"
    server: LocalPostgres = request.getfixturevalue("postgres")
    number = next(_DATABASE_NUMBER)

    def make(name: str) -> str:
        fresh = f"{name}_{number}"
        server.query(f'CREATE DATABASE "{fresh}"')
        return server.url(fresh)

    return make


@pytest.fixture
async def shop(
    tmp_path: Path, clock: ManualClock, new_database: NewDatabase
) -> AsyncIterator[Shop]:
    """Checkout and the practice provider on fresh databases, with four cars to sell."""
    databases = {name: new_database(name) for name in ("checkout", "sandbox")}
    async with open_shop(tmp_path, clock, databases) as opened:
        yield opened


@pytest.fixture
async def sqlite_shop(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Shop]:
    """The same on SQLite only, for what does not depend on the database."""
    async with open_shop(tmp_path, clock, {}) as opened:
        yield opened


@pytest.fixture
async def no_task_left() -> AsyncIterator[None]:
    """Fails when a test leaves background work behind."""
    yield
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left


MOMENT = os.environ.get("VITRINE_TEST_MOMENT")
if MOMENT:
    # `make test-moments`: the product's one clock starts at another moment and runs on from there.
    _real_now = SystemClock.now
    _shift = datetime.fromisoformat(MOMENT) - SystemClock().now()
    SystemClock.now = lambda self: _real_now(self) + _shift  # type: ignore[method-assign]
