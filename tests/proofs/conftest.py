"""Running checkouts for the proofs: on PostgreSQL with two workers, and on SQLite with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from app.frame.settings import Pooler
from rigs.checkout import LocalCheckout, Neighbours
from rigs.pgbouncer import LocalPgbouncer
from rigs.postgres import LocalPostgres
from rigs.shop import new_secrets
from tests.conftest import NewDatabase
from tests.proofs.books import Books, OutboxReader
from tests.proofs.length import LONG
from tests.proofs.shopping import Behaviour, Shopping

NUMBERS = count(1)
POOLER = {"default_pool_size": "4"}
"""A few connections for each database."""


@dataclass(frozen=True)
class Place:
    """A kind of database: `new` makes an empty one by its name and returns its address."""

    name: str
    new: NewDatabase
    pooler: Pooler = ""


@pytest.fixture(scope="session")
def pgbouncer(postgres: LocalPostgres) -> Iterator[LocalPgbouncer]:
    """In front of the tests' server."""
    with LocalPgbouncer(postgres, settings=POOLER) as pooler:
        yield pooler


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.integration),
        pytest.param(
            "pgbouncer",
            marks=[
                pytest.mark.integration,
                pytest.mark.skipif(not LONG, reason="behind a pooler as well: the long proof's"),
            ],
        ),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Runs a proof on SQLite, on PostgreSQL, and on PostgreSQL behind a pooler."""
    if request.param == "sqlite":
        return Place("sqlite", lambda name: f"sqlite+aiosqlite:///{tmp_path / name}.db")
    server: LocalPostgres = request.getfixturevalue("postgres")
    pooled = request.param == "pgbouncer"
    reach = request.getfixturevalue("pgbouncer").url if pooled else server.url
    number = next(NUMBERS)

    def make(name: str) -> str:
        fresh = f"proof_{name}_{number}"
        server.query(f'CREATE DATABASE "{fresh}"')
        return str(reach(fresh))

    return Place(request.param, make, "transaction" if pooled else "")


@dataclass(frozen=True)
class Stack:
    """Checkout with its stand-ins, and the ways to load and to look at it."""

    checkout: LocalCheckout
    neighbours: Neighbours

    @property
    def books(self) -> Books:
        return Books(self.checkout, self.neighbours.url)

    def outbox(self) -> OutboxReader:
        urls = [address.internal_url for address in self.checkout.addresses]
        return OutboxReader(urls, self.checkout.operator)

    def shopping(self, shoppers: int, behaviour: Behaviour) -> Shopping:
        workers = [address.url for address in self.checkout.addresses]
        return Shopping(workers, self.neighbours.url, shoppers=shoppers, behaviour=behaviour)

    def list_cars(self, count: int) -> None:
        self.neighbours.list_cars(count)
        self.checkout.wait_listed(count)


@contextmanager
def running_stack(
    folder: Path, *, database_url: str, workers: int, insight: bool = False, pooler: Pooler = ""
) -> Iterator[Stack]:
    secrets = new_secrets()
    with (
        Neighbours(folder, secret=secrets["VITRINE_WEBHOOK_SECRET"]) as neighbours,
        LocalCheckout(
            folder,
            neighbours,
            secrets,
            database_url=database_url,
            workers=workers,
            insight=insight,
            environment={"CHECKOUT_DATABASE_POOLER": pooler},
        ) as checkout,
    ):
        yield Stack(checkout, neighbours)


StartStack = Callable[..., AbstractContextManager[Stack]]


@pytest.fixture
def start_stack(place: Place, tmp_path: Path) -> StartStack:
    """Starts a stack on an empty database: two workers on PostgreSQL, one on SQLite."""
    url = place.new("checkout")
    on_sqlite = place.name == "sqlite"

    def start(*, insight: bool = False) -> AbstractContextManager[Stack]:
        return running_stack(
            tmp_path,
            database_url="" if on_sqlite else url,
            workers=1 if on_sqlite else 2,
            insight=insight,
            pooler=place.pooler,
        )

    return start


@pytest.fixture
def own_postgres() -> Iterator[LocalPostgres]:
    """A server that a proof may stop, freeze and cut."""
    with LocalPostgres(databases=("checkout",)) as server:
        yield server
