"""What all services of one process share, and how they reach each other.

Embedded mode has one platform and six services; in production a process has a platform and one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from starlette.types import ASGIApp

from app.frame.agents import KnownAgents
from app.frame.data.database import Database
from app.frame.flags import Flags
from app.frame.keys import internal_key
from app.frame.outbound.connections import KeptConnections
from app.frame.outbound.directories import Directories
from app.frame.outbound.http import DEADLINE, Carrier, InProcessTransport, NeighbourClient
from app.frame.sessions import SessionCodec
from app.frame.settings import Budgets, PlatformSettings, ServiceAddresses, ServiceSettings
from app.kernel.clock import Clock, SharedClock, SystemClock
from app.kernel.errors import CannotStart
from telemetry.bootstrap import Telemetry, start_telemetry
from telemetry.environment import Export
from telemetry.instruments import MetricRegistry
from telemetry.tracestore import TraceStore

Resolve = Callable[[str, bool], ASGIApp | None]
"""The ASGI application of a service of this process: (service, internal?) -> application."""


@dataclass(slots=True)
class Platform:
    """Shared parts of one process. `version` and `revision` say what code runs."""

    settings: PlatformSettings
    registry: MetricRegistry
    flags: Flags
    clock: Clock = field(default_factory=lambda: SharedClock(SystemClock()))
    traces: TraceStore | None = None
    version: str = ""
    revision: str = ""
    otlp: Export | None = None
    resolve: Resolve = lambda service, internal: None
    addresses: Callable[[str], ServiceAddresses] = ServiceAddresses.of
    """Where another service is; an empty address means: in this process."""
    budgets: Callable[[str], Budgets] = Budgets.of
    """How much one caller of a service may ask for."""
    sessions: SessionCodec = field(init=False)
    agents: KnownAgents = field(init=False)
    directories: Directories = field(init=False)
    unaddressed: set[str] = field(default_factory=set)
    """Variables that name the services called from here, as far as they are not set."""

    def __post_init__(self) -> None:
        self.sessions = SessionCodec(self.settings.session_key)
        self.agents = KnownAgents(self.settings)
        self.directories = Directories(
            self.agents, self.clock, private=self.settings.agent_directories_private
        )

    def telemetry(self, service: str) -> Telemetry:
        """Start one service's telemetry: a tracer provider, a metric view and a logger."""
        return start_telemetry(
            service=service,
            registry=self.registry,
            trace_store=self.traces,
            trace_key=self.trace_key,
            otlp=self.otlp,
            version=self.version,
            revision=self.revision,
            environment=self.settings.environment,
            mode=self.settings.telemetry_mode,
            log_format=self.settings.log_format,
        )

    @property
    def trace_key(self) -> bytes:
        """Marks a trace context as a neighbour's; made of the secret that all services share."""
        key = self.settings.session_key.encode()
        return hashlib.blake2b(key, person=b"trace").digest() if key else b""

    def database(self, service: str, settings: ServiceSettings, telemetry: Telemetry) -> Database:
        """The configured database, or one SQLite file per service under the data folder."""
        return Database(
            settings.database_url or f"sqlite+aiosqlite:///{self.sqlite_path(service)}",
            telemetry=telemetry,
            pool_size=settings.database_connections,
            pooler=settings.database_pooler,
            most_bytes=int(settings.database_gib * 2**30),
        )

    def sqlite_path(self, service: str) -> Path:
        return self.settings.data / f"{service}.db"

    def client(
        self, service: str, telemetry: Telemetry, *, timeout: httpx.Timeout = DEADLINE
    ) -> NeighbourClient:
        """An HTTP client for another service's public API."""
        return self._client(service, telemetry, internal=False, timeout=timeout)

    def internal_client(self, service: str, telemetry: Telemetry) -> NeighbourClient:
        """A client of another service's internal port, in the name of whose `telemetry` it is."""
        client = self._client(service, telemetry, internal=True, timeout=DEADLINE)
        key = internal_key(self.settings.session_key, telemetry.service)
        client.headers["authorization"] = f"Bearer {key}"
        return client

    def _client(
        self, service: str, telemetry: Telemetry, *, internal: bool, timeout: httpx.Timeout
    ) -> NeighbourClient:
        addresses = self.addresses(service)
        configured = addresses.internal_url if internal else addresses.url
        carrier: Carrier
        if configured:
            carrier = KeptConnections()
        else:
            self.unaddressed.add(_variable(service, internal=internal))
            carrier = InProcessTransport(lambda: self._local(service, internal))
        return NeighbourClient(
            configured or f"http://{service}",
            carrier,
            timeout=timeout,
            observe=telemetry.outbound(neighbour=True),
        )

    def _local(self, service: str, internal: bool) -> ASGIApp:
        app = self.resolve(service, internal)
        if app is None:
            raise AddressMissing(
                f"{service} does not run in this process and"
                f" {_variable(service, internal=internal)} is not set"
            )
        return app


def _variable(service: str, *, internal: bool) -> str:
    return f"{service.upper()}{'_INTERNAL' if internal else ''}_URL"


class AddressMissing(CannotStart):
    """A service was needed that this process neither runs nor has an address for."""
