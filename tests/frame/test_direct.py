"""A direct route answers as the framework would, and leaves everything unusual to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Header
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.frame.database import DatabaseUnavailable
from app.frame.direct import MOST_BYTES, DirectRoute, DirectRoutes, taking
from app.frame.platform import Platform
from app.frame.service import new_api
from telemetry.testing import Signals, capture

KEY = {"idempotency-key": '"0123456789"'}
PATH = "/api/wishes"


class Wish(BaseModel):
    seats: int = Field(ge=1, le=9)
    mood: str = "calm"


@dataclass
class World:
    """One application, reached directly and the framework's way."""

    api: FastAPI
    signals: Signals
    direct: httpx.AsyncClient
    framework: httpx.AsyncClient
    answered: list[str] = field(default_factory=list)
    """How each answer was reached, in order."""

    async def both(self, **request: Any) -> tuple[tuple[int, str, bytes], list[str]]:
        """The one answer that both ways give, and the way that the direct client's took."""
        ways, before = [], len(self.answered)
        for client in (self.direct, self.framework):
            answer = await client.post(PATH, **request)
            ways.append((answer.status_code, answer.headers["content-type"], _plain(answer)))
        assert ways[0] == ways[1]
        return ways[0], self.answered[before : before + 1]


def _plain(answer: httpx.Response) -> bytes:
    """The body without the trace's own id."""
    return answer.content.replace(answer.headers["x-trace-id"].encode(), b"trace")


@pytest.fixture
def signals() -> Iterator[Signals]:
    with capture("checkout") as captured:
        yield captured


@pytest.fixture
async def world(platform: Platform, signals: Signals) -> AsyncIterator[World]:
    api = new_api(platform, name="checkout", title="test", prefix="/api")
    answered: list[str] = []

    @api.post(PATH)
    async def wish(
        request: Request,
        body: Wish,
        key: Annotated[str | None, Header(alias="Idempotency-Key")] = None,
    ) -> Response:
        direct = "fastapi_inner_astack" not in request.scope
        answered.append("direct" if direct else "framework")
        if body.mood == "sad":
            raise DatabaseUnavailable("The database does not answer.", retry_after_seconds=7)
        if body.mood == "broken":
            raise ZeroDivisionError("the secret is Xyzzy")
        return JSONResponse({"seats": body.seats, "key": key}, status_code=201)

    routes = (DirectRoute(PATH, PATH, taking(Wish, wish)),)
    clients = [
        httpx.AsyncClient(
            transport=httpx.ASGITransport(
                signals.telemetry.observe(app), raise_app_exceptions=False
            ),
            base_url="http://test",
        )
        for app in (DirectRoutes(api, routes), api)
    ]
    yield World(api, signals, clients[0], clients[1], answered)
    for client in clients:
        await client.aclose()


async def test_the_common_request_is_answered_directly(world: World) -> None:
    answer, ways = await world.both(json={"seats": 5}, headers=KEY)

    assert answer == (201, "application/json", b'{"seats":5,"key":"\\"0123456789\\""}')
    assert ways == ["direct"]
    assert [span.name for span in world.signals.spans] == [f"POST {PATH}", f"POST {PATH}"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ({"content": b"", "headers": {"content-type": "application/json"}}, 422),
        ({"content": b'{"seats": 5}', "headers": {"content-type": "text/plain"}}, 400),
        ({"content": b'{"seats": 5}', "headers": {"content-type": "application/jsonx"}}, 400),
        ({"content": b'{"seats": 5}', "headers": {"content-type": "application/json, a/b"}}, 400),
        ({"json": {"seats": 99}}, 422),
        ({"json": [1]}, 422),
        ({"json": {"seats": 1, "mood": "x" * MOST_BYTES}}, 201),
    ],
)
async def test_what_is_unusual_goes_the_frameworks_way_with_its_whole_body(
    world: World, request_: dict[str, Any], status: int
) -> None:
    answer, ways = await world.both(**request_)

    assert answer[0] == status
    assert "direct" not in ways


async def test_a_body_in_many_pieces_is_read_to_its_end(world: World) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b'{"se', b'ats"', b": 7}"):
            yield piece

    answer = await world.direct.post(
        PATH, content=pieces(), headers={"content-type": "application/json; charset=utf-8"}
    )

    assert (answer.json()["seats"], world.answered) == (7, ["direct"])


@pytest.mark.parametrize(("mood", "status"), [("sad", 503), ("broken", 500)])
async def test_errors_are_the_same_problem_documents(world: World, mood: str, status: int) -> None:
    answer, ways = await world.both(json={"seats": 1, "mood": mood})

    assert (answer[0], answer[1], ways) == (status, "application/problem+json", ["direct"])
    assert b"Xyzzy" not in answer[2]
    outcomes = {span.attributes["vitrine.outcome"] for span in world.signals.spans}
    assert outcomes == {"unavailable" if mood == "sad" else "fault"}


async def test_other_addresses_and_methods_are_the_frameworks(world: World) -> None:
    other = await world.direct.get(PATH)
    unknown = await world.direct.post("/api/nothing")

    assert (other.status_code, unknown.status_code, world.answered) == (405, 404, [])
