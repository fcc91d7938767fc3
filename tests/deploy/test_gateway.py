"""The real nginx with the gateway's configuration, in front of stand-ins for the six services."""

import json
import os
import re
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from app.frame.inbound.bodies import FEED_BYTES, FORM_BYTES, WEBHOOK_BYTES
from rigs.nginx import CONFIGURATION, LocalGateway
from rigs.processes import wait_until
from rigs.shop import SERVICES

pytestmark = pytest.mark.integration


def stand_in(service: str) -> ThreadingHTTPServer:
    """A server that tells who it is and what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            told = {
                "service": service,
                "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "received": len(self.rfile.read(length)),
                "padding": "x" * 4000,
            }
            body = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the standard library's name

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGateway]:
    with ExitStack() as stack:
        addresses = {}
        for service in SERVICES:
            server = stack.enter_context(stand_in(service))
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            addresses[service] = f"127.0.0.1:{server.server_address[1]}"
        folder: Path = tmp_path_factory.mktemp("gateway")
        yield stack.enter_context(LocalGateway(folder, services=addresses))


def ask(gateway: LocalGateway, path: str, **more: str) -> httpx.Response:
    return httpx.get(f"{gateway.url}{path}", headers=more, trust_env=False)


def test_nginx_accepts_the_configuration(gateway: LocalGateway) -> None:
    said = gateway.check()

    assert "test is successful" in said
    assert "warn" not in said


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/api/catalog/v1/cars?market=SE", "catalog"),
        ("/api/catalog/v1/feeds/nordic", "catalog"),
        ("/api/advisor/v1/matches", "advisor"),
        ("/api/checkout/v1/holds", "checkout"),
        ("/api/insight/v1/events", "insight"),
        ("/console", "insight"),
        ("/console/orders", "insight"),
        ("/sandbox", "sandbox"),
        ("/sandbox/pay/1", "sandbox"),
        ("/", "storefront"),
        ("/sv/bilar", "storefront"),
        ("/problems/sold-out", "storefront"),
        ("/consoles", "storefront"),
    ],
)
def test_every_prefix_reaches_its_service(gateway: LocalGateway, path: str, service: str) -> None:
    told = ask(gateway, path).json()

    assert (told["service"], told["path"]) == (service, path)


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/health",
        "/health/live",
        "/health/ready",
        "/internal",
        "/internal/checkout/events",
        "//internal/checkout/events",
        "/%69nternal/checkout/events",
        "/api/catalog/../../internal/checkout/events",
        "/api/unknown/v1/x",
    ],
)
def test_internal_endpoints_are_refused(gateway: LocalGateway, path: str) -> None:
    # A raw path: the client library would tidy the dots away before they are sent.
    request = httpx.Request("GET", gateway.url)
    request.url = request.url.copy_with(raw_path=path.encode())
    with httpx.Client(trust_env=False) as client:
        assert client.send(request).status_code == 404


def test_trace_context_passes_and_claims_about_the_client_do_not(gateway: LocalGateway) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = ask(
        gateway,
        "/",
        **{
            "traceparent": traceparent,
            "tracestate": "vitrine=1",
            "x-forwarded-for": "203.0.113.9",
            "x-forwarded-proto": "https",
            "x-real-ip": "203.0.113.9",
            "forwarded": "for=203.0.113.9",
        },
    ).json()["headers"]

    seen = {
        name: headers.get(name)
        for name in ("traceparent", "tracestate", "x-forwarded-for", "x-forwarded-proto")
    }
    assert seen == {
        "traceparent": traceparent,
        "tracestate": "vitrine=1",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
    }
    assert {"forwarded", "x-real-ip"} & set(headers) == set()


def test_only_a_balancer_that_was_named_says_who_is_calling(
    gateway: LocalGateway, tmp_path: Path
) -> None:
    behind = LocalGateway(tmp_path, services=gateway.services, proxies=("127.0.0.1", "10.0.0.0/8"))
    with behind:
        told = ask(behind, "/", **{"x-forwarded-for": "192.0.2.66, 2001:db8::7, 10.1.2.3"})

    assert told.json()["headers"]["x-forwarded-for"] == "2001:db8::7"


def test_a_container_s_gateway_believes_whom_its_setting_names(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "nginx"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    made: dict[str, str] = {}
    for said in ("", "192.0.2.10, 10.0.0.0/8"):
        subprocess.run(
            ["sh", str(CONFIGURATION / "start.sh"), str(tmp_path / "made")],
            check=True,
            env={"PATH": f"{program.parent}:{os.defpath}", "VITRINE_GATEWAY_PROXIES": said},
        )
        made[said] = (tmp_path / "made" / "proxies.conf").read_text()

    assert made == {
        "": "",
        "192.0.2.10, 10.0.0.0/8": "set_real_ip_from 192.0.2.10;\nset_real_ip_from 10.0.0.0/8;\n",
    }
    assert (tmp_path / "made" / "nginx.conf").is_file()


def test_a_body_that_is_too_large_is_refused_except_for_feeds(gateway: LocalGateway) -> None:
    body = b"x" * 200_000
    answers = [
        httpx.post(f"{gateway.url}{path}", content=body, trust_env=False).status_code
        for path in ("/api/checkout/v1/orders", "/api/catalog/v1/feeds/nordic")
    ]

    assert answers == [413, 200]


def test_json_is_compressed(gateway: LocalGateway) -> None:
    answer = ask(gateway, "/api/catalog/v1/models", **{"accept-encoding": "gzip"})

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["service"] == "catalog"


def test_the_access_log_holds_of_an_address_what_is_the_same_for_all(gateway: LocalGateway) -> None:
    ask(gateway, "/se/en/Zebedeus?token=secret-token")
    ask(gateway, "/api/checkout/v1/holds/hld_secret")
    ask(gateway, "/api/Zebedeus")

    log = gateway.log_tail(200)
    lines = [json.loads(line) for line in log.splitlines() if line[0] == "{"]
    assert {"/*", "/api/checkout/v1/holds/*"} <= {line["http.route"] for line in lines}
    assert [word for word in ("Zebedeus", "secret") if word in log] == []


def test_a_service_that_is_away_is_told_in_our_own_words_and_the_gateway_lives(
    tmp_path: Path,
) -> None:
    nobody = dict.fromkeys(SERVICES, "127.0.0.1:9")
    with LocalGateway(tmp_path / "gateway", services=nobody) as gateway:
        page, problem, health = (
            ask(gateway, path)
            for path in ("/se/sv/cars", "/api/checkout/v1/holds", "/gateway/health")
        )

    assert health.status_code == 200
    assert (page.status_code, page.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert "<h1>One moment, please</h1>" in page.text
    assert "försök igen om en liten stund" in page.text
    assert "nginx" not in page.text
    assert problem.headers["content-type"].partition(";")[0] == "application/problem+json"
    assert problem.json() == {
        "type": "/problems/temporarily-unavailable",
        "title": "One moment, please",
        "status": 502,
        "detail": "A part of the shop does not answer just now. Nothing is lost; please try again"
        " shortly.",
        "instance": "/api/checkout/v1/holds",
        "trace_id": problem.headers["x-trace-id"],
        "retry_after_seconds": 2,
    }
    assert [each.headers["retry-after"] for each in (page, problem)] == ["2", "2"]


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"GET /api/x HTTP/1.1\r\nHost: a\r\nCookie: %s\r\n\r\n" % (b"a" * 9000), 431, None),
        (b"GET /api/%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 9000), 414, "malformed-request"),
        (b"GET /api/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "malformed-request"),
        (b"TRACE /api/catalog/v1/cars HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method-not-allowed"),
        (b"GET /api/unknown HTTP/1.1\r\nHost: a\r\n\r\n", 404, "not-found"),
        (
            b"POST /api/catalog/v1/feeds/x HTTP/1.1\r\nHost:a\r\nContent-Length: 200000000\r\n\r\n",
            413,
            "too-large",
        ),
    ],
)
def test_what_never_reaches_a_service_is_a_page_or_a_problem_too(
    gateway: LocalGateway, request_: bytes, status: int, code: str | None
) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as caller:
        caller.sendall(request_)
        answer = HTTPResponse(caller)
        answer.begin()
        body = answer.read()

    assert (answer.status, len(answer.headers["x-trace-id"])) == (status, 32)
    assert b"nginx" not in body
    assert (status == 405) is ("allow" in answer.headers)
    if code is not None and answer.headers["content-type"].startswith("application/"):
        problem = json.loads(body)
        assert (problem["type"], problem["status"]) == (f"/problems/{code}", status)
        assert ("send it whole" in problem["detail"]) is (status == 413)


SLOW = b"POST /api/checkout/v1/holds HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"


def test_one_caller_has_fifty_places_and_the_next_one_is_told_so_while_others_notice_nothing(
    gateway: LocalGateway,
) -> None:
    to = ("127.0.0.1", gateway.port)
    with ExitStack() as stack, httpx.Client(trust_env=False) as other:
        crowd = [
            stack.enter_context(socket.create_connection(to, 10, ("127.0.0.2", 0)))
            for _ in range(51)
        ]
        for each in crowd:
            each.sendall(SLOW)
        refused = HTTPResponse(crowd[-1])
        refused.begin()
        problem = json.loads(refused.read())
        others = [other.get(f"{gateway.url}/api/checkout/v1/holds").status_code for _ in range(5)]
        for each in crowd[:-1]:
            each.sendall(b"x" * 9)

    assert (refused.status, refused.headers["retry-after"]) == (429, "2")
    assert (problem["type"], problem["retry_after_seconds"]) == ("/problems/too-many-requests", 2)
    assert others == [200] * 5


def test_a_household_of_many_ipv6_addresses_is_one_caller_and_its_neighbour_another(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(stand_in("checkout"))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        address = f"127.0.0.1:{server.server_address[1]}"
        gateway = stack.enter_context(
            LocalGateway(
                tmp_path / "gateway",
                services=dict.fromkeys(SERVICES, address),
                proxies=["127.0.0.1"],
            )
        )
        crowd = [
            stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), 10))
            for _ in range(50)
        ]
        for number, each in enumerate(crowd, start=1):
            claim = f"Host: a\r\nX-Forwarded-For: 2001:db8::{number}:1".encode()
            each.sendall(SLOW.replace(b"Host: a", claim))
        wait_until(lambda: from_(gateway, "2001:db8::ffff") == 429, timeout_seconds=30)
        neighbours = [from_(gateway, host) for host in ("2001:db8:0:1::1", "192.0.2.1")]
        for each in crowd:
            each.sendall(b"x" * 9)

    assert neighbours == [200, 200]


def from_(gateway: LocalGateway, host: str) -> int:
    """How somebody at this address is answered, as a balancer says."""
    return ask(gateway, "/", **{"x-forwarded-for": host}).status_code


def test_a_flood_of_posts_of_one_caller_is_slowed_down(tmp_path: Path) -> None:
    nobody = dict.fromkeys(SERVICES, "127.0.0.1:9")
    with (
        LocalGateway(tmp_path / "gateway", services=nobody) as gateway,
        socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as flood,
    ):
        post = b"POST /api/checkout/v1/holds HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        flood.sendall(post * 899 + post.replace(b"Host", b"Connection: close\r\nHost"))
        said = b"".join(iter(lambda: flood.recv(65536), b""))
        reading = ask(gateway, "/api/checkout/v1/holds").status_code

    statuses = Counter(re.findall(rb"HTTP/1.1 (\d+)", said))
    assert set(statuses) == {b"502", b"429"}
    assert statuses[b"502"] >= 200
    assert reading == 502


def test_the_gateway_and_the_services_have_the_same_limits() -> None:
    text = (CONFIGURATION / "nginx.conf").read_text()
    said = re.findall(r"client_max_body_size (\d+)([km]);", text)

    units = {"k": 1024, "m": 1024 * 1024}
    assert [int(number) * units[unit] for number, unit in said] == [
        FORM_BYTES,
        FEED_BYTES,
        WEBHOOK_BYTES,
    ]
