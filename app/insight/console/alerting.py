"""What fires now, and what ever fired, as the console lists it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from app.insight.console.gateways import Alertmanager
from app.insight.ledger.readings import Readings


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One alert as the console lists it; `ended_at` is None while it fires."""

    name: str
    state: Literal["firing", "resolved", "silenced"]
    severity: str
    service: str
    summary: str
    traffic: str
    started_at: datetime
    ended_at: datetime | None

    @property
    def heartbeat(self) -> bool:
        """The watchdog fires all the time, to prove that alerts arrive at all."""
        return self.severity == "none"

    @property
    def lasted_seconds(self) -> float | None:
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()


class Alerting:
    def __init__(self, readings: Readings, alertmanager: Alertmanager) -> None:
        self._readings = readings
        self._alertmanager = alertmanager

    async def history(self, *, limit: int = 200) -> list[AlertLine]:
        """Every alert that was ever notified, newest first."""
        return [_line(row) for row in await self._readings.alerts(limit=limit)]

    async def active(self) -> list[AlertLine]:
        """What fires now: Alertmanager's word, or the history's when there is none to ask."""
        found = await self._alertmanager.active()
        if found is None:
            lines = await self.history()
            return [line for line in lines if line.state == "firing" and not line.heartbeat]
        lines = [
            AlertLine(
                name=alert.name,
                state="silenced" if alert.silenced else "firing",
                severity=alert.severity,
                service=alert.service,
                summary=alert.summary,
                traffic=alert.labels.get("traffic", ""),
                started_at=datetime.fromisoformat(alert.starts_at),
                ended_at=None,
            )
            for alert in found
        ]
        return sorted(
            (line for line in lines if not line.heartbeat),
            key=lambda line: (line.severity != "page", -line.started_at.timestamp()),
        )


def _line(row: Mapping[str, Any]) -> AlertLine:
    return AlertLine(
        name=row["name"],
        state=row["state"],
        severity=row["severity"],
        service=row["service"],
        summary=row["summary"],
        traffic=row["labels"].get("traffic", ""),
        started_at=row["starts_at"],
        ended_at=row["ends_at"],
    )
