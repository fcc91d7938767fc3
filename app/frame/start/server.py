"""Serving one process's public and internal ports until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import gc
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import uvicorn
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.frame.inbound.admission import Admission
from app.frame.inbound.internal import what_is_wrong
from app.frame.inbound.listening import Connection
from app.frame.settings import PlatformSettings
from app.frame.start.files import files_allowed, files_needed
from app.frame.start.service import Service
from app.kernel.errors import CannotStart

DRAIN_SECONDS = 5
"""How long requests under way may take after a stop signal."""

GATEWAY_SECONDS = 5.0
"""Behind a gateway: how long its idle connections are left to it before that."""


FEWEST_CONNECTIONS = 50
"""As many may be open at once, however few files there are."""


THIS_MACHINE = ("127.0.0.1", "::1")
"""A forwarder or proxy here speaks for many, whatever it says of them."""


class PortTaken(CannotStart):
    """Another program listens where we were told to."""


def bind(host: str, port: int, *, variable: str, shared: bool = False) -> socket.socket:
    """A listening socket; raises `PortTaken` with a sentence that says what to do.

    `shared` lets several worker processes listen on one port (SO_REUSEPORT).
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        why = "is taken by another program" if error.errno == errno.EADDRINUSE else "is not allowed"
        raise PortTaken(
            f"port {port} on {host} {why}: stop it, or set {variable} to a free port."
        ) from error
    return listener


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling (one process runs two servers), and a gentle end.

    `idle_seconds` is how long connections without a request may live on after a stop signal.
    """

    def __init__(self, config: uvicorn.Config, *, idle_seconds: float) -> None:
        super().__init__(config)
        self._idle_seconds = idle_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nobody, answer everybody; only then end what nobody uses."""
        for listener in self.servers:
            listener.close()
        for bound in sockets or []:
            bound.close()
        connections: set[Connection] = self.server_state.connections  # type: ignore[assignment]
        for connection in connections:
            connection.drain()
        loop = asyncio.get_running_loop()
        until = loop.time() + self._idle_seconds
        while any(each.idle for each in connections) and loop.time() < until:  # noqa: ASYNC110 - uvicorn tells of no end
            await asyncio.sleep(0.05)
        await super().shutdown()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second; once a second every connection grows older."""
        if counter % 10 == 0:
            connections: set[Connection] = self.server_state.connections  # type: ignore[assignment]
            for connection in tuple(connections):
                connection.grow_older()
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: ASGIApp, admission: Admission, *, idle_seconds: float = 0.0) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            http=partial(Connection, admission=admission),  # type: ignore[arg-type]
            ws="none",  # an upgraded connection would be watched by nobody
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            lifespan="off",
            timeout_graceful_shutdown=DRAIN_SECONDS,
            workers=1,  # else uvicorn reads WEB_CONCURRENCY, which is somebody else's
            proxy_headers=False,  # start.service knows whom to trust, for calls in process too
        ),
        idle_seconds=idle_seconds,
    )


def _admissions(settings: PlatformSettings, service: str) -> tuple[Admission, Admission]:
    """Who may connect to the public and to the internal port."""
    room = max(FEWEST_CONNECTIONS, files_allowed() - files_needed(service))
    for_many = ProxyHeadersMiddleware(_nobody, [*settings.proxies, *THIS_MACHINE]).trusted_hosts
    return (
        Admission(
            most=room,
            most_of_one=settings.connections_per_address,
            for_many=for_many.__contains__,
        ),
        Admission(most=room, most_of_one=room),  # neighbours only
    )


async def _nobody(*_: object) -> None: ...


async def _when_ready(server: _Server, bound: socket.socket, services: Sequence[Service]) -> None:
    """Serve from when all these services are ready, until told to stop."""
    checks = {service.name: service.ready for service in services}
    while not server.should_exit:
        if not await what_is_wrong(checks):
            await server.serve([bound])
            return
        await asyncio.sleep(0.05)


def _settle_garbage() -> None:
    """Let the collector look only at what requests leave behind, and less often.

    Half a million objects of frameworks and schemas live as long as the process. Walking them
    again and again cost a sixth of an order and was the longest pause that a shopper met.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def serve(
    services: Sequence[Service],
    *,
    public: ASGIApp,
    internal: ASGIApp,
    public_socket: socket.socket,
    internal_socket: socket.socket,
    gateway: bool = False,
) -> None:
    """Start the services, answer on both ports, drain and stop on SIGINT or SIGTERM.

    Behind a `gateway`, who asks whether we are ready, stopping takes up to `GATEWAY_SECONDS` more,
    and no request of it is lost. Without one the public port opens when all services are ready.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    started: list[Service] = []
    services[0].telemetry.adopt_stdlib_logging()
    idle_seconds = GATEWAY_SECONDS if gateway else 0.0
    everybody, neighbours = _admissions(
        services[0].platform.settings, services[0].name if gateway else ""
    )
    servers = [
        (_server(internal, neighbours), internal_socket, ()),
        (
            _server(public, everybody, idle_seconds=idle_seconds),
            public_socket,
            () if gateway else services,
        ),
    ]
    try:
        for service in services:
            started.append(service)
            await service.make_ready()
        for service in services:
            service.begin()
        _settle_garbage()
        running = [
            asyncio.create_task(_when_ready(server, bound, awaited))
            for server, bound, awaited in servers
        ]
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([*running, stopped], return_when=asyncio.FIRST_COMPLETED)
        for server, *_ in servers:
            server.should_exit = True
        await asyncio.gather(*running)
    finally:
        for service in reversed(started):
            await service.halt()
        # Together: a collector that hangs is waited for once.
        await asyncio.gather(*(service.send_telemetry() for service in started))
        platform = services[0].platform
        if platform.traces is not None:
            await asyncio.to_thread(platform.traces.close)
        platform.flags.close()
