"""What insight says about itself: log lines and its own two technical counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from telemetry.bootstrap import Telemetry
from telemetry.catalogue.insight import INSIGHT_BEACONS, INSIGHT_FACTS, BeaconResult, FactResult


class Booked(Protocol):
    """What became of one fact (`ledger.booking.Booked`), as far as it is told."""

    @property
    def source(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def event_id(self) -> str: ...
    @property
    def result(self) -> FactResult: ...
    @property
    def why(self) -> str: ...


class Signals:
    """The one place where insight's own events become metrics and log lines."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._log = telemetry.log
        self._facts = telemetry.instruments.counter(INSIGHT_FACTS)
        self._beacons = telemetry.instruments.counter(INSIGHT_BEACONS)

    def booked(self, results: Iterable[Booked]) -> None:
        """Facts whose booking has been committed."""
        counts: Counter[tuple[str, str]] = Counter()
        for one in results:
            counts[one.source, one.result] += 1
            if one.result == "rejected":
                self._log.warning(
                    "fact_rejected",
                    source=one.source,
                    type=one.type,
                    event_id=one.event_id,
                    why=one.why,
                )
        for (source, result), count in counts.items():
            self._facts.inc(count, source=source, result=result)

    def source_unreachable(self, source: str, *, error: str, lag_seconds: float) -> None:
        """Told once when a source stops answering."""
        self._log.warning(
            "ledger_source_unreachable", source=source, error=error, lag_seconds=lag_seconds
        )

    def source_reachable(self, source: str) -> None:
        self._log.info("ledger_source_reachable", source=source)

    def beacons(self, result: BeaconResult, count: int) -> None:
        if count:
            self._beacons.inc(count, result=result)

    def alert(self, name: str, state: str, severity: str) -> None:
        self._log.info("alert_received", alert=name, state=state, severity=severity)

    def login(self, *, accepted: bool) -> None:
        if accepted:
            self._log.info("console_login")
        else:
            self._log.warning("console_login_refused")
