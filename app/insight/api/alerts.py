"""Alertmanager's notifications: the alerts' history."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from app.contracts.wire import Wire
from app.insight.ledger.store import Store
from app.insight.signals import Signals


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


async def receive(
    notification: Notification, *, store: Store, signals: Signals, now: datetime
) -> int:
    """Store what was notified; the same alert told again changes its one row."""
    rows = {(alert.fingerprint, alert.starts_at): _row(alert, now) for alert in notification.alerts}
    if rows:
        await store.save_alerts(list(rows.values()))
    for row in rows.values():
        signals.alert(row["name"], row["state"], row["severity"])
    return len(rows)


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


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
