"""One middleware tells span, metric, log line and headers the same story, in both modes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import PlainTextResponse

from telemetry.asgi import ATTRIBUTES_KEY, OUTCOME_KEY, ASGIApp
from telemetry.catalogue import Outcome
from telemetry.catalogue.http import HTTP_SERVER_ACTIVE_REQUESTS, HTTP_SERVER_REQUEST_DURATION
from telemetry.routes import ROUTE_KEY
from telemetry.testing import Signals, capture
from telemetry.tracing import TraceMarks, span_context_from

MODES = ("lean", "contrib")
KEY = b"shared by all services"
REMOTE = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"


def shop(static: Any) -> FastAPI:
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    cars = APIRouter(prefix="/v1")

    @cars.get("/cars/{car_id}")
    async def car(car_id: str) -> dict[str, str]:
        return {"car_id": car_id}

    @cars.post("/holds")
    async def hold(request: Request) -> JSONResponse:
        request.scope[OUTCOME_KEY] = Outcome.SOLD_OUT
        request.scope[ATTRIBUTES_KEY] = {"vitrine.market": "SE", "customer.email": "a@b.se"}
        return JSONResponse({}, status_code=409)

    @cars.get("/shed")
    async def shed(request: Request) -> JSONResponse:
        request.scope[OUTCOME_KEY] = Outcome.SHED
        return JSONResponse({}, status_code=503)

    @cars.get("/boom")
    async def boom() -> None:
        raise RuntimeError("no mail to astrid@example.se")

    @cars.get("/stream")
    async def stream() -> StreamingResponse:
        async def rows() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"row"

        return StreamingResponse(rows())

    outer = APIRouter(prefix="/api/catalog")
    outer.include_router(cars)
    app.include_router(outer)

    @app.get("/files/{name:path}")
    async def files(name: str) -> dict[str, str]:
        return {"name": name}

    @app.post("/slash/")
    async def slash() -> dict[str, str]:
        return {}

    app.mount("/static", StaticFiles(directory=static))
    app.add_route("/plain/{word}", lambda _: PlainTextResponse("plain"))
    return app


@pytest.fixture(params=MODES)
def signals(request: pytest.FixtureRequest) -> Iterator[Signals]:
    with capture("catalog", mode=request.param, trace_key=KEY) as captured:
        yield captured


async def ask(app: ASGIApp, method: str, path: str, **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return await client.request(method, path, **options)


CASES = [
    ("GET", "/api/catalog/v1/cars/7?email=a@b.se", "/api/catalog/v1/cars/{car_id}", 200, "ok"),
    ("PUT", "/api/catalog/v1/cars/7", "/api/catalog/v1/cars/{car_id}", 405, "invalid"),
    ("POST", "/api/catalog/v1/holds", "/api/catalog/v1/holds", 409, "sold_out"),
    ("GET", "/api/catalog/v1/shed", "/api/catalog/v1/shed", 503, "shed"),
    ("GET", "/api/catalog/v1/boom", "/api/catalog/v1/boom", 500, "fault"),
    ("GET", "/api/catalog/v1/stream", "/api/catalog/v1/stream", 200, "ok"),
    ("GET", "/files/a/b/c", "/files/{name}", 200, "ok"),
    ("POST", "/slash", "unmatched", 307, "ok"),
    ("GET", "/nope", "unmatched", 404, "invalid"),
    ("GET", "/static/none.css", "/static/{path}", 404, "invalid"),
    ("GET", "/plain/word", "/plain/{word}", 200, "ok"),
    ("GET", "/openapi.json", "/openapi.json", 200, "ok"),
]


@pytest.mark.parametrize(("method", "path", "route", "status", "outcome"), CASES)
async def test_span_metric_log_and_header_agree(
    signals: Signals, tmp_path: Any, method: str, path: str, route: str, status: int, outcome: str
) -> None:
    app = signals.telemetry.observe(shop(tmp_path))
    response = await ask(app, method, path, follow_redirects=False)
    (line,) = signals.logged("http_request")
    told = {name: line[name] for name in ("http_request_method", "http_route", "status", "outcome")}
    assert told == {
        "http_request_method": method,
        "http_route": route,
        "status": status,
        "outcome": outcome,
    }
    (span,) = signals.spans
    assert span.name == (method if route == "unmatched" else f"{method} {route}")
    attributes = span.attributes
    assert attributes["http.response.status_code"] == response.status_code == status
    assert attributes["vitrine.outcome"] == outcome
    assert attributes.get("http.route", "unmatched") == route
    labels = {"http_request_method": method, "http_route": route}
    assert signals.value(HTTP_SERVER_REQUEST_DURATION, outcome=outcome, **labels) == 1
    assert signals.value(HTTP_SERVER_ACTIVE_REQUESTS) == 0
    assert response.headers["x-trace-id"] == span.trace_id == line["trace_id"]
    remote = span_context_from(response.headers["traceparent"])
    assert remote is not None
    assert f"{remote.span_id:016x}" == span.span_id == line["span_id"]
    assert f'trace_id="{span.trace_id}"' in signals.openmetrics


async def test_nothing_personal_of_a_request_reaches_any_signal(
    signals: Signals, tmp_path: Any
) -> None:
    app = signals.telemetry.observe(shop(tmp_path))
    await ask(app, "GET", "/api/catalog/v1/cars/7?email=astrid@example.se")
    await ask(app, "GET", "/astrid@example.se", headers={"cookie": "sid=astrid-secret"})
    await ask(app, "POST", "/api/catalog/v1/holds")
    await ask(app, "GET", "/api/catalog/v1/boom")
    everything = f"{signals.spans} {signals.logs} {signals.openmetrics}"
    for personal in ("example.se", "astrid", "a@b.se", "python-httpx"):
        assert personal not in everything


async def test_an_exception_is_told_with_its_redacted_traceback(
    signals: Signals, tmp_path: Any
) -> None:
    app = signals.telemetry.observe(shop(tmp_path))
    await ask(app, "GET", "/api/catalog/v1/boom")
    (line,) = signals.logged("unhandled_exception")
    assert line["level"] == "error"
    assert line["exception"].endswith("RuntimeError: no mail to [redacted]\n")
    (span,) = signals.spans
    assert span.status == "error"
    (event,) = span.events
    assert event.attributes["exception.message"] == "no mail to [redacted]"


NEIGHBOURS = TraceMarks(KEY)


async def test_a_neighbours_trace_is_continued(signals: Signals, tmp_path: Any) -> None:
    app = signals.telemetry.observe(shop(tmp_path))
    mark = {"traceparent": REMOTE, "tracestate": str(NEIGHBOURS.of(REMOTE))}
    await ask(app, "GET", "/api/catalog/v1/cars/7", headers=mark)
    (span,) = signals.spans
    assert (span.trace_id, span.parent_span_id) == ("ab" * 16, "cd" * 8)
    assert "vitrine.caller.trace_id" not in span.attributes


NOT_SAMPLED = REMOTE[:-1] + "0"

CLAIMS = [
    # What a caller says of its trace, and the trace that is told as the caller's.
    ([("traceparent", REMOTE)], "ab" * 16),
    ([("traceparent", NOT_SAMPLED)], "ab" * 16),
    ([("traceparent", "01" + REMOTE[2:] + "-more")], "ab" * 16),
    ([("traceparent", REMOTE), ("tracestate", "vitrine=" + "0" * 32)], "ab" * 16),
    ([("traceparent", REMOTE), ("tracestate", "vitrine=å")], "ab" * 16),
    ([("traceparent", REMOTE), ("tracestate", "a=b," * 300)], "ab" * 16),
    # A neighbour's mark is for one span and its flags only.
    ([("traceparent", NOT_SAMPLED), ("tracestate", str(NEIGHBOURS.of(REMOTE)))], "ab" * 16),
    ([("traceparent", REMOTE), ("traceparent", REMOTE)], None),
    ([("traceparent", "ff" + REMOTE[2:])], None),
    ([("traceparent", "00-" + "0" * 32 + REMOTE[35:])], None),
    ([("traceparent", REMOTE[:36] + "0" * 16 + "-01")], None),
    ([("traceparent", REMOTE.upper())], None),
    ([("traceparent", "")], None),
    ([("traceparent", "é" * 600)], None),
    ([("tracestate", str(NEIGHBOURS.of(REMOTE)))], None),
    ([("b3", "ab" * 16 + "-" + "cd" * 8 + "-0"), ("baggage", "user=a@b.se")], None),
    ([("x-b3-traceid", "ab" * 16), ("x-b3-spanid", "cd" * 8), ("x-b3-sampled", "0")], None),
]


@pytest.mark.parametrize(("claims", "told"), CLAIMS)
async def test_a_strangers_trace_is_told_and_not_continued(
    signals: Signals, tmp_path: Any, claims: list[tuple[str, str]], told: str | None
) -> None:
    app = signals.telemetry.observe(shop(tmp_path))
    headers = [(name.encode(), value.encode()) for name, value in claims]
    response = await ask(app, "GET", "/api/catalog/v1/cars/7", headers=headers)
    (span,) = signals.spans
    assert span.trace_id != "ab" * 16
    assert span.parent_span_id is None
    assert response.headers["x-trace-id"] == span.trace_id
    assert span.attributes.get("vitrine.caller.trace_id") == told
    # The stored record's links lead to spans of ours only; a collector gets the caller's too.
    assert span.links == ()
    (exported,) = signals.exported
    assert [f"{link.context.trace_id:032x}" for link in exported.links] == ([told] if told else [])


async def test_callers_with_one_trace_id_are_kept_apart(signals: Signals, tmp_path: Any) -> None:
    app = signals.telemetry.observe(shop(tmp_path))
    for _ in range(2):
        await ask(app, "GET", "/api/catalog/v1/cars/7", headers={"traceparent": REMOTE})
    assert len({span.trace_id for span in signals.spans}) == 2


def test_without_a_key_nobody_is_a_neighbour() -> None:
    marks = TraceMarks(b"")
    assert marks.of(REMOTE) is None
    assert not marks.vouch_for(REMOTE, "vitrine=")


async def test_business_attributes_of_the_application_are_on_the_span(
    signals: Signals, tmp_path: Any
) -> None:
    app = signals.telemetry.observe(shop(tmp_path))
    await ask(app, "POST", "/api/catalog/v1/holds")
    (span,) = signals.spans
    assert span.attributes["vitrine.market"] == "SE"
    assert span.attributes["customer.email"] == "[redacted]"


async def test_a_new_routes_failures_start_at_zero(signals: Signals, tmp_path: Any) -> None:
    app = signals.telemetry.observe(shop(tmp_path))
    await ask(app, "GET", "/api/catalog/v1/cars/7")
    labels = {"http_request_method": "GET", "http_route": "/api/catalog/v1/cars/{car_id}"}
    assert signals.value(HTTP_SERVER_REQUEST_DURATION, outcome="fault", **labels) == 0
    assert signals.value(HTTP_SERVER_REQUEST_DURATION, outcome="unavailable", **labels) == 0


async def run(app: ASGIApp, messages: list[dict[str, Any]], **scope: Any) -> list[dict[str, Any]]:
    """Drive an ASGI application without a server."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(dict(message))

    plain = {"type": "http", "method": "GET", "path": "/x", "headers": [], "query_string": b""}
    await app({**plain, **scope}, receive, send)
    return sent


