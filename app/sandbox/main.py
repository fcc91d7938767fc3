"""Puts the practice provider together: its parts, and what runs in the background."""

from __future__ import annotations

from typing import Final

from app.frame.data.leases import Leases
from app.frame.data.migrations import migrate
from app.frame.platform import Platform
from app.frame.settings import ServiceSettings
from app.frame.start.jobs import Job, leased
from app.frame.start.retaining import retention_job
from app.frame.start.service import Service, assemble, new_api
from app.sandbox.backoffice import internal_routes
from app.sandbox.errors import NotInProduction
from app.sandbox.models import METADATA
from app.sandbox.pages import page_routes
from app.sandbox.payments import Payments
from app.sandbox.retention import rules
from app.sandbox.routes import public_routes
from app.sandbox.settings import SandboxSettings
from app.sandbox.signals import Signals
from app.sandbox.store import Store
from app.sandbox.webhooks import Webhooks

NAME: Final = "sandbox"


def build(platform: Platform, settings: ServiceSettings) -> Service:
    """The practice provider as the environment configures it.

    Raises `NotInProduction` unless production allows it by name.
    """
    if not platform.settings.practice_allowed:
        raise NotInProduction(
            "the sandbox payment provider moves no money: set"
            " VITRINE_ALLOW_SANDBOX_IN_PRODUCTION=true if that is really meant."
        )
    return put_together(platform, settings, SandboxSettings())


def put_together(platform: Platform, settings: ServiceSettings, own: SandboxSettings) -> Service:
    """The practice provider on this platform; nothing is started yet."""
    telemetry = platform.telemetry(NAME)
    database = platform.database(NAME, settings, telemetry)
    store = Store(database)
    signals = Signals(telemetry)
    leases = Leases(database, platform.clock)
    checkout = platform.client("checkout", telemetry)
    payments = Payments(store, signals, platform.clock, platform.flags)
    webhooks = Webhooks(
        store,
        checkout,
        signals,
        platform.clock,
        telemetry,
        secret=platform.settings.webhook_secret,
    )
    api = new_api(platform, name=NAME, title="Sandbox payment provider", prefix="/sandbox")
    api.include_router(public_routes(payments, platform))
    api.include_router(page_routes(payments, webhooks, platform.clock))
    return assemble(
        NAME,
        platform,
        telemetry,
        database=database,
        api=api,
        internal=internal_routes(payments),
        migrate=lambda: migrate(database, NAME, METADATA),
        jobs=[
            leased(leases, Job("webhooks", 0.5, webhooks.deliver_due)),
            retention_job(
                rules(own),
                database=database,
                leases=leases,
                clock=platform.clock,
                telemetry=telemetry,
            ),
        ],
        close=[checkout.aclose],
        unlimited=("/sandbox/v1/",),
    )
