"""What other programs leave in the environment: ignored, or refused in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.embedded import build_all
from app.frame.outbound.connections import KeptConnections
from app.frame.outbound.http import NeighbourClient
from app.frame.platform import Platform
from app.frame.settings import PlatformSettings, ServiceAddresses, ServiceSettings, WrongSetting
from app.frame.start.startup import read_settings
from app.insight.console.gateways import Prometheus
from rigs.ports import LOOPBACK
from tests.builders.running import running_shop

OF_OTHERS = {
    "DATABASE_URL": "postgresql+asyncpg://other@db.invalid/otherapp",
    "HOST": "everywhere.invalid",
    "PORT": "http",
    "INTERNAL_HOST": "nowhere.invalid",
    "INTERNAL_PORT": "admin",
    "URL": "http://other.invalid",
    "INTERNAL_URL": "ftp://other.invalid",
    "ENVIRONMENT": "production",
    "WORKERS": "many",
    "DATA": "/proc/nowhere",
    "FLAGS": "--all",
    "DEBUG": "yes please",
    "PUBLIC_URL": "https://other.invalid",
    "SESSION_KEY": "another program's",
    "WEB_CONCURRENCY": "auto",
    "FORWARDED_ALLOW_IPS": "*",
    "HTTP_PROXY": f"http://{LOOPBACK}:9",
    "HTTPS_PROXY": "not an address",
    "ALL_PROXY": "socks5://proxy.invalid",
    "NO_PROXY": "",
    "SSL_CERT_FILE": "/nowhere/certificates.pem",
    "SSL_CERT_DIR": "/nowhere",
    "PGHOST": "db.invalid",
    "PGSERVICE": "other",
    "PGSSLMODE": "verify-full",
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONOPTIMIZE": "2",
}
"""Things that shells, platforms and neighbouring programs really set."""

ELSEWHERE = {
    "CHECKOUT_DATABASE_URL": "postgresql+asyncpg://checkout@db.invalid/checkout",
    "CATALOG_URL": "http://catalog.invalid",
    "CATALOG_INTERNAL_URL": "http://catalog.invalid",
    "SANDBOX_PORT": "tcp://10.0.0.7:8006",
}
"""Ours, but for a service in a process of its own; container platforms set such a port, too."""


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (OF_OTHERS | ELSEWHERE).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("hostile")
def test_a_service_reads_nothing_without_its_own_name() -> None:
    defaults = ServiceSettings(), ServiceAddresses()

    assert (ServiceSettings.of("insight"), ServiceAddresses.of("insight")) == defaults
    assert defaults[0].model_dump() == {
        "port": 8000,
        "internal_port": 9100,
        "host": "127.0.0.1",
        "internal_host": "127.0.0.1",
        "database_url": "",
        "database_connections": 12,
        "database_pooler": "",
        "database_gib": 0,
    }
    assert PlatformSettings().environment == "development"


@pytest.mark.usefixtures("hostile")
async def test_in_one_process_every_service_has_its_file_and_asks_the_others_here(
    platform: Platform,
) -> None:
    services = build_all(platform)

    kept = {name: service.database.url for name, service in services.items()}
    assert kept == {
        name: f"sqlite+aiosqlite:///{platform.settings.data / name}.db" for name in services
    }
    assert "CATALOG_URL" in platform.unaddressed  # so it is looked for in this process
    for service in services.values():
        await service.stop()


def test_a_file_of_settings_in_the_working_folder_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("VITRINE_PORT=1\nVITRINE_ENVIRONMENT=production\n")
    monkeypatch.chdir(tmp_path)

    assert PlatformSettings().port == 8000


def test_what_libpq_would_read_is_forgotten_before_a_database_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    for name in ("PGPORT", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGTARGETSESSIONATTRS"):
        monkeypatch.setenv(name, "1")

    read_settings()

    assert [name for name in os.environ if name.startswith("PG")] == []


@pytest.mark.usefixtures("hostile")
async def test_neighbours_are_called_without_a_proxy_and_without_foreign_certificates() -> None:
    prometheus = Prometheus("http://prometheus:9090")
    client = NeighbourClient(
        "https://neighbour.invalid", KeptConnections(), timeout=httpx.Timeout(1.0)
    )
    with pytest.raises(httpx.ConnectError, match="SSL_CERT_FILE"):
        await client.get("/")

    assert isinstance(prometheus._http, httpx.AsyncClient)
    assert not any(prometheus._http._mounts.values())
    await prometheus.close()
    await client.aclose()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PORT", "tcp://10.0.0.7:80", "SANDBOX_PORT='tcp://10.0.0.7:80': Input should be a valid"),
        ("PORT", "", "SANDBOX_PORT='': Input should be a valid integer"),
        (
            "DATABASE_URL",
            "postgres://u:hidden@h/d",
            "SANDBOX_DATABASE_URL: must begin with postgresql+asyncpg:// or sqlite+aiosqlite://",
        ),
        ("DATABASE_URL", "a database, please", "SANDBOX_DATABASE_URL: must begin with"),
    ],
)
def test_a_wrong_value_is_named_and_an_address_is_not_repeated(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SANDBOX_{variable}", value)

    with pytest.raises(WrongSetting) as refused:
        ServiceSettings.of("sandbox")

    assert str(refused.value).startswith(said)
    assert "hidden" not in str(refused.value)


def test_an_address_of_a_service_is_one_of_the_web(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOG_URL", "catalog:8001")

    with pytest.raises(WrongSetting, match=r"CATALOG_URL: must begin with http:// or https://"):
        ServiceAddresses.of("catalog")


@pytest.mark.integration
def test_the_shop_sells_whatever_other_programs_left_in_the_environment(tmp_path: Path) -> None:
    with (
        running_shop(tmp_path, **OF_OTHERS, **ELSEWHERE) as shop,
        httpx.Client(base_url=shop.base_url, timeout=30, trust_env=False) as client,
    ):
        page = client.get("/se/sv/cars")

        assert (page.status_code, "bilar" in page.text) == (200, True)
        assert sorted(path.name for path in (tmp_path / "data").glob("*.db")) == [
            *("advisor.db", "catalog.db", "checkout.db", "insight.db"),
            *("sandbox.db", "storefront.db", "traces.db"),
        ]
        assert [line for line in shop.log() if line.get("level") == "error"] == []


@pytest.mark.integration
@pytest.mark.parametrize("program", ["app", "app.checkout"])
def test_a_shell_that_allows_few_files_is_one_sentence(tmp_path: Path, program: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"ulimit -n 64 && exec {sys.executable} -m {program}"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "VITRINE_DATA": str(tmp_path)},
        timeout=60,
    )

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "may open 64 files" in done.stderr


@pytest.mark.integration
def test_a_foreign_worker_index_is_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "VITRINE_DATA": str(tmp_path), "VITRINE_WORKER_INDEX": "first"},
        timeout=60,
    )

    assert (done.returncode, done.stderr.splitlines()[0].split(":")[1]) == (
        2,
        " VITRINE_WORKER_INDEX='first'",
    )
