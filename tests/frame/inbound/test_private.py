"""The internal port opens to whom we know, by names of this network, and to no page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from app.frame.inbound.internal import internal_app
from app.frame.keys import internal_key
from app.frame.platform import Platform
from app.kernel.clock import ManualClock
from rigs.shop import operator_headers
from telemetry.tracing import TraceMarks
from tests.builders.platform import KEYS
from tests.builders.sources import Source

EVENTS, ACKNOWLEDGE = "/internal/checkout/events", "/internal/checkout/acknowledgements"
ALERTS = "/internal/checkout/alerts"
PARENT = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {internal_key(KEYS['session_key'], name)}"}


@dataclass
class Port:
    """A service's internal port, who was refused there, and whom its outbox knows."""

    http: httpx.AsyncClient
    source: Source
    platform: Platform
    refused: list[str] = field(default_factory=list)

    async def consumers(self) -> dict[str, int]:
        table = self.source.database
        async with table.read() as connection:
            rows = await connection.exec_driver_sql(
                "SELECT consumer, position FROM outbox_consumers"
            )
            return {row.consumer: row.position for row in rows}


@pytest.fixture
async def port(tmp_path: Path, clock: ManualClock, platform: Platform) -> AsyncIterator[Port]:
    source = Source("checkout", tmp_path, clock)
    await source.create()
    refused: list[str] = []
    app = internal_app(
        "checkout",
        platform,
        outbox=source.outbox,
        router=None,
        ready=[],
        keys={ALERTS: "an alert key"},
        refused=refused.append,
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://checkout:9103") as http:
        yield Port(http, source, platform, refused)
    await source.database.close()


async def test_a_service_and_the_operator_open_it_by_their_keys(port: Port) -> None:
    known = [bearer("insight"), operator_headers(KEYS["session_key"])]
    answers = [(await port.http.get(EVENTS, headers=key)).status_code for key in known]

    assert (answers, port.refused) == ([200, 200], [])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer "},
        {"authorization": "Bearer guessed"},
        {"authorization": f"Basic {internal_key(KEYS['session_key'], 'insight')}"},
        bearer("grafana"),
        {"authorization": f"Bearer {internal_key('another key', 'insight')}"},
        {"authorization": "Bearer an alert key"},  # opens its own path only
        {"authorization": "Bearer \u00e9"},
    ],
)
@pytest.mark.parametrize("path", [EVENTS + "?consumer=insight", "/internal/checkout/orders"])
async def test_nobody_else_does(port: Port, path: str, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = await port.http.get(path, headers=raw)

    assert (answer.status_code, port.refused) == (401, ["key"])
    assert answer.json()["type"] == "/problems/not-authorised"
    assert await port.consumers() == {}


async def test_an_alert_needs_alertmanagers_key(port: Port) -> None:
    answers = [
        (await port.http.post(ALERTS, json={}, headers=headers)).status_code
        for headers in ({}, {"authorization": "Bearer an alert key"})
    ]
    assert answers == [401, 404]  # let in; nothing is at that address here


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:9103", "localhost:9103", "[::1]:9103", "checkout:9103", "10.0.0.7", "shop.local"],
)
async def test_names_and_addresses_of_this_network_lead_to_it(port: Port, host: str) -> None:
    for path in ("/metrics", "/health/live"):
        assert (await port.http.get(path, headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "checkout.evil.example:9103", "127.0.0.1.nip.io", "8.8.8.8", "a b", "@"],
)
@pytest.mark.parametrize("path", ["/metrics", "/health/live", EVENTS])
async def test_a_name_of_the_world_does_not(port: Port, path: str, host: str) -> None:
    answer = await port.http.get(path, headers={"host": host, **bearer("insight")})

    assert (answer.status_code, port.refused) == (421, ["host"])


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://checkout:8003"])
async def test_a_page_of_another_place_does_not_ask_here(port: Port, origin: str) -> None:
    headers = {"origin": origin, **bearer("insight")}
    answers = [
        (await port.http.get(EVENTS, headers=headers)).status_code,
        (await port.http.post(ACKNOWLEDGE, json={"position": 0}, headers=headers)).status_code,
        (await port.http.get("/metrics", headers=headers)).status_code,
    ]
    assert (answers, await port.consumers()) == ([403] * 3, {})


async def test_asking_changes_nothing_and_a_consumer_is_whose_key_it_is(port: Port) -> None:
    await port.http.get(f"{EVENTS}?consumer=evil&after=0", headers=bearer("insight"))
    asked = await port.consumers()
    told = await port.http.post(ACKNOWLEDGE, json={"position": 0}, headers=bearer("insight"))
    person = await port.http.post(
        ACKNOWLEDGE, json={"position": 0}, headers=operator_headers(KEYS["session_key"])
    )
    beyond = await port.http.post(ACKNOWLEDGE, json={"position": 9}, headers=bearer("catalog"))

    assert [told.status_code, person.status_code, beyond.status_code] == [204, 401, 409]
    assert (asked, await port.consumers()) == ({}, {"insight": 0})


async def test_a_service_of_the_version_before_reads_by_its_signed_trace_during_a_roll_out(
    port: Port,
) -> None:
    mark = TraceMarks(port.platform.trace_key).of(PARENT) or ""
    signed = {"traceparent": PARENT, "tracestate": mark}
    answers = [
        (
            await port.http.get(f"{EVENTS}?consumer={name}&after={after}", headers=headers)
        ).status_code
        for name, after, headers in (
            ("insight", 0, signed),
            ("insight", 9, signed),
            ("evil", 0, signed),
            ("insight", 0, {**signed, "tracestate": mark[:-1] + "x"}),
        )
    ]
    orders = await port.http.get("/internal/checkout/orders", headers=signed)

    assert (answers, orders.status_code) == ([200, 409, 401, 401], 401)
    assert await port.consumers() == {"insight": 0}


@pytest.mark.integration
def test_the_operators_tool_makes_the_same_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from deploy import ask

    asked: list[str | None] = []

    async def serve() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            asked.append(head.lower().partition("authorization: ")[2].split("\r\n")[0])
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("CHECKOUT_INTERNAL_URL", f"http://127.0.0.1:{port}")
        assert await asyncio.to_thread(ask.main, "/internal/checkout/invariants") == 0
        server.close()

    (tmp_path / "keys.json").write_text('{"session_key": "kept"}')
    monkeypatch.delenv("VITRINE_SESSION_KEY", raising=False)
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    asyncio.run(serve())

    assert asked == [f"bearer {internal_key('kept', 'operator')}"]
    assert capsys.readouterr().out == "ok\n"
