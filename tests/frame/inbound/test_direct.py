"""A direct route answers every request to it, as the framework would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.checkout.providers.protocol import ProviderRefused
from app.frame.data.database import DatabaseUnavailable
from app.frame.inbound.direct import DirectRoute, DirectRoutes, taking
from app.frame.platform import Platform
from app.frame.start.service import new_api
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

    async def both(self, **request: Any) -> tuple[int, str, bytes]:
        """The one answer that both ways give."""
        answers = []
        for client in (self.direct, self.framework):
            answer = await client.post(PATH, **request)
            answers.append((answer.status_code, answer.headers["content-type"], _plain(answer)))
        assert answers[0] == answers[1]
        return answers[0]


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
    async def wish(request: Request, body: Wish) -> Response:
        direct = "fastapi_inner_astack" not in request.scope
        answered.append("direct" if direct else "framework")
        if body.mood == "sad":
            raise DatabaseUnavailable("The database does not answer.", retry_after_seconds=7)
        if body.mood == "refused":
            raise ProviderRefused("The payment service answered 400.")
        if body.mood == "broken":
            raise ZeroDivisionError("the secret is Xyzzy")
        key = request.headers.get("idempotency-key")
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
    answer = await world.both(json={"seats": 5}, headers=KEY)

    assert answer == (201, "application/json", b'{"seats":5,"key":"\\"0123456789\\""}')
    assert world.answered == ["direct", "framework"]
    assert [span.name for span in world.signals.spans] == [f"POST {PATH}", f"POST {PATH}"]


JSON = "application/json"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", JSON, 400),
        (b"", JSON, 422),
        (b"", "", 422),
        (b"null", JSON, 422),
        (b"[1]", JSON, 422),
        (b'"5"', JSON, 422),
        (b"NaN", JSON, 422),
        (b'{"seats": NaN}', JSON, 422),
        (b'{"seats": 99}', JSON, 422),
        (b'{"seats": "5"}', JSON, 201),
        (b'{"seats": 5.0}', JSON, 201),
        (b'{"seats": 5.5, "mood": 1}', JSON, 422),
        (b'{"seats": 5, "mood": "\xff"}', JSON, 400),
        (b'{"seats": 5, "mood": "\\ud800"}', JSON, 201),
        (b'\xef\xbb\xbf{"seats": 5}', JSON, 201),
        ('{"seats": 5}'.encode("utf-16"), JSON, 201),
        (b"[" * 100_000, JSON, 400),
        (b'{"seats": 5, "seats": 6}', JSON, 201),
        (b'{"seats": 5}', "Application/JSON ; charset=latin-1", 201),
        (b'{"seats": 5}', "application/merge-patch+json", 201),
        (b'{"seats": 5}', "", 400),
        (b'{"seats": 5}', "text/plain", 400),
        (b'{"seats": 5}', "application/jsonx", 400),
        (b'{"seats": 5}', "application/json, a/b", 400),
        (b'{"seats": 5}', "application/json, a/b+json", 400),
        (b'{"seats": 1, "mood": "%s"}' % (b"x" * 100_000), JSON, 201),
    ],
)
async def test_what_is_unusual_is_answered_as_the_framework_does(
    world: World, content: bytes, kind: str, status: int
) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = await world.both(content=content, headers=headers)

    assert answer[0] == status
    assert world.answered == (["direct", "framework"] if status == 201 else [])


async def test_a_body_in_many_pieces_is_read_to_its_end(world: World) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b'{"se', b'ats"', b": 7}"):
            yield piece

    answer = await world.direct.post(
        PATH, content=pieces(), headers={"content-type": "application/json; charset=utf-8"}
    )

    assert (answer.json()["seats"], world.answered) == (7, ["direct"])


@pytest.mark.parametrize(("mood", "status"), [("sad", 503), ("refused", 500), ("broken", 500)])
async def test_errors_are_the_same_problem_documents(world: World, mood: str, status: int) -> None:
    answer = await world.both(json={"seats": 1, "mood": mood})

    assert (answer[0], answer[1]) == (status, "application/problem+json")
    assert b"Xyzzy" not in answer[2]
    assert len({span.attributes.get("error.type") for span in world.signals.spans}) == 1
    outcomes = {span.attributes["vitrine.outcome"] for span in world.signals.spans}
    assert outcomes == {"unavailable" if mood == "sad" else "fault"}


async def test_other_addresses_and_methods_are_the_frameworks(world: World) -> None:
    other = await world.direct.get(PATH)
    unknown = await world.direct.post("/api/nothing")

    assert (other.status_code, unknown.status_code, world.answered) == (405, 404, [])
