"""The production shape on loopback: six service processes, PostgreSQL, and the gateway in front.

What docker-compose.yml does with containers, with processes: the same environment variables, one
database per service, the same gateway configuration. For tests, and for looking at what embedded
mode cannot show: replicas, restarts of one service, a database that is away.
"""

import contextlib
from collections.abc import Mapping
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
    gateway's, as in docker-compose.yml.
    """

    def __init__(self, folder: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.secrets = new_secrets()
        self._more = dict(environment or {})
        self.addresses = dict(zip(SERVICES, free_addresses(len(SERVICES)), strict=True))
        self.postgres = LocalPostgres()
        self.gateway = LocalGateway(
            folder / "gateway",
            services={name: f"{LOOPBACK}:{each.port}" for name, each in self.addresses.items()},
            proxies=self._more.get("VITRINE_GATEWAY_PROXIES", "").replace(",", " ").split(),
        )
        self.flags_path = folder / "flags.json"
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
            self.addresses[name].ready_url, timeout_seconds=START_SECONDS
        )

    def environment(self, name: str) -> dict[str, str]:
        """What docker-compose.yml gives to one service, for loopback."""
        return shop_environment(
            self.folder / name,
            self.addresses[name],
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

    def _service(self, name: str) -> ManagedProcess:
        log_path = self.folder / f"{name}.log"
        return shop_process(self.environment(name), log_path, service=name, name=name)
