"""The production shape on loopback: six service processes, PostgreSQL, and the gateway in front.

What docker-compose.yml does with containers, with processes: the same environment variables, one
database per service, the same gateway configuration. For tests, and for looking at what embedded
mode cannot show: replicas, restarts of one service, a database that is away.
"""

import base64
import contextlib
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rigs.nginx import LocalGateway
from rigs.ports import LOOPBACK, free_ports
from rigs.postgres import SERVICES, LocalPostgres
from rigs.processes import ManagedProcess
from rigs.prometheus import Target

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120.0
SECRETS = (
    "SESSION_KEY",
    "SYNTHETIC_KEY",
    "DEALER_KEY",
    "DELIVERY_KEY",
    "REPORT_KEY",
    "PAYMENT_KEY",
    "WEBHOOK_SECRET",
    "CONSOLE_PASSWORD",
)


@dataclass(frozen=True)
class Address:
    """Where one service listens on loopback."""

    port: int
    internal_port: int

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def internal_url(self) -> str:
        return f"http://{LOOPBACK}:{self.internal_port}"


def new_secrets() -> dict[str, str]:
    """A value for every secret that production insists on."""
    values = {f"VITRINE_{name}": secrets.token_urlsafe(24) for name in SECRETS}
    # A Fernet key: 32 random bytes.
    values["VITRINE_CUSTOMER_KEY"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return values


def addresses_of(services: Sequence[str]) -> dict[str, Address]:
    ports = free_ports(2 * len(services))
    return {
        service: Address(ports[2 * index], ports[2 * index + 1])
        for index, service in enumerate(services)
    }


class LocalProduction:
    """A context: everything runs inside it and nothing after it.

    ``gateway.url`` is the shop's address; ``services`` are the processes by name (``stop``,
    ``start``, ``pause``, ``kill`` one of them); ``secrets`` the keys; ``targets`` what Prometheus
    scrapes. ``environment`` is added to every service's.
    """

    def __init__(self, folder: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.secrets = new_secrets()
        self.addresses = addresses_of(SERVICES)
        self.postgres = LocalPostgres()
        self.gateway = LocalGateway(
            folder / "gateway",
            services={name: f"{LOOPBACK}:{each.port}" for name, each in self.addresses.items()},
        )
        self.flags_path = folder / "flags.json"
        self._more = dict(environment or {})
        self.services = {name: self._service(name) for name in SERVICES}
        self._running = contextlib.ExitStack()

    @property
    def targets(self) -> list[Target]:
        return [
            Target(f"{LOOPBACK}:{address.internal_port}", {"component": name})
            for name, address in self.addresses.items()
        ]

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as starting:
            starting.enter_context(self.postgres)
            for service in self.services.values():
                starting.enter_context(service)
            for name in self.services:
                self.wait_ready(name)
            starting.enter_context(self.gateway)
            self._running = starting.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # All at once: each may need its time to drain.
        for service in self.services.values():
            service.ask_to_stop()
        self._running.close()

    def wait_ready(self, name: str) -> None:
        """Return when a service says that it can do its work."""
        self.services[name].wait_ready(
            f"{self.addresses[name].internal_url}/health/ready", timeout_seconds=START_SECONDS
        )

    def environment(self, name: str) -> dict[str, str]:
        """What docker-compose.yml gives to one service, for loopback."""
        own = self.addresses[name]
        prefix = name.upper()
        found = {
            **{key: value for key, value in os.environ.items() if not key.startswith("VITRINE_")},
            **self.secrets,
            "VITRINE_ENVIRONMENT": "production",
            "VITRINE_ALLOW_SANDBOX_IN_PRODUCTION": "true",
            "VITRINE_DATA": str(self.folder / name),
            "VITRINE_FLAGS": str(self.flags_path),
            "VITRINE_PUBLIC_URL": self.gateway.url,
            f"{prefix}_HOST": LOOPBACK,
            f"{prefix}_INTERNAL_HOST": LOOPBACK,
            f"{prefix}_PORT": str(own.port),
            f"{prefix}_INTERNAL_PORT": str(own.internal_port),
            f"{prefix}_DATABASE_URL": self.postgres.url(name),
        }
        for other, address in self.addresses.items():
            found[f"{other.upper()}_URL"] = address.url
            found[f"{other.upper()}_INTERNAL_URL"] = address.internal_url
        return {**found, **self._more}

    def _service(self, name: str) -> ManagedProcess:
        return ManagedProcess(
            name,
            [sys.executable, "-m", f"app.{name}"],
            log_path=self.folder / f"{name}.log",
            environment=self.environment(name),
            folder=ROOT,
        )