async def test_a_shopper_who_leaves_before_the_answer_is_not_our_failure() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    with capture("storefront") as signals:
        app = signals.telemetry.observe(slow)
        await run(app, [{"type": "http.request"}, {"type": "http.disconnect"}])
        (line,) = signals.logged("http_request")
        assert (line["status"], line["outcome"], line["client_disconnected"]) == (
            499,
            "invalid",
            True,
        )
        assert signals.spans[0].attributes["vitrine.client_disconnected"] is True
        assert signals.value(HTTP_SERVER_ACTIVE_REQUESTS) == 0


async def test_a_cancelled_request_is_closed_and_the_cancellation_goes_on() -> None:
    begun = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    with capture("storefront") as signals:
        task = asyncio.create_task(run(signals.telemetry.observe(endless), []))
        await begun.wait()
        assert signals.value(HTTP_SERVER_ACTIVE_REQUESTS) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (line,) = signals.logged("http_request")
        assert line["status"] == 499
        assert signals.value(HTTP_SERVER_ACTIVE_REQUESTS) == 0


async def test_a_stream_that_breaks_is_a_fault_although_its_status_was_sent() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise OSError("disk gone")

    with capture("storefront") as signals:
        with pytest.raises(OSError, match="disk gone"):
            await run(signals.telemetry.observe(broken), [])
        (line,) = signals.logged("http_request")
        assert (line["status"], line["outcome"], line["level"]) == (200, "fault", "error")
        assert signals.spans[0].status == "error"


