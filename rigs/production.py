"""The production shape on loopback: six service processes, PostgreSQL, and the gateway in front.

What docker-compose.yml does with containers, with processes: the same environment variables, one
database per service, the same gateway configuration. For tests, and for looking at what embedded
mode cannot show: replicas, restarts of one service, a database that is away.
"""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rigs.nginx import LocalGateway
from rigs.ports import LOOPBACK
from rigs.postgres import LocalPostgres
from rigs.processes import ManagedProcess
from rigs.prometheus import Target
from rigs.shop import (
    PRODUCTION,
    SERVICES,
    START_SECONDS,
    Address,
    free_addresses,
    new_secrets,
    shop_environment,
    shop_process,
    urls_of,
)


class LocalProduction:
    """A context: everything runs inside it and nothing after it.

    ``gateway.url`` is the shop's address; ``services`` are the processes by name (``stop``,
    ``start``, ``pause``, ``kill`` one of them); ``secrets`` the keys; ``targets`` what Prometheus
    scrapes. ``environment`` is added to every service's; its ``VITRINE_GATEWAY_PROXIES`` is the
    gateway's, as in docker-compose.yml. The services of ``twice`` have a second replica:
    ``replicas`` tells them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        twice: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.secrets = new_secrets()
        self._more = dict(environment or {})
        self.addresses = dict(zip(SERVICES, free_addresses(len(SERVICES)), strict=True))
        self._seconds = dict(zip(twice, free_addresses(len(twice)), strict=True))
        self.postgres = LocalPostgres()
        self.gateway = LocalGateway(
            folder / "gateway",
            services={
                name: " ".join(f"{LOOPBACK}:{each.port}" for each in self._addresses_of(name))
                for name in SERVICES
            },
            proxies=self._more.get("VITRINE_GATEWAY_PROXIES", "").replace(",", " ").split(),
        )
        self.flags_path = folder / "flags.json"
        self.services = {
            name: self._service(name, self.addresses[name], self.folder / f"{name}.log")
            for name in SERVICES
        }
        self._second_services = {
            name: self._service(name, address, self.folder / f"{name}-2.log")
            for name, address in self._seconds.items()
        }
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
            for service in self._second_services.values():
                starting.enter_context(service)
            for name in self.services:
                for address, service in self.replicas(name).items():
                    service.wait_ready(address.ready_url, timeout_seconds=START_SECONDS)
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
        for service in (*self.services.values(), *self._second_services.values()):
            service.ask_to_stop()
        self._running.close()

    def wait_ready(self, name: str) -> None:
        """Return when a service says that it can do its work."""
        self.services[name].wait_ready(
            self.addresses[name].ready_url, timeout_seconds=START_SECONDS
        )

    def replicas(self, name: str) -> dict[Address, ManagedProcess]:
        """A service's processes by where they listen."""
        processes = (self.services[name], self._second_services.get(name))
        return {
            address: process
            for address, process in zip(self._addresses_of(name), processes, strict=False)
            if process is not None
        }

    def _addresses_of(self, name: str) -> list[Address]:
        second = self._seconds.get(name)
        return [self.addresses[name], *([second] if second else [])]

    def environment(self, name: str, address: Address | None = None) -> dict[str, str]:
        """What docker-compose.yml gives to one service, for loopback."""
        return shop_environment(
            self.folder / name,
            address or self.addresses[name],
            service=name,
            different={
                **PRODUCTION,
                **self.secrets,
                **urls_of(self.addresses),
                "VITRINE_FLAGS": str(self.flags_path),
                "VITRINE_PUBLIC_URL": self.gateway.url,
                f"{name.upper()}_DATABASE_URL": self.postgres.url(name),
                **self._more,
            },
        )

    def _service(self, name: str, address: Address, log_path: Path) -> ManagedProcess:
        return shop_process(self.environment(name, address), log_path, service=name, name=name)
