"""One service in a process of its own: `python -m app.<service>`."""

from __future__ import annotations

from collections.abc import Callable

from app.frame.platform import Platform
from app.frame.server import bind, serve
from app.frame.service import Service
from app.frame.settings import ServiceSettings
from app.frame.startup import new_platform, read_settings, run_until_stopped

Build = Callable[[Platform, ServiceSettings], Service]


def run(name: str, build: Build) -> None:
    """Serve one service, configured by `<NAME>_PORT`, `<NAME>_DATABASE_URL`, …, until stopped.

    Other services are reached at `<OTHER>_URL` and `<OTHER>_INTERNAL_URL`.
    """
    platform = new_platform(read_settings(), local_traces=False)
    settings = ServiceSettings.of(name)
    run_until_stopped(_serve(platform, settings, build, name))


async def _serve(platform: Platform, settings: ServiceSettings, build: Build, name: str) -> None:
    variable = name.upper()
    public = bind(settings.host, settings.port, variable=f"{variable}_PORT")
    internal = bind(
        settings.internal_host, settings.internal_port, variable=f"{variable}_INTERNAL_PORT"
    )
    service = build(platform, settings)
    await serve(
        [service],
        public=service.api,
        internal=service.internal,
        public_socket=public,
        internal_socket=internal,
    )
