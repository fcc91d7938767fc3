"""Calls and statements that leave a service are seen with their peer, outcome and trace."""

import sqlite3
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from telemetry.catalogue.http import HTTP_CLIENT_REQUEST_DURATION
from telemetry.outbound import PEER_EXTENSION, Destination
from telemetry.redaction import redact_text
from telemetry.testing import Signals, capture
from telemetry.tracing import TraceMarks, span_context_from


@pytest.fixture
def signals() -> Iterator[Signals]:
    with capture("storefront") as captured:
        yield captured


def answer(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/slow"):
        raise httpx.ReadTimeout("no answer for a@b.se", request=request)
    status = 503 if request.url.path.endswith("/busy") else 200
    return httpx.Response(status, json={"traceparent": request.headers.get("traceparent")})


def client(signals: Signals) -> httpx.Client:
    made = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://gateway:8000")
    signals.telemetry.instrument_httpx(made)
    signals.telemetry.instrument_httpx(made)
    return made


def test_a_call_carries_its_own_span_to_the_other_side(signals: Signals) -> None:
    with client(signals) as made, signals.telemetry.tracer.start_as_current_span("page"):
        found = made.get("/api/checkout/v1/holds?email=a@b.se").json()["traceparent"]
    call, page = signals.span("GET checkout"), signals.span("page")
    remote = span_context_from(found)
    assert remote is not None
    assert (f"{remote.trace_id:032x}", f"{remote.span_id:016x}") == (call.trace_id, call.span_id)
    assert (call.parent_span_id, call.kind) == (page.span_id, "client")
    assert call.attributes == {
        "http.request.method": "GET",
        "server.address": "gateway",
        "server.port": 8000,
        "url.full": "http://gateway:8000/api/checkout/v1/holds",
        "service.peer.name": "checkout",
        "http.response.status_code": 200,
    }


def test_only_a_neighbour_gets_the_mark_that_lets_it_continue_the_trace() -> None:
    to = Destination.of("GET", httpx.URL("http://x/api/checkout/v1/holds"))
    sent: list[dict[bytes, bytes]] = []
    with capture("storefront", trace_key=b"shared") as signals:
        for neighbour in (True, False):
            observe = signals.telemetry.outbound(neighbour=neighbour)
            assert observe is not None
            with observe(to) as call:
                call.status = 200
            sent.append(dict(call.headers))
    ours, theirs = sent
    mark = TraceMarks(b"shared").of(ours[b"traceparent"].decode())
    assert ours == {b"traceparent": ours[b"traceparent"], b"tracestate": (mark or "").encode()}
    assert list(theirs) == [b"traceparent"]


@pytest.mark.parametrize(
    ("path", "peer"),
    [
        ("/api/catalog/v1/cars", "catalog"),
        ("/internal/insight/events", "insight"),
        ("/sandbox/payments", "sandbox"),
        ("https://api.stripe.com/v1/charges", "stripe"),
        ("/elsewhere", "other"),
    ],
)
def test_the_peer_is_read_from_the_contracts_paths(signals: Signals, path: str, peer: str) -> None:
    with client(signals) as made:
        made.get(path)
    assert signals.value(HTTP_CLIENT_REQUEST_DURATION, peer_service=peer, outcome="ok") == 1


def test_a_caller_can_name_its_peer(signals: Signals) -> None:
    with client(signals) as made:
        made.get("/v1", extensions={PEER_EXTENSION: "stripe"})
    assert signals.value(HTTP_CLIENT_REQUEST_DURATION, peer_service="stripe", outcome="ok") == 1


def test_failures_of_a_peer_are_told_apart_and_time_outs_are_counted(signals: Signals) -> None:
    with client(signals) as made:
        made.get("/api/advisor/busy")
        with pytest.raises(httpx.ReadTimeout):
            made.get("/api/advisor/slow")
    labels = {"peer_service": "advisor", "outcome": "unavailable"}
    assert signals.value(HTTP_CLIENT_REQUEST_DURATION, **labels) == 2
    busy, slow = signals.spans
    assert (busy.status, busy.attributes["error.type"]) == ("error", "503")
    assert (slow.status, slow.attributes["error.type"]) == ("error", "ReadTimeout")
    assert slow.status_message == "no answer for [redacted]"


async def test_an_asynchronous_client_is_observed_the_same_way(signals: Signals) -> None:
    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as made:
        signals.telemetry.instrument_httpx(made)
        found = (await made.post("/api/checkout/v1/holds")).json()["traceparent"]
        async with made.stream("GET", "/api/catalog/v1/cars") as response:
            await response.aread()
    assert found.split("-")[2] == signals.span("POST checkout").span_id
    assert signals.span("GET catalog").attributes["http.response.status_code"] == 200


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://gateway:8000/cars?q=x", "http://gateway:8000/cars"),
        ("http://gateway", "http://gateway"),
        ("http://gateway/?", "http://gateway/"),
        ("http://me:secret@gateway/cars?q=x", "http://gateway/cars"),
        ("http://gateway/cars?q=x#part", "http://gateway/cars#part"),
        ("http://[::1]:8000/a%20b?q=%3F", "http://[::1]:8000/a%20b"),
        ("https://bil.example:443/å", "https://bil.example/%C3%A5"),
        ("http://gateway/u/astrid@example.se?q", "http://gateway/u/[redacted]"),
    ],
)
def test_an_address_is_told_without_its_query_and_its_user(
    signals: Signals, url: str, told: str
) -> None:
    with client(signals) as made:
        made.get(url)
    (call,) = signals.spans
    assert call.attributes["url.full"] == told
    before = httpx.URL(url).copy_with(query=None, userinfo=b"")
    assert redact_text(str(before)) == told


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/api/catalog/v1/cars/Zebedeus", "/api/catalog/v1/cars/*"),
        ("/api/checkout/v1/orders/ord_1/cancellation", "/api/checkout/v1/orders/*/cancellation"),
        ("/sandbox/v1/payments/pay_1/refunds", "/sandbox/v1/payments/*/refunds"),
        ("/internal/catalog/changes", "/internal/catalog/changes"),
    ],
)
def test_what_a_path_names_is_not_told(signals: Signals, path: str, told: str) -> None:
    with client(signals) as made:
        made.get(path)
    (call,) = signals.spans
    assert call.attributes["url.full"] == f"http://gateway:8000{told}"


