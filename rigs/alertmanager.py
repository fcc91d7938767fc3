"""The real Alertmanager on loopback, with the configuration that docker-compose.yml mounts."""

import os
import re
from pathlib import Path
from typing import Any

import httpx

from rigs.ports import LOOPBACK, free_ports
from rigs.processes import ManagedProcess, Program

ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = ROOT / "alerts" / "alertmanager.yml"
# As the configuration names it, beside which it lies.
KEY_FILE = "alert_key"
PROGRAM = Program(("alertmanager", "prometheus-alertmanager"), package="prometheus-alertmanager")

# Insight's internal port in docker-compose.yml, as the configuration names it.
COMPOSE_RECEIVER = re.compile(r"http://insight:\d+")
GROUP_WAIT = re.compile(r"^(\s*group_(?:wait|interval):\s*)\S+(.*)$", re.MULTILINE)


def with_receiver(configuration: str, base_url: str) -> str:
    """The same configuration, telling the service at ``base_url`` instead of compose's.

    Raises:
        ValueError: the configuration names no receiver of compose.
    """
    changed, receivers = COMPOSE_RECEIVER.subn(base_url.rstrip("/"), configuration)
    if receivers == 0:
        raise ValueError("no webhook of compose's insight in the Alertmanager configuration")
    return changed


def with_group_wait(configuration: str, seconds: int) -> str:
    """The same configuration, telling of a group's first and later alerts after ``seconds``."""
    return GROUP_WAIT.sub(rf"\g<1>{seconds}s\g<2>", configuration)


class LocalAlertmanager(ManagedProcess):
    """Alertmanager in ``folder``; webhooks go to ``receiver_url`` (insight's internal port).

    Without ``receiver_url`` the addresses in ``configuration`` stand (drills render their own).
    ``group_wait_seconds`` overrides how long it collects alerts before it tells (drills use 1).
    ``key`` is the shop's ``VITRINE_ALERT_KEY``, which opens its webhook.
    ``address`` is host:port, as Prometheus wants it. ``start`` returns once it is ready.
    """

    def __init__(
        self,
        folder: Path,
        *,
        receiver_url: str | None = None,
        key: str = "",
        port: int | None = None,
        group_wait_seconds: int | None = None,
        configuration: Path = CONFIGURATION,
    ) -> None:
        self.port = port or free_ports(1)[0]
        self.address = f"{LOOPBACK}:{self.port}"
        self.url = f"http://{self.address}"
        self._root = folder
        self._configuration = configuration
        self._receiver_url = receiver_url
        self._key = key
        self._group_wait_seconds = group_wait_seconds
        super().__init__(
            "Alertmanager",
            [
                "alertmanager",
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder / 'data'}",
                f"--web.listen-address={self.address}",
                # No gossip: there is one, and the default would listen on all addresses.
                "--cluster.listen-address=",
            ],
            log_path=folder / "alertmanager.log",
        )

    def start(self) -> None:
        """Write the configuration, start, and wait until it is ready."""
        program = PROGRAM.require()
        self.command = (str(program), *self.command[1:])
        self._root.mkdir(parents=True, exist_ok=True)
        text = self._configuration.read_text()
        if self._receiver_url is not None:
            text = with_receiver(text, self._receiver_url)
        if self._group_wait_seconds is not None:
            text = with_group_wait(text, self._group_wait_seconds)
        (self._root / "alertmanager.yml").write_text(text)
        key_file = os.open(self._root / KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(key_file, "w") as file:
            file.write(self._key)
        super().start()
        self.wait_ready(f"{self.url}/-/ready")

    def alerts(self) -> list[dict[str, Any]]:
        """Active alerts as Alertmanager sees them."""
        answer = httpx.get(f"{self.url}/api/v2/alerts", timeout=10.0, trust_env=False)
        return list(answer.raise_for_status().json())
