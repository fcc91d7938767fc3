"""Running checkouts for the proofs: on PostgreSQL with two workers, and on SQLite with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from rigs.checkout import LocalCheckout, Neighbours
from rigs.postgres import LocalPostgres
from rigs.shop import new_secrets
from tests.conftest import NewDatabase
from tests.proofs.books import Books, OutboxReader
from tests.proofs.shopping import Behaviour, Shopping


@dataclass(frozen=True)
class Stack:
    """Checkout with its stand-ins, and the ways to load and to look at it."""

    checkout: LocalCheckout
    neighbours: Neighbours

    @property
    def books(self) -> Books:
        return Books(self.checkout, self.neighbours.url)

    def outbox(self) -> OutboxReader:
        return OutboxReader([address.internal_url for address in self.checkout.addresses])

    def shopping(self, shoppers: int, behaviour: Behaviour) -> Shopping:
        workers = [address.url for address in self.checkout.addresses]
        return Shopping(workers, self.neighbours.url, shoppers=shoppers, behaviour=behaviour)

    def list_cars(self, count: int) -> None:
        self.neighbours.list_cars(count)
        self.checkout.wait_listed(count)


@contextmanager
def running_stack(
    folder: Path, *, database_url: str, workers: int, insight: bool = False
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
        ) as checkout,
    ):
        yield Stack(checkout, neighbours)


StartStack = Callable[..., AbstractContextManager[Stack]]


@pytest.fixture
def start_stack(
    new_database: NewDatabase, tmp_path: Path, request: pytest.FixtureRequest
) -> StartStack:
    """Starts a stack on an empty database: two workers on PostgreSQL, one on SQLite."""
    url = new_database("checkout")
    on_sqlite = url.startswith("sqlite")

    def start(*, insight: bool = False) -> AbstractContextManager[Stack]:
        return running_stack(
            tmp_path,
            database_url="" if on_sqlite else url,
            workers=1 if on_sqlite else 2,
            insight=insight,
        )

    return start


@pytest.fixture
def own_postgres() -> Iterator[LocalPostgres]:
    """A server that a proof may stop, freeze and cut."""
    with LocalPostgres(databases=("checkout",)) as server:
        yield server