@pytest.fixture
def engine(signals: Signals) -> Iterator[Engine]:
    made = create_engine("sqlite://")
    signals.telemetry.instrument_engine(made)
    yield made
    made.dispose()


def test_a_statement_inside_a_span_is_traced_without_its_values(
    signals: Signals, engine: Engine
) -> None:
    with (
        signals.telemetry.tracer.start_as_current_span("order") as order,
        engine.begin() as connection,
    ):
        connection.execute(text("CREATE TABLE cars (car_id TEXT, vin TEXT)"))
        connection.execute(
            text("INSERT INTO cars VALUES (:car, 'a literal')"), {"car": "astrid@example.se"}
        )
    insert = signals.span("INSERT cars")
    assert insert.parent_span_id == f"{order.get_span_context().span_id:016x}"
    assert insert.attributes == {
        "db.system.name": "sqlite",
        "db.operation.name": "INSERT",
        "db.collection.name": "cars",
        "db.query.text": "INSERT INTO cars VALUES (?, ?)",
    }


def test_a_statement_outside_any_span_makes_no_trace(signals: Signals, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT 1"))
    assert signals.spans == []


def test_a_failed_statement_tells_its_kind_and_not_its_values(
    signals: Signals, engine: Engine
) -> None:
    with (
        signals.telemetry.tracer.start_as_current_span("order"),
        engine.begin() as connection,
        pytest.raises(OperationalError),
    ):
        connection.execute(text("SELECT astrid FROM nowhere"))
    span = signals.span("SELECT nowhere")
    assert (span.status, span.status_message) == ("error", sqlite3.OperationalError.__name__)


def test_an_effect_inside_a_span_is_one_span_and_outside_none(
    signals: Signals, engine: Engine
) -> None:
    with signals.telemetry.database_span("sweep"):
        pass
    with (
        signals.telemetry.tracer.start_as_current_span("order"),
        pytest.raises(LookupError),
        signals.telemetry.database_span("place_hold"),
    ):
        raise LookupError("the effect's own affair")
    effect, order = signals.spans
    assert (effect.name, effect.kind, effect.status) == ("place_hold", "client", "unset")
    assert effect.parent_span_id == order.span_id
    assert effect.attributes == {"db.system.name": "sqlite", "db.operation.name": "place_hold"}


async def test_an_asynchronous_engine_keeps_the_parent(signals: Signals) -> None:
    made = create_async_engine("sqlite+aiosqlite://")
    signals.telemetry.instrument_engine(made.sync_engine)
    with signals.telemetry.tracer.start_as_current_span("order") as order:
        async with made.connect() as connection:
            await connection.execute(text("SELECT 1"))
    await made.dispose()
    expected = f"{order.get_span_context().span_id:016x}"
    assert signals.span("SELECT").parent_span_id == expected


def test_switched_off_nothing_leaves_a_mark() -> None:
    with capture("storefront", mode="off") as signals:
        made = client(signals)
        assert made.get("/api/catalog/v1/cars").json() == {"traceparent": None}
        made.close()
        assert (signals.spans, signals.telemetry.outbound(neighbour=True)) == ([], None)
