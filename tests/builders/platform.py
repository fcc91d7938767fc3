"""A platform for tests: real settings, keys and telemetry, services found in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from app.frame.flags import Flags
from app.frame.platform import Platform
from app.frame.settings import PlatformSettings
from app.kernel.clock import Clock, SystemClock
from telemetry.instruments import MetricRegistry
from telemetry.tracestore import TraceStore

KEYS = {
    name: f"test-{name}"
    for name in (
        "session_key",
        "synthetic_key",
        "dealer_key",
        "delivery_key",
        "report_key",
        "alert_key",
        "payment_key",
        "webhook_secret",
    )
}


def make_platform(
    folder: Path,
    *,
    clock: Clock | None = None,
    services: dict[tuple[str, bool], ASGIApp] | None = None,
    traces: TraceStore | None = None,
    **settings: Any,
) -> Platform:
    """A platform whose data lies in `folder`.

    `services` maps (service, internal?) to its application and may be filled later.
    """
    found = services if services is not None else {}
    values = {
        "environment": "test",
        "data": folder,
        "flags": folder / "flags.json",
        "console_password": "open sesame",
        "customer_key": "dGVzdC1jdXN0b21lci1rZXktdGVzdC1jdXN0b21lcjA=",
        **KEYS,
        **settings,
    }
    chosen = PlatformSettings(**values)
    return Platform(
        settings=chosen,
        registry=MetricRegistry(),
        flags=Flags(chosen.flags),
        clock=clock or SystemClock(),
        traces=traces,
        version="test",
        revision="0000000",
        resolve=lambda service, internal: found.get((service, internal)),
    )
