"""The real Prometheus on loopback, with the configuration that docker-compose.yml mounts.

The configuration file is copied into a folder of its own, because its paths are relative to it: the
rules beside it are those of ``alerts/rules``, the target files are written for this machine.
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from rigs.ports import LOOPBACK, free_port
from rigs.processes import ManagedProcess, Program, wait_until

ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yml"
RULES = ROOT / "alerts" / "rules"
PROGRAM = Program(("prometheus",), package="prometheus")

# 30-day objectives and 4-week baselines, with a margin.
RETENTION = "40d"
FLAGS = (
    f"--storage.tsdb.retention.time={RETENTION}",
    "--enable-feature=exemplar-storage",
    # An alert that fires before Alertmanager was discovered is lost, and told again after this;
    # a minute, the default, is long for a page.
    "--rules.alert.resend-delay=10s",
)  # and no lifecycle endpoints: whoever reaches the port must not stop or reconfigure it

INTERVAL = re.compile(r"^(\s*(?:scrape_interval|evaluation_interval):\s*)\S+(.*)$", re.MULTILINE)
TIMEOUT = re.compile(r"^(\s*scrape_timeout:\s*)\S+(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Target:
    """One metrics endpoint: ``address`` is host:port."""

    address: str
    labels: Mapping[str, str] = field(default_factory=dict)


def at_interval(configuration: str, seconds: int) -> str:
    """The same configuration, scraping and evaluating every ``seconds``.

    The time-out may not exceed the interval, so it becomes the interval when that is shorter.
    """
    faster = INTERVAL.sub(rf"\g<1>{seconds}s\g<2>", configuration)
    return TIMEOUT.sub(rf"\g<1>{min(seconds, 5)}s\g<2>", faster)


def targets_file(targets: Sequence[Target]) -> str:
    """The text of a ``file_sd`` file."""
    groups = [{"targets": [each.address], "labels": dict(each.labels)} for each in targets]
    return json.dumps(groups, indent=2)


class LocalPrometheus(ManagedProcess):
    """Prometheus in ``folder``: scrapes ``targets``, sends alerts to ``alertmanager`` (host:port).

    ``interval_seconds`` overrides how often it scrapes and evaluates (drills use 1). ``rules`` is
    the folder of rendered rule files. ``start`` returns once it is ready to be asked.
    """

    def __init__(
        self,
        folder: Path,
        *,
        targets: Sequence[Target],
        port: int | None = None,
        alertmanager: str | None = None,
        interval_seconds: int | None = None,
        rules: Path = RULES,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._root = folder
        self._targets = tuple(targets)
        self._alertmanager = alertmanager
        self._interval_seconds = interval_seconds
        self._rules = rules
        super().__init__(
            "Prometheus",
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={LOOPBACK}:{self.port}",
                *FLAGS,
            ],
            log_path=folder / "prometheus.log",
        )

    def start(self) -> None:
        """Write the configuration, start, and wait until queries are answered."""
        program = PROGRAM.require()
        self.command = (str(program), *self.command[1:])
        self.write_configuration()
        super().start()
        # One of them may be another Prometheus on a port taken meanwhile; ours would have ended.
        self.wait_ready(f"{self.url}/-/ready", timeout_seconds=60.0)

    def write_configuration(self) -> None:
        """Put the configuration, rules and targets into the folder."""
        text = CONFIGURATION.read_text()
        if self._interval_seconds is not None:
            text = at_interval(text, self._interval_seconds)
        targets = self._root / "targets"
        targets.mkdir(parents=True, exist_ok=True)
        (self._root / "prometheus.yml").write_text(text)
        own = [Target(f"{LOOPBACK}:{self.port}", {"component": "prometheus"})]
        if self._alertmanager:
            own.append(Target(self._alertmanager, {"component": "alertmanager"}))
        (targets / "services.json").write_text(targets_file(self._targets))
        (targets / "infrastructure.json").write_text(targets_file(own))
        (targets / "alertmanager.json").write_text(targets_file(own[1:]))
        rules = self._root / "rules"
        shutil.rmtree(rules, ignore_errors=True)
        rules.mkdir()
        for file in self._rules.glob("*.yml"):
            shutil.copy(file, rules)

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The result of an instant query: ``[{"metric": {...}, "value": [time, "text"]}]``."""
        return list(self._get("query", {"query": promql})["result"])

    def value(self, promql: str) -> float | None:
        """The one value of an instant query, or None when it has no series.

        Raises:
            ValueError: the query has more than one series.
        """
        result = self.query(promql)
        if len(result) > 1:
            raise ValueError(f"{promql} has {len(result)} series, not one")
        return float(result[0]["value"][1]) if result else None

    def alerts(self) -> list[dict[str, Any]]:
        """Pending and firing alerts as Prometheus sees them."""
        return list(self._get("alerts", {})["alerts"])

    def targets_up(self) -> bool:
        """Whether every target of ours was scraped with success."""
        active = self._get("targets", {"state": "active"})["activeTargets"]
        expected = {target.address for target in self._targets}
        up = {
            target["discoveredLabels"]["__address__"]
            for target in active
            if target["health"] == "up"
        }
        return expected <= up

    def wait_scraped(self, *, timeout_seconds: float = 60.0) -> None:
        """Return when every target of ours was scraped."""
        wait_until(
            self.targets_up, timeout_seconds=timeout_seconds, what="Prometheus scraped all targets"
        )

    def _get(self, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        answer = httpx.get(
            f"{self.url}/api/v1/{path}", params=parameters, timeout=10.0, trust_env=False
        )
        body = answer.json()
        if body.get("status") != "success":
            raise ValueError(f"Prometheus refused {parameters}: {body.get('error')}")
        data: dict[str, Any] = body["data"]
        return data
