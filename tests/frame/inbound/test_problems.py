"""Every error is a problem document (RFC 9457), and none tells more than it should."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
from fastapi import Header
from pydantic import BaseModel, Field

from app.frame.data.database import DatabaseUnavailable
from app.frame.inbound.overload import LoadShedder, Priority
from app.frame.platform import Platform
from app.frame.start.service import new_api
from telemetry.testing import Signals

JSON = {"wanted-by": "me", "content-type": "application/json"}


class Wanted(BaseModel):
    seats: int = Field(ge=1, le=9)


@pytest.fixture
async def client(platform: Platform, signals: Signals) -> AsyncIterator[httpx.AsyncClient]:
    app = new_api(platform, name="advisor", title="test", prefix="/api")

    @app.post("/api/wishes")
    async def wish(body: Wanted, wanted_by: Annotated[str, Header()]) -> dict[str, int]:
        return {"seats": body.seats}

    @app.get("/api/broken")
    async def broken() -> None:
        raise ZeroDivisionError("the secret is Xyzzy")

    @app.get("/api/gone")
    async def gone() -> None:
        raise DatabaseUnavailable("The database does not answer.", retry_after_seconds=7)

    shedder = LoadShedder(
        app,
        signals.telemetry,
        places=4,
        priorities={"/api/broken": Priority.BOT, "/api/": Priority.CRITICAL},
        routes=app.routes,
    )
    transport = httpx.ASGITransport(
        signals.telemetry.observe(shedder),
        raise_app_exceptions=False,
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as opened:
        opened.shedder = shedder  # type: ignore[attr-defined]
        yield opened


@pytest.mark.parametrize(
    ("request_", "status", "code", "field"),
    [
        ({"content": b"{", "headers": JSON}, 400, "malformed-request", "1"),
        ({"content": b"\xff", "headers": JSON}, 400, "malformed-request", "body"),
        ({"content": b"seats=5", "headers": {"wanted-by": "me"}}, 400, "malformed-request", "body"),
        ({"json": {"seats": 5}}, 400, "malformed-request", "wanted-by"),
        ({"json": {"seats": 99}, "headers": {"wanted-by": "me"}}, 422, "invalid-input", "seats"),
        ({"json": {}, "headers": {"wanted-by": "me"}}, 422, "invalid-input", "seats"),
        ({"json": [1], "headers": {"wanted-by": "me"}}, 422, "invalid-input", "body"),
    ],
)
async def test_wrong_input_is_named_by_field(
    client: httpx.AsyncClient, request_: dict[str, object], status: int, code: str, field: str
) -> None:
    answer = await client.post("/api/wishes", **request_)  # type: ignore[arg-type]

    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"/problems/{code}")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["detail"].startswith(f"{field}: ")


async def test_a_problem_has_all_members_and_its_trace(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/gone")

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/problems/temporarily-unavailable",
        "title": "This is not available for the moment",
        "status": 503,
        "detail": "The database does not answer.",
        "instance": "/api/gone",
        "trace_id": answer.headers["x-trace-id"],
        "retry_after_seconds": 7,
    }
    assert answer.headers["retry-after"] == "7"


async def test_an_unknown_address_is_404_and_a_wrong_method_says_what_is_offered(
    client: httpx.AsyncClient,
) -> None:
    unknown, wrong = await client.get("/nothing"), await client.delete("/api/wishes")

    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/not-found")
    assert (wrong.status_code, wrong.json()["type"], wrong.headers["allow"]) == (
        405,
        "/problems/method-not-allowed",
        "OPTIONS, POST",
    )


async def test_a_fault_is_500_and_tells_nothing(
    client: httpx.AsyncClient, signals: Signals
) -> None:
    answer = await client.get("/api/broken")

    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/fault")
    assert "Xyzzy" not in answer.text
    assert "ZeroDivisionError" not in answer.text
    assert [line["exception_type"] for line in signals.logged("unhandled_exception")] == [
        "ZeroDivisionError"
    ]


async def test_what_matters_least_is_shed_first(
    client: httpx.AsyncClient, signals: Signals
) -> None:
    shedder: LoadShedder = client.shedder  # type: ignore[attr-defined]
    seen = []
    for active in range(5):
        shedder._active = active
        seen.append(
            ((await client.get("/api/broken")).status_code, (await client.get("/api/gone")).json())
        )
    shedder._active = 0

    bots = [status for status, _ in seen]
    important = [problem["type"].removeprefix("/problems/") for _, problem in seen]
    assert bots == [500, 500, 503, 503, 503]
    assert important == [*["temporarily-unavailable"] * 4, "overloaded"]
    assert seen[4][1]["trace_id"] is not None
    shed = signals.openmetrics.count('outcome="shed"')
    assert shed > 0


@pytest.mark.parametrize(
    ("path", "priority"),
    [("/api/broken", "bot"), ("/api/else", "critical"), ("/other", "browse")],
)
async def test_the_longest_prefix_decides_the_priority(
    client: httpx.AsyncClient, path: str, priority: str
) -> None:
    assert client.shedder.priority(path) == priority  # type: ignore[attr-defined]
