"""Puts the advisor together: which parts it is made of and what runs in the background."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from app.advisor.errors import ShowroomEmpty
from app.advisor.gateways import CatalogFollower
from app.advisor.models import METADATA, OUTBOX
from app.advisor.routes import PREFIX, public_routes
from app.advisor.settings import AdvisorSettings
from app.advisor.showroom import Showroom
from app.advisor.signals import Signals
from app.frame.data.behaviour import Behaviour
from app.frame.data.migrations import migrate
from app.frame.data.outbox import Outbox
from app.frame.inbound.overload import Priority
from app.frame.platform import Platform
from app.frame.settings import ServiceSettings
from app.frame.start.jobs import Job
from app.frame.start.service import Service, assemble, new_api
from app.kernel.errors import Unavailable

NAME: Final = "advisor"


def build(platform: Platform, settings: ServiceSettings) -> Service:
    """The advisor as the environment configures it."""
    return put_together(platform, settings, AdvisorSettings())


def put_together(platform: Platform, settings: ServiceSettings, own: AdvisorSettings) -> Service:
    """The advisor on this platform; nothing is started yet."""
    telemetry = platform.telemetry(NAME)
    database = platform.database(NAME, settings, telemetry)
    outbox = Outbox(NAME, database, OUTBOX, platform.clock)
    signals = Signals(telemetry)
    log = Behaviour(database, outbox, telemetry)
    showroom = Showroom()
    public = platform.client("catalog", telemetry)
    internal = platform.internal_client("catalog", telemetry)
    follower = CatalogFollower(showroom, public=public, internal=internal)

    async def follow() -> None:
        await follower.refresh()
        signals.followed(unread=len(showroom.unread))

    async def first_look() -> None:
        # The catalogue may start later than we do: then the job reads it and readiness waits.
        with suppress(Unavailable):
            await follow()

    async def has_stock() -> None:
        if not showroom.open:
            raise ShowroomEmpty("the catalogue has not been read yet")

    api = new_api(platform, name=NAME, title="Vitrine advisor", prefix=PREFIX)
    api.include_router(public_routes(showroom, log, signals, platform.clock))
    return assemble(
        NAME,
        platform,
        telemetry,
        database=database,
        api=api,
        outbox=outbox,
        migrate=lambda: migrate(database, NAME, METADATA),
        ready=[has_stock],
        prepare=[first_look],
        jobs=[
            Job("follow-catalog", own.follow_seconds, follow),
            Job("write-advice", own.write_seconds, log.flush),
        ],
        close=[log.flush, public.aclose, internal.aclose],
        priorities={PREFIX: Priority.ADVICE},
    )