async def test_an_application_that_answers_nothing_is_a_fault() -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        return None

    with capture("storefront") as signals:
        await run(signals.telemetry.observe(silent), [])
        (line,) = signals.logged("http_request")
        assert (line["status"], line["outcome"]) == (500, "fault")


async def test_an_invented_method_does_not_become_a_label() -> None:
    async def fine(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with capture("storefront") as signals:
        await run(signals.telemetry.observe(fine), [], method="BREW")
        (line,) = signals.logged("http_request")
        assert line["http_request_method"] == "_OTHER"


async def test_switched_off_there_is_no_span_no_line_and_no_wrapper() -> None:
    async def fine(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    with capture("storefront", mode="off") as signals:
        assert signals.telemetry.observe(fine) is fine
        (sent,) = await run(signals.telemetry.observe(fine), [])
        assert sent["headers"] == []
        assert (signals.spans, signals.logs) == ([], [])


class Wrapped:
    """Something between the edge and FastAPI, as the frame's load shedding is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("/full"):
            scope[OUTCOME_KEY] = Outcome.SHED
            scope[ROUTE_KEY] = "/api/catalog/v1/{full}"
            await PlainTextResponse("full", status_code=503)(scope, receive, send)
            return
        await self._app(scope, receive, send)


@pytest.mark.parametrize(
    ("path", "route", "status", "outcome"),
    [
        ("/api/catalog/v1/cars/7", "/api/catalog/v1/cars/{car_id}", 200, "ok"),
        ("/api/catalog/v1/boom", "/api/catalog/v1/boom", 500, "fault"),
        ("/api/catalog/v1/full", "/api/catalog/v1/{full}", 503, "shed"),
    ],
)
async def test_an_application_inside_a_wrapper_is_observed_the_same_way(
    signals: Signals, tmp_path: Any, path: str, route: str, status: int, outcome: str
) -> None:
    await ask(signals.telemetry.observe(Wrapped(shop(tmp_path))), "GET", path)
    (line,) = signals.logged("http_request")
    assert (line["http_route"], line["status"], line["outcome"]) == (route, status, outcome)
    (span,) = signals.spans
    assert (span.name, span.trace_id) == (f"GET {route}", line["trace_id"])
    assert span.attributes["vitrine.outcome"] == outcome
    labels = {"http_request_method": "GET", "http_route": route, "outcome": outcome}
    assert signals.value(HTTP_SERVER_REQUEST_DURATION, **labels) == 1


async def test_lifespan_messages_pass_untouched() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    with capture("storefront") as signals:
        await run(signals.telemetry.observe(app), [], type="lifespan")
        assert (seen, signals.logs) == (["lifespan"], [])
