"""`python -m app.checkout erase` and `rotate-keys`: run beside a checkout that serves."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from app.checkout.customers import CustomerSeal
from app.contracts.checkout import Customer
from app.kernel.clock import ManualClock
from rigs.shop import without_settings
from tests.builders.platform import KEYS
from tests.builders.shop import CUSTOMER, Shop, open_shop

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
OLD = "dGVzdC1jdXN0b21lci1rZXktdGVzdC1jdXN0b21lcjA="
NEW = "b3RoZXItY3VzdG9tZXIta2V5LW90aGVyLWN1c3RvbWU="


def _run(
    folder: Path, *command: str, keys: str = OLD, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.checkout", *command],
        check=False,
        capture_output=True,
        text=True,
        input=typed,
        cwd=ROOT,
        env={
            **without_settings(),
            "COLUMNS": "150",
            "VITRINE_DATA": str(folder),
            "VITRINE_FLAGS": str(folder / "flags.json"),
            "VITRINE_SESSION_KEY": KEYS["session_key"],
            "VITRINE_CUSTOMER_KEY": keys,
        },
        timeout=120,
    )


async def _count(shop: Shop) -> int:
    return int((await shop.rows("SELECT COUNT(*) FROM customers"))[0][0])


async def test_an_operator_erases_a_customer_and_hears_what_must_wait(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with open_shop(tmp_path, clock, {}) as shop:
        over, waiting = await shop.confirmed("car_1"), await shop.confirmed("car_2")
        await shop.act(over, "handover")

        partly = await asyncio.to_thread(
            _run, tmp_path, "erase", "--email", "-", typed="ASA.oberg@example.se\n"
        )
        left = await _count(shop)
        await shop.act(waiting, "cancellation")
        wholly = await asyncio.to_thread(_run, tmp_path, "erase", "--order", waiting["order_id"])
        audit = await asyncio.to_thread(_run, tmp_path, "audit")

        assert (partly.returncode, left, wholly.returncode, await _count(shop)) == (1, 1, 0, 0)
    assert over["order_id"] in partly.stdout
    assert "still open" in partly.stdout
    assert '"event":"customer.erased"' in partly.stdout
    assert '"by":"operator"' in wholly.stdout
    assert audit.returncode == 0
    said = "".join(done.stdout + done.stderr for done in (partly, wholly))
    assert "oberg" not in said.casefold()


async def test_an_order_that_nobody_knows_and_a_missing_choice_are_one_sentence(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with open_shop(tmp_path, clock, {}):
        unknown = await asyncio.to_thread(_run, tmp_path, "erase", "--order", "ord_nobody")
        neither = await asyncio.to_thread(_run, tmp_path, "erase")

    assert (unknown.returncode, neither.returncode) == (2, 2)
    assert unknown.stderr == "vitrine cannot start: There is no such order.\n"
    assert "give either --email or --order" in neither.stderr


async def test_keys_are_rotated_beside_a_checkout_that_serves(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with open_shop(tmp_path, clock, {}) as shop:
        await shop.confirmed("car_1")

        without_old = await asyncio.to_thread(_run, tmp_path, "rotate-keys", keys=NEW)
        rotated = await asyncio.to_thread(_run, tmp_path, "rotate-keys", keys=f"{NEW},{OLD}")

        ((sealed,),) = await shop.rows("SELECT sealed FROM customers")
    assert (without_old.returncode, rotated.returncode) == (1, 0)
    assert "1 could not be opened: ord_" in without_old.stdout
    assert "1 rows sealed or indexed anew, 0 were as they should be" in rotated.stdout
    assert CustomerSeal(NEW).open(bytes(sealed)) == Customer.model_validate(CUSTOMER)
