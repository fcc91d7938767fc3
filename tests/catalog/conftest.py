"""A catalogue beside a checkout whose facts the test states."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.catalog.main import build
from app.kernel.clock import ManualClock
from tests.builders.checkout_events import CheckoutEvents
from tests.builders.services import Running, running
from tests.conftest import NewDatabase


@pytest.fixture
def checkout() -> CheckoutEvents:
    return CheckoutEvents()


@pytest.fixture
async def shop(
    tmp_path: Path,
    clock: ManualClock,
    checkout: CheckoutEvents,
    new_database: NewDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Running]:
    """The catalogue without the shipped stock, on each database."""
    monkeypatch.setattr("app.catalog.main.shipped_feeds", lambda: ())
    databases = {"catalog": new_database("catalog")}
    others = {("checkout", True): checkout.app}
    async with running(
        tmp_path, {"catalog": build}, clock=clock, others=others, databases=databases
    ) as services:
        yield services["catalog"]
