"""The container's health check, against a real port."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rigs.ports import free_port

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "health.py"


class Service(BaseHTTPRequestHandler):
    """Alive, and nothing else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/live" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def exit_code(port: int) -> int:
    command = [sys.executable, "-I", "-S", str(SCRIPT), str(port)]
    return subprocess.run(command, check=False).returncode


def test_a_service_that_answers_is_healthy(port: int) -> None:
    assert exit_code(port) == 0


def test_a_port_where_nobody_listens_is_not() -> None:
    assert exit_code(free_port()) == 1
