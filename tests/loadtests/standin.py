"""A small real shop on loopback, for tests of the shoppers: the public contract in memory.

It keeps the contract unless its `mischief` says otherwise, so that a test can break exactly one
thing. It is also its own internal port, and a scripted Prometheus and Alertmanager.
"""

import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

CARD_FORM = """<form method="post" novalidate><input name="card_number"><input name="expiry">
<input name="cvc"><input name="name"><button>Pay</button></form>"""
BANK_FORM = """<form method="post" action="/sandbox/pay/{0}/challenge">
<button name="decision" value="approve">Yes</button>
<button name="decision" value="refuse">No</button></form>"""


@dataclass
class Mischief:
    """What this shop does wrong. `lost_answers` is how many writes are done but not answered."""

    lost_answers: int = 0
    sold_out: bool = False
    forgets_confirmed: bool = False
    sells_twice: bool = False
    miscounts_by: int = 0
    ledger_lag_seconds: float = 0.0
    violations: int = 0
    broken_pages: bool = False
    never_confirms: bool = False


@dataclass
class Request:
    """One request as the shop got it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def fields(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


Reply = tuple[int, dict[str, str], bytes]


MATCHES = """<h1>Your best match</h1>
<a href="/se/sv/cars/car-1">Nearest</a> <a href="/se/sv/cars/car-2">Lowest price</a>
<a href="/se/sv/cars/car-1">The same one</a> <a href="/se/sv/cars?model=x">All of them</a>"""


@dataclass
class Standin:
    """The shop; a context manager. `requests` is everything it was asked."""

    mischief: Mischief = field(default_factory=Mischief)
    requests: list[Request] = field(default_factory=list)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    holds: dict[str, str] = field(default_factory=dict)
    alert_states: list[str] = field(default_factory=list)
    rule_health: str = "ok"
    target_health: str = "up"
    evaluates: bool = True
    prometheus_answers: bool = True
    promql: Callable[[str], float | None] = lambda _: 1.0
    port: int = 0

    def __post_init__(self) -> None:
        self._keys: dict[str, Reply] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                request = Request(
                    self.command,
                    parts.path,
                    {key: values[0] for key, values in parse_qs(parts.query).items()},
                    {key.lower(): value for key, value in self.headers.items()},
                    body,
                )
                reply = shop.answer(request)
                if reply is None:
                    # The work is done, the answer is lost: what a client cannot tell apart.
                    self.close_connection = True
                    return
                status, headers, content = reply
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = answer  # noqa: N815 - names that the library calls

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def asked(self, method: str, path: str) -> list[Request]:
        """The requests of one kind, in order."""
        return [r for r in self.requests if r.method == method and r.path == path]

    def answer(self, request: Request) -> Reply | None:
        """The answer, or None when it gets lost on its way."""
        with self._lock:
            self.requests.append(request)
            key = request.headers.get("idempotency-key")
            if key in self._keys:
                return self._keys[key]
            reply = self._reply(request)
            if key:
                self._keys[key] = reply
            if request.method == "POST" and self.mischief.lost_answers:
                self.mischief.lost_answers -= 1
                return None
            return reply

    def _reply(self, request: Request) -> Reply:
        path = request.path
        if path.startswith("/api/catalog/v1/cars"):
            return self._cars(path)
        if path.endswith("/advisor/matches"):
            return 200, {"content-type": "text/html"}, MATCHES.encode()
        if path.startswith("/api/checkout/v1/holds"):
            return self._hold(request)
        if path.startswith("/api/checkout/v1/orders"):
            return self._order(request)
        if path.startswith("/sandbox/pay/"):
            return self._pay(request)
        if path.startswith(("/internal/", "/metrics", "/health/")):
            return self._books(request)
        if path.startswith(("/api/v1/", "/api/v2/")):
            return self._watchers(request)
        if self.mischief.broken_pages:
            return _problem(500, "fault")
        return 200, {"content-type": "text/html"}, b"<h1>Vitrine</h1>"

    def _cars(self, path: str) -> Reply:
        cars = [{"car_id": f"car-{number}"} for number in range(1, 6)]
        return _json(200, {"items": cars} if path.endswith("cars") else cars[0])

    def _hold(self, request: Request) -> Reply:
        if request.method == "DELETE":
            return 204, {}, b""
        if self.mischief.sold_out:
            return _problem(409, "car-not-available")
        car_id = request.fields()["car_id"]
        if not self.mischief.sells_twice and car_id in self.holds.values():
            return _problem(409, "car-not-available")
        hold_id = f"hold-{next(self._numbers)}"
        self.holds[hold_id] = car_id
        return _json(201, {"hold_id": hold_id, "car_id": car_id})

    def _order(self, request: Request) -> Reply:
        if request.method == "GET":
            return _json(200, {"state": self.orders[request.path.rpartition("/")[2]]["state"]})
        order_id = f"order-{next(self._numbers)}"
        order = {
            "order_id": order_id,
            "order_token": "token",
            "car_id": self.holds[request.fields()["hold_id"]],
            "payment_url": f"/sandbox/pay/{order_id}",
            "price": {"amount": 48990000, "currency": "SEK"},
            "state": "payment_pending",
            "confirmed_at": None,
        }
        self.orders[order_id] = order
        return _json(201, order)

    def _pay(self, request: Request) -> Reply:
        order_id = request.path.split("/")[3]
        order = self.orders[order_id]
        html = {"content-type": "text/html"}
        if request.method == "GET":
            if order["state"] != "payment_pending":
                return 200, html, b"<p>All done</p>"
            form = BANK_FORM.format(order_id) if order.get("challenged") else CARD_FORM
            return 200, html, form.encode()
        typed = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
        if typed.get("card_number", "").endswith("3220"):
            order["challenged"] = True
            return 303, {"location": f"/sandbox/pay/{order_id}"}, b""
        if typed.get("card_number", "").endswith("0002"):
            order["state"] = "declined"
        elif not self.mischief.never_confirms:
            order["state"], order["confirmed_at"] = "confirmed", "2026-11-27T20:00:00Z"
        return 303, {"location": f"/orders/{order_id}"}, b""

    def _books(self, request: Request) -> Reply:
        confirmed = [order for order in self.orders.values() if order["confirmed_at"]]
        if request.path == "/internal/checkout/invariants":
            rules = [{"name": "one_live_hold_per_car", "violations": self.mischief.violations}]
            return _json(200, {"invariants": rules})
        if request.path == "/internal/checkout/orders":
            kept = [] if self.mischief.forgets_confirmed else list(self.orders.values())
            body = {"items": kept, "next_after": None, "ever_confirmed": len(confirmed)}
            return _json(200, body)
        if request.path == "/metrics":
            counted = len(confirmed) + self.mischief.miscounts_by
            text = (
                "# TYPE shop_orders_total counter\n"
                f'shop_orders_total{{market="SE",traffic="synthetic"}} {counted}.0\n'
                'shop_orders_total{market="NO",traffic="human"} 0.0\n'
                'ledger_lag_seconds{source="catalog"} 0.0\n'
                f'ledger_lag_seconds{{source="checkout"}} {self.mischief.ledger_lag_seconds}\n'
            )
            return 200, {"content-type": "text/plain"}, text.encode()
        return _json(200, {"ready": True})

    def _watchers(self, request: Request) -> Reply:
        state = self.alert_states[0] if self.alert_states else ""
        labels = {"alertname": "PaymentProviderFailing", "severity": "page"}
        if request.path == "/api/v2/alerts":
            found = [{"labels": labels, "status": {"state": "active"}}] if state == "firing" else []
            return _json(200, found)
        if not self.prometheus_answers:
            return _json(503, {})
        if request.path == "/api/v1/rules":
            rule = {
                "name": "PaymentProviderFailing",
                "health": self.rule_health,
                "lastEvaluation": f"{next(self._numbers) if self.evaluates else 0:09d}",
            }
            return _json(200, {"status": "success", "data": {"groups": [{"rules": [rule]}]}})
        if request.path == "/api/v1/targets":
            target = {"scrapeUrl": "http://shop/metrics", "health": self.target_health}
            return _json(200, {"status": "success", "data": {"activeTargets": [target]}})
        if request.path == "/api/v1/alerts":
            shown = [{"labels": labels, "state": state}] if state else []
            return _json(200, {"status": "success", "data": {"alerts": shown}})
        value = self.promql(request.query["query"])
        result = [] if value is None else [{"metric": {}, "value": [0, str(value)]}]
        if request.path == "/api/v1/query_range":
            result = []
        return _json(200, {"status": "success", "data": {"result": result}})


def _json(status: int, body: object) -> Reply:
    return status, {"content-type": "application/json"}, json.dumps(body).encode()


def _problem(status: int, code: str) -> Reply:
    body = {"type": f"/problems/{code}", "title": code, "status": status, "detail": code}
    return status, {"content-type": "application/problem+json"}, json.dumps(body).encode()
