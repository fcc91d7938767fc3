"""What docs/agents.md tells agents to do proves them to a real server, by a real directory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.frame.inbound.agents import Agents
from app.frame.inbound.callers import caller_of
from app.frame.start.service import new_api
from telemetry.catalogue.frame import AGENT_PROOF
from tests.builders.agents import DirectoryServer
from tests.builders.platform import make_platform

pytestmark = pytest.mark.integration

PAGE = (Path(__file__).parents[2] / "docs" / "agents.md").read_text(encoding="utf-8")


@pytest.fixture
def server() -> Iterator[DirectoryServer]:
    with DirectoryServer.running() as found:
        yield found


async def test_the_example_proves_an_agent(tmp_path: Path, server: DirectoryServer) -> None:
    example: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, example)  # noqa: S102 - our own documentation's
    server.body = example["directory"].encode()
    platform = make_platform(tmp_path, agent_directories=server.url, agent_directories_private=True)
    api = new_api(platform, name="advisor", title="echo", prefix="/echo")
    api.state.agents = Agents(platform, platform.telemetry("advisor"))

    @api.get("/who")
    async def who(request: Request) -> JSONResponse:
        return JSONResponse(caller_of(request).traffic)

    await platform.directories.refresh()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(api),
        base_url="https://shop.example",
        auth=example["WebBotAuth"](server.url),
    ) as agent:
        found = [(await agent.get("/who?market=SE")).json() for _ in range(2)]
        unsigned = await agent.get("/who", auth=None)

    assert found == ["agent", "agent"]
    assert unsigned.json() == "human"


def test_every_result_is_explained() -> None:
    explained = re.findall(r"^\| `([a-z_]+)` \|", PAGE.partition("| `result` |")[2], re.MULTILINE)
    assert sorted(explained) == sorted(AGENT_PROOF.values or ())
