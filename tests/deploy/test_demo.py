"""The demo's supervisor, with a stand-in for the shop: starts, tells, stops, leaves nothing."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rigs.ports import free_ports, is_free
from rigs.processes import alive, descendants, wait_until
from rigs.shop import without_settings

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]

# Answers on both ports, says one notable thing, and ends when asked.
SHOP = """
import json, os, signal, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok 1\\n")
    def log_message(self, *_): pass
servers = [ThreadingHTTPServer(("127.0.0.1", int(os.environ[name])), Page)
           for name in ("VITRINE_PORT", "VITRINE_INTERNAL_PORT")]
for server in servers:
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"event": "order_confirmed", "order_id": "ord_1"}), flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.pause()
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SHOP.replace(
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n", "while True: "
)
FAILING = "import sys; sys.stderr.write('vitrine cannot start: no luck today\\n'); sys.exit(2)"
SHOPPERS = "import signal; signal.pause()"

RUN = """
import sys
from pathlib import Path
from deploy.demo import Plan, main
sys.exit(main(Plan(
    shop=(sys.executable, "-c", sys.argv[1]),
    shoppers=(sys.executable, "-c", sys.argv[2]),
    folder=Path.cwd(),
    var=Path(sys.argv[3]),
)))
"""


class RunningDemo:
    """The supervisor as a process, its output in a file."""

    def __init__(self, folder: Path, shop: str, **environment: str) -> None:
        self.ports = free_ports(4)
        self.output = folder / "output.txt"
        names = ("PORT", "INTERNAL_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT")
        chosen = {f"VITRINE_{n}": str(port) for n, port in zip(names, self.ports, strict=True)}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", RUN, shop, SHOPPERS, str(folder / "var")],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**without_settings(), **chosen, **environment, "PYTHONPATH": str(ROOT)},
            )

    @property
    def text(self) -> str:
        return self.output.read_text()

    def wait_running(self) -> list[int]:
        """Every process of it, once the terminal tells what happens."""
        wait_until(lambda: "What happens now" in self.text, timeout_seconds=60, what=self.text)
        return descendants(self.process.pid)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[RunningDemo]:
    demo = RunningDemo(tmp_path, SHOP)
    yield demo
    if demo.process.poll() is None:
        demo.process.kill()
        demo.process.wait()


def test_one_interrupt_stops_everything(started: RunningDemo) -> None:
    family = started.wait_running()
    wait_until(lambda: "order confirmed ord_1" in started.text, timeout_seconds=10)

    started.process.send_signal(signal.SIGINT)
    code = started.process.wait(timeout=30)

    assert (code, len(family)) == (0, 4)
    assert [pid for pid in family if alive(pid)] == []
    assert [port for port in started.ports if not is_free(port)] == []
    assert "nothing is left running" in started.text


def test_the_terminal_tells_steps_addresses_and_the_password(started: RunningDemo) -> None:
    started.wait_running()

    public, internal, prometheus, alertmanager = started.ports
    told = [
        "Checking ports, packages and the data folder ... done",
        "Starting the six services in one process ... done",
        "Waiting for the first page ... done",
        "First page after",
        f"Storefront    http://127.0.0.1:{public}/",
        f"Metrics       http://127.0.0.1:{internal}/metrics",
        f"Prometheus    http://127.0.0.1:{prometheus}",
        f"Alertmanager  http://127.0.0.1:{alertmanager}",
    ]
    assert [line for line in told if line not in started.text] == []
    assert re.search(r"/console\s+password \S{8,}", started.text)


def test_kill_dash_nine_of_the_supervisor_ends_everything(started: RunningDemo) -> None:
    family = started.wait_running()

    started.process.kill()
    started.process.wait()

    wait_until(lambda: not any(map(alive, family)), timeout_seconds=20, what="all are gone")


def test_a_second_interrupt_does_not_wait(tmp_path: Path) -> None:
    demo = RunningDemo(tmp_path, DEAF)
    family = demo.wait_running()

    demo.process.send_signal(signal.SIGINT)
    wait_until(lambda: "Stopping" in demo.text, timeout_seconds=10)
    demo.process.send_signal(signal.SIGINT)
    code = demo.process.wait(timeout=5)

    assert code == 130
    wait_until(lambda: not any(map(alive, family)), timeout_seconds=10, what="all are gone")


def test_a_taken_port_is_one_sentence(started: RunningDemo, tmp_path: Path) -> None:
    started.wait_running()
    second = tmp_path / "second"
    second.mkdir()

    other = RunningDemo(second, SHOP, VITRINE_PORT=str(started.ports[0]))
    code = other.process.wait(timeout=30)

    assert code == 1
    assert f"Port {started.ports[0]} is taken by another program" in other.text
    assert "Traceback" not in other.text


def test_a_taken_port_of_prometheus_is_evaded_and_said(
    started: RunningDemo, tmp_path: Path
) -> None:
    started.wait_running()
    second = tmp_path / "second"
    second.mkdir()

    other = RunningDemo(second, SHOP, VITRINE_PROMETHEUS_PORT=str(started.ports[2]))
    other.wait_running()
    other.process.send_signal(signal.SIGTERM)

    assert other.process.wait(timeout=30) == 0
    assert f"Prometheus: port {started.ports[2]} was taken, so " in other.text


def test_a_shop_that_cannot_start_is_one_sentence(tmp_path: Path) -> None:
    demo = RunningDemo(tmp_path, FAILING)
    code = demo.process.wait(timeout=60)

    assert code == 1
    assert "vitrine cannot start: no luck today" in demo.text
    assert "Traceback" not in demo.text
