"""Insight on a database of its own, reading real outboxes over the in-process transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp

from app.frame.platform import Platform
from app.frame.settings import ServiceSettings
from app.frame.start.service import Service
from app.insight.main import build
from app.kernel.clock import ManualClock
from telemetry.tracestore import TraceStore
from tests.builders.facts import START, Stated
from tests.builders.platform import make_platform
from tests.builders.sources import Source

SOURCES = ("checkout", "storefront", "advisor", "catalog")


@dataclass
class World:
    """The other services' outboxes, and as many replicas of insight as a test starts."""

    folder: Path
    clock: ManualClock
    traces: TraceStore
    database_url: str = ""
    services: dict[tuple[str, bool], ASGIApp] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    replicas: list[Service] = field(default_factory=list)

    async def replica(self) -> Service:
        """A process of insight: migrated and prepared, its jobs run by hand."""
        platform = make_platform(
            self.folder, clock=self.clock, services=self.services, traces=self.traces
        )
        settings = ServiceSettings(database_url=self.database_url)
        service = build(platform, settings)
        self.services["insight", True] = service.internal
        await service.make_ready()
        self.replicas.append(service)
        return service

    async def state(self, stated: Sequence[Stated]) -> None:
        """Write facts into their services' outboxes, each at its time."""
        for one in sorted(stated, key=lambda one: one.after):
            moment = START + timedelta(seconds=one.after)
            if moment > self.clock.now():
                self.clock.advance(seconds=(moment - self.clock.now()).total_seconds())
            await self.sources[one.source].state([(one.fact, one.context)])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Insight on SQLite."""
    async with _opened(tmp_path, "") as made:
        yield made


@pytest.fixture
async def world_on_each(tmp_path: Path, new_database: Callable[[str], str]) -> AsyncIterator[World]:
    """Insight on SQLite and then on PostgreSQL."""
    async with _opened(tmp_path, new_database("insight")) as made:
        yield made


@asynccontextmanager
async def _opened(folder: Path, database_url: str) -> AsyncIterator[World]:
    traces = TraceStore(folder / "traces.db", keep_ratio=1.0)
    made = World(folder, ManualClock(START), traces, database_url)
    for name in SOURCES:
        source = made.sources[name] = Source(name, folder, made.clock)
        await source.create()
        made.services[name, True] = source.internal(_bystander(made))
    yield made
    for service in made.replicas:
        await service.stop()
    for source in made.sources.values():
        await source.database.close()
    made.traces.close()


def _bystander(world: World) -> Platform:
    return make_platform(world.folder, clock=world.clock)


async def run_job(service: Service, *prefixes: str) -> None:
    """One turn of every background job whose name begins with one of `prefixes`."""
    for job in service.jobs:
        if job.name.startswith(prefixes):
            await job.run()


def exported(
    service: Service, accept: Callable[[str], bool] = lambda name: True
) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What /metrics shows and is not zero."""
    page, _ = service.platform.registry.exposition()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
        if sample.value and accept(sample.name)
    }


def total(service: Service, name: str, /, **labels: str) -> float:
    """The sum of a metric's samples that carry these labels."""
    return sum(
        value
        for (sample, found), value in exported(service).items()
        if sample == name and labels.items() <= dict(found).items()
    )
