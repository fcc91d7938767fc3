"""The demo's watchers: Prometheus and Alertmanager beside the shop, each when it is installed."""

from dataclasses import dataclass
from pathlib import Path

from rigs import alertmanager, prometheus
from rigs.alertmanager import LocalAlertmanager
from rigs.processes import ManagedProcess
from rigs.prometheus import LocalPrometheus, Target

SCRAPE_SECONDS = 5


@dataclass(frozen=True)
class Watcher:
    """A program that watches the shop.

    ``package`` is Debian's; ``variable`` tells the console its address.
    """

    process: ManagedProcess
    url: str
    port: int
    installed: bool
    package: str
    variable: str


def watchers(
    folder: Path, *, internal: str, key: str, prometheus_port: int, alertmanager_port: int
) -> tuple[Watcher, ...]:
    """Alertmanager and Prometheus, not started, watching the ``internal`` port (host:port).

    ``key`` opens the shop's webhook to Alertmanager.
    """
    has_alertmanager = alertmanager.PROGRAM.find() is not None
    receiver = LocalAlertmanager(
        folder / "alertmanager",
        receiver_url=f"http://{internal}",
        key=key,
        port=alertmanager_port,
    )
    scraper = LocalPrometheus(
        folder / "prometheus",
        targets=[Target(internal, {"component": "vitrine"})],
        port=prometheus_port,
        alertmanager=receiver.address if has_alertmanager else None,
        interval_seconds=SCRAPE_SECONDS,
    )
    return (
        Watcher(
            process=receiver,
            url=receiver.url,
            port=receiver.port,
            installed=has_alertmanager,
            package=alertmanager.PROGRAM.package,
            variable="INSIGHT_ALERTMANAGER_URL",
        ),
        Watcher(
            process=scraper,
            url=scraper.url,
            port=scraper.port,
            installed=prometheus.PROGRAM.find() is not None,
            package=prometheus.PROGRAM.package,
            variable="INSIGHT_PROMETHEUS_URL",
        ),
    )
