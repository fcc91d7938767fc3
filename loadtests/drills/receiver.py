"""A small receiver of Alertmanager's webhooks: the last link, the one that wakes somebody."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import httpx


@dataclass(frozen=True, slots=True)
class Notification:
    """One alert in one webhook; `at` is when it arrived, `status` is `firing` or `resolved`."""

    at: float
    status: str
    name: str
    labels: Mapping[str, str]


class Receiver:
    """Listens on loopback; a context manager. Forwards to `forward_to` once that is known."""

    def __init__(self, port: int = 0) -> None:
        self.forward_to: str | None = None
        self._notifications: list[Notification] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                receiver.take(body, self.headers.get("authorization", ""))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/alerts"

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

    def take(self, body: bytes, key: str) -> None:
        """Note every alert of one webhook message, and pass the message on."""
        at = time.time()
        message: dict[str, Any] = json.loads(body)
        notes = [
            Notification(at, alert["status"], alert["labels"]["alertname"], alert["labels"])
            for alert in message.get("alerts", [])
        ]
        with self._lock:
            self._notifications += notes
        if self.forward_to is not None:
            # The console keeps the alert history; a drill must not be its blind spot.
            try:
                httpx.post(
                    self.forward_to,
                    content=body,
                    headers={"content-type": "application/json", "authorization": key},
                    timeout=5.0,
                    trust_env=False,
                )
            except httpx.HTTPError:
                return

    def notifications(self) -> tuple[Notification, ...]:
        with self._lock:
            return tuple(self._notifications)

    def first(self, name: str, status: str, *, since: float) -> Notification | None:
        """The first notification of this alert with this status at or after `since`."""
        return next(
            (
                note
                for note in self.notifications()
                if note.name == name and note.status == status and note.at >= since
            ),
            None,
        )
