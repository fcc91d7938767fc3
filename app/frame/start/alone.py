"""One service in a process of its own: `python -m app.<service>`."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.engine import make_url

from app.frame.keys import refuse_weak_password
from app.frame.platform import AddressMissing, Platform
from app.frame.settings import ServiceSettings
from app.frame.start.server import bind, serve
from app.frame.start.service import Service
from app.frame.start.startup import new_platform, read_settings, run_until_stopped

Build = Callable[[Platform, ServiceSettings], Service]


def run(name: str, build: Build) -> None:
    """Serve one service, configured by `<NAME>_PORT`, `<NAME>_DATABASE_URL`, …, until stopped.

    Other services are reached at `<OTHER>_URL` and `<OTHER>_INTERNAL_URL`.
    """
    run_until_stopped(_serve(build, name))


def build_alone(build: Build, settings: ServiceSettings, name: str) -> Service:
    """The only service of this process.

    Raises `AddressMissing`, naming the variables, when it calls services it has no address of.
    """
    shared = read_settings(name)
    if shared.environment == "production" and settings.database_url:
        refuse_weak_password(name, make_url(settings.database_url).password)
    platform = new_platform(shared, local_traces=False)
    service = build(platform, settings)
    if platform.unaddressed:
        names = ", ".join(sorted(platform.unaddressed))
        raise AddressMissing(
            f"{service.name} alone needs to know where the services are that it calls: set {names}."
        )
    return service


async def _serve(build: Build, name: str) -> None:
    variable = name.upper()
    settings = ServiceSettings.of(name)
    public = bind(settings.host, settings.port, variable=f"{variable}_PORT")
    internal = bind(
        settings.internal_host, settings.internal_port, variable=f"{variable}_INTERNAL_PORT"
    )
    service = build_alone(build, settings, name)
    await serve(
        [service],
        public=service.api,
        internal=service.internal,
        public_socket=public,
        internal_socket=internal,
        gateway=True,
    )
