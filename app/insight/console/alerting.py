"""Alertmanager's notifications as the alerts' history, and what fires now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from app.contracts.wire import Wire
from app.insight.console.gateways import Alertmanager
from app.insight.ledger.readings import Readings
from app.insight.ledger.signals import Signals
from app.insight.ledger.store import Store
from app.kernel.clock import Clock


class NotifiedAlert(Wire):
    """One alert of a notification (Alertmanager's webhook format, version 4)."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)
    starts_at: datetime = Field(alias="startsAt")
    ends_at: datetime | None = Field(None, alias="endsAt")
    fingerprint: Annotated[str, Field(max_length=40)]


class Notification(Wire):
    alerts: Annotated[list[NotifiedAlert], Field(max_length=5000)]


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
    def __init__(
        self,
        store: Store,
        readings: Readings,
        alertmanager: Alertmanager,
        signals: Signals,
        clock: Clock,
    ) -> None:
        self._store = store
        self._readings = readings
        self._alertmanager = alertmanager
        self._signals = signals
        self._clock = clock

    async def receive(self, notification: Notification) -> int:
        """Store what was notified; the same alert told again changes its one row."""
        now = self._clock.now()
        rows = {
            (alert.fingerprint, alert.starts_at): _row(alert, now) for alert in notification.alerts
        }
        if rows:
            await self._store.save_alerts(list(rows.values()))
        for row in rows.values():
            self._signals.alert(row["name"], row["state"], row["severity"])
        return len(rows)

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


def _row(alert: NotifiedAlert, now: datetime) -> dict[str, Any]:
    resolved = alert.status == "resolved"
    return {
        "fingerprint": alert.fingerprint,
        "starts_at": _utc(alert.starts_at),
        "name": alert.labels.get("alertname", "")[:120],
        "severity": alert.labels.get("severity", "")[:20],
        "service": alert.labels.get("service", "")[:40],
        "summary": alert.annotations.get("summary", "")[:1000],
        "runbook": alert.annotations.get("runbook_url", "")[:200],
        "labels": alert.labels,
        "state": alert.status,
        "received_at": now,
        "ends_at": _utc(alert.ends_at) if resolved and alert.ends_at else None,
    }


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


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
