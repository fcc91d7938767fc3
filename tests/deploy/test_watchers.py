"""The real Prometheus and Alertmanager, with the configuration that compose mounts."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.watchers import watchers
from rigs import alertmanager as alertmanager_module
from rigs.alertmanager import LocalAlertmanager
from rigs.processes import wait_until
from rigs.prometheus import CONFIGURATION, RULES, LocalPrometheus, Target

pytestmark = pytest.mark.integration

RULE = """
groups:
  - name: probe
    rules:
      - alert: AlwaysOn
        expr: vector(1)
        labels: {severity: page, team: shop}
"""


@contextmanager
def shop_stand_in() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """Its address, and the webhooks it got: exposes a metric with a `service` label of its own."""
    received: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'# TYPE up_time gauge\nup_time{service="checkout"} 3\n'
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append({"path": self.path, **json.loads(body)})
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", received
        finally:
            server.shutdown()
            thread.join()


def test_promtool_accepts_the_configuration_with_the_rules(tmp_path: Path) -> None:
    shutil.copy(CONFIGURATION, tmp_path)
    shutil.copytree(RULES, tmp_path / "rules")
    shutil.copytree(CONFIGURATION.parent / "targets", tmp_path / "targets")

    done = subprocess.run(
        ["promtool", "check", "config", str(tmp_path / "prometheus.yml")],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_amtool_accepts_the_configuration() -> None:
    done = subprocess.run(
        ["amtool", "check-config", str(alertmanager_module.CONFIGURATION)],
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr


def test_an_alert_travels_from_a_rule_to_the_shop(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "probe.yml").write_text(RULE)
    with (
        shop_stand_in() as (address, received),
        LocalAlertmanager(
            tmp_path / "alertmanager", receiver_url=f"http://{address}", group_wait_seconds=1
        ) as alertmanager,
        LocalPrometheus(
            tmp_path / "prometheus",
            targets=[Target(address, {"component": "vitrine"})],
            alertmanager=alertmanager.address,
            interval_seconds=1,
            rules=tmp_path / "rules",
        ) as prometheus,
    ):
        prometheus.wait_scraped()
        # The service's own label is kept, not renamed to exported_service.
        wait_until(
            lambda: prometheus.value('up_time{service="checkout",component="vitrine"}') == 3,
            timeout_seconds=30,
        )
        wait_until(lambda: bool(received), timeout_seconds=30, what="the webhook arrived")
        wait_until(
            lambda: prometheus.value('up{component="alertmanager"}') == 1, timeout_seconds=30
        )

        assert prometheus.value("absent_metric") is None
        assert [alert["labels"]["alertname"] for alert in prometheus.alerts()] == ["AlwaysOn"]
        assert [alert["labels"]["severity"] for alert in alertmanager.alerts()] == ["page"]
        assert (received[0]["path"], received[0]["status"]) == (
            "/internal/insight/alerts",
            "firing",
        )
    assert (prometheus.running, alertmanager.running) == (False, False)


def test_a_wrong_query_is_refused_with_its_reason(tmp_path: Path) -> None:
    with LocalPrometheus(tmp_path, targets=[]) as prometheus:
        with pytest.raises(ValueError, match="parse error"):
            prometheus.query("sum(")
        with pytest.raises(ValueError, match="has 2 series"):
            prometheus.value('label_replace(vector(1),"a","b","","") or vector(1)')


def test_the_demo_watches_the_shops_internal_port(tmp_path: Path) -> None:
    receiver, scraper = watchers(
        tmp_path,
        internal="127.0.0.1:9100",
        key="",
        prometheus_port=9090,
        alertmanager_port=9093,
    )

    assert [(each.process.name, each.installed, each.url) for each in (receiver, scraper)] == [
        ("Alertmanager", True, "http://127.0.0.1:9093"),
        ("Prometheus", True, "http://127.0.0.1:9090"),
    ]
