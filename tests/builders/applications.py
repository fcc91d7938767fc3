"""The services' applications as they are built, with every route in their OpenAPI documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi

from app.embedded import SERVICES
from app.frame.inbound import problems
from app.frame.settings import ServiceSettings
from tests.builders.platform import make_platform

Document = Mapping[str, Any]


@cache
def documents() -> Mapping[str, Sequence[Document]]:
    """The OpenAPI documents of each service's public and internal application.

    Pages for people are in them too, which the served documents leave out.
    """
    found: dict[str, list[Document]] = {}
    for name, (build, _) in SERVICES.items():
        with TemporaryDirectory() as folder, _noticed() as applications:
            platform = make_platform(Path(folder))
            build(platform, ServiceSettings())
            platform.flags.close()
        found[name] = [
            get_openapi(title=one.title, version="0", routes=one.routes) for one in applications
        ]
    return found


@contextmanager
def _noticed() -> Iterator[list[FastAPI]]:
    """The applications that are made inside of the block."""
    made: list[FastAPI] = []
    install, make_router = problems.install, APIRouter.__init__

    def noticing(application: FastAPI) -> None:
        made.append(application)
        install(application)

    def showing(self: APIRouter, **options: Any) -> None:
        make_router(self, **{**options, "include_in_schema": True})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(problems, "install", noticing)
        patch.setattr(APIRouter, "__init__", showing)
        yield made
