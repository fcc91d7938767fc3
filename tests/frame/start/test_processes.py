"""A service as a process: what it says when it cannot start, and how it stops."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from app.frame.keys import with_keys
from app.frame.settings import PlatformSettings
from app.kernel.clock import ManualClock
from rigs.ports import LOOPBACK
from rigs.processes import wait_until
from rigs.shop import (
    ROOT,
    Address,
    free_addresses,
    new_secrets,
    shop_environment,
    shop_process,
    urls_of,
)
from tests.builders.running import running_shop
from tests.builders.shop import open_shop

pytestmark = pytest.mark.integration

ADDRESSES = {"CHECKOUT_URL": f"http://{LOOPBACK}:9"}


def _environment(folder: Path, **values: str) -> dict[str, str]:
    (address,) = free_addresses(1)
    return shop_environment(folder, address, service="sandbox", different={**ADDRESSES, **values})


def _refusal(folder: Path, service: str = "sandbox", **values: str) -> str:
    """The one line that a service ends with."""
    done = subprocess.run(
        [sys.executable, "-m", f"app.{service}"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=_environment(folder, **values),
        timeout=60,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line.removeprefix("vitrine cannot start: ")


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        said = _refusal(tmp_path, SANDBOX_PORT=str(port))

    assert said == (
        f"port {port} on {LOOPBACK} is taken by another program: stop it, or set SANDBOX_PORT to"
        " a free port."
    )


def test_a_damaged_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sandbox.db").write_bytes(b"scrambled " * 1000)

    assert "sandbox.db is not a usable SQLite database" in _refusal(tmp_path)


def test_a_data_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    said = _refusal(tmp_path, VITRINE_DATA=str(tmp_path / "file" / "data"))

    assert said.endswith("or set VITRINE_DATA to another folder.")


def test_production_names_every_secret_that_it_refuses(tmp_path: Path) -> None:
    said = _refusal(tmp_path, VITRINE_ENVIRONMENT="production", VITRINE_SESSION_KEY="change-me-x")

    assert said == (
        "production refuses these secrets: VITRINE_SESSION_KEY is an example's value;"
        " VITRINE_SYNTHETIC_KEY is not set; VITRINE_PAYMENT_KEY is not set; VITRINE_WEBHOOK_SECRET"
        " is not set. `make env` writes a .env with fresh ones."
    )


def test_production_refuses_a_published_database_password(tmp_path: Path) -> None:
    said = _refusal(
        tmp_path,
        **new_secrets(),
        VITRINE_ENVIRONMENT="production",
        SANDBOX_DATABASE_URL="postgresql+asyncpg://sandbox:change-me-sandbox@127.0.0.1:9/sandbox",
    )

    assert said == (
        "the password in SANDBOX_DATABASE_URL is an example's value: change it for the role in"
        " PostgreSQL and in the address."
    )


def test_the_practice_provider_refuses_production(tmp_path: Path) -> None:
    said = _refusal(tmp_path, VITRINE_ENVIRONMENT="production", **new_secrets())

    assert "VITRINE_ALLOW_SANDBOX_IN_PRODUCTION=true" in said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"VITRINE_PORT": "high"}, "VITRINE_PORT='high': "),
        ({"SANDBOX_PORT": "99999"}, "SANDBOX_PORT='99999': "),
        ({"VITRINE_ENVIRONMENT": "staging"}, "VITRINE_ENVIRONMENT='staging': "),
        ({"CHECKOUT_URL": ""}, "sandbox alone needs to know where the services are that it calls"),
    ],
)
def test_a_wrong_setting_is_one_sentence(tmp_path: Path, values: dict[str, str], said: str) -> None:
    assert _refusal(tmp_path, **values).startswith(said)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("flags.json", "{", "cannot be read as JSON: repair it"),
        ("data/keys.json", "{", "keys.json is damaged"),
        ("data/keys.json", "[]", "keys.json is damaged"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, file: str, text: str, said: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / file).write_text(text)

    assert said in _refusal(tmp_path)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_service_stops_at_once_whoever_keeps_a_connection_open(
    tmp_path: Path, stop: signal.Signals
) -> None:
    (address,) = free_addresses(1)
    environment = shop_environment(tmp_path, address, service="sandbox", different=ADDRESSES)
    process = shop_process(environment, tmp_path / "log", service="sandbox")
    with process, httpx.Client(trust_env=False) as browser:
        process.wait_ready(address.ready_url, timeout_seconds=60)
        assert browser.get(f"{address.url}/sandbox/style.css").status_code == 200
        began = time.monotonic()
        os.kill(process.pid, stop)
        wait_until(lambda: not process.running, timeout_seconds=30, what="the end of the process")

        assert time.monotonic() - began < 30
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_checkout_alone_is_not_ready_while_nobody_told_it_of_a_single_car(tmp_path: Path) -> None:
    (address,) = free_addresses(1)
    nobody = urls_of(dict.fromkeys(("catalog", "sandbox"), Address(9, 9)))
    environment = shop_environment(tmp_path, address, service="checkout", different=nobody)
    with shop_process(environment, tmp_path / "log", service="checkout") as process:
        process.wait_ready(f"{address.internal_url}/health/live", timeout_seconds=60)
        wait_until(lambda: "job.unavailable" in (tmp_path / "log").read_text(), timeout_seconds=60)
        ready = httpx.get(address.ready_url, trust_env=False)

    assert (ready.status_code, ready.json()["problems"]) == (
        503,
        {"checkout": "catalog's facts have not been read up to their end yet"},
    )


def test_what_the_first_page_lists_can_be_held(tmp_path: Path) -> None:
    with (
        running_shop(tmp_path) as shop,
        httpx.Client(base_url=shop.base_url, timeout=60, trust_env=False) as client,
    ):
        listed = [
            car["car_id"]
            for market in ("SE", "NO", "DK", "FI", "US")
            for car in client.get(f"/api/catalog/v1/cars?market={market}&limit=5").json()["items"]
        ]
        held = [
            client.post(
                "/api/checkout/v1/holds",
                json={"car_id": car_id},
                headers={"idempotency-key": f'"{car_id}"'},
            ).status_code
            for car_id in listed
        ]

    assert (len(listed) >= 10, set(held)) == (True, {201})


def test_keys_are_made_once_and_readable_by_nobody_else(tmp_path: Path) -> None:
    settings = PlatformSettings(data=tmp_path)
    first, second = with_keys(settings), with_keys(settings)

    assert first == second
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    assert len({first.session_key, first.synthetic_key, first.dealer_key}) == 3


def _command(folder: Path, *command: str, **values: str) -> subprocess.CompletedProcess[str]:
    environment = _environment(folder, COLUMNS="150", VITRINE_DATA=str(folder), **values)
    return subprocess.run(
        [sys.executable, "-m", "app.checkout", *command],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=60,
    )


def test_a_command_without_a_database_says_so(tmp_path: Path) -> None:
    done = _command(tmp_path, "audit")

    assert (done.returncode, done.stderr) == (
        2,
        "vitrine cannot start: checkout's database has no tables yet: start checkout once.\n",
    )


async def test_the_audit_s_exit_code_tells_whether_everything_is_true(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with open_shop(tmp_path, clock, {}) as shop:
        await shop.confirmed()
        whole = await asyncio.to_thread(_command, tmp_path, "audit")
        await shop.damage("UPDATE cars SET state = 'available'")
        broken = await asyncio.to_thread(_command, tmp_path, "audit")
        no_provider = await asyncio.to_thread(_command, tmp_path, "reconcile")

    assert (whole.returncode, broken.returncode, no_provider.returncode) == (0, 1, 2)
    assert "A sold car would be offered again." in broken.stdout
    assert "confirmed_order_has_its_car" in whole.stdout
    assert "set SANDBOX_URL" in no_provider.stderr
