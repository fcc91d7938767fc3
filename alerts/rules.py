"""What a recording rule, an alert and a rule group are made of, and how Prometheus reads them."""

from dataclasses import dataclass
from typing import Any, Literal

from alerts.owners import TEAM_OF_SERVICE
from alerts.timing import Timing
from telemetry.catalogue.links import board_url, runbook_url
from telemetry.catalogue.recorded import RecordedSeries

Urgency = Literal["page", "ticket"]
Severity = Urgency | Literal["none"]


@dataclass(frozen=True, slots=True)
class Recording:
    """`series` is written from `expr`; `labels` are fixed, as pairs."""

    series: RecordedSeries
    expr: str
    labels: tuple[tuple[str, str], ...] = ()

    def rendered(self) -> dict[str, Any]:
        rule: dict[str, Any] = {"record": self.series.name, "expr": self.expr}
        if self.labels:
            rule["labels"] = dict(self.labels)
        return rule


@dataclass(frozen=True, slots=True)
class Alert:
    """One alerting rule.

    `severity` page wakes somebody, ticket waits for the morning, none is for machines. `service`
    is the fixed label; None when each result of `expr` carries its own (then `team` is needed).
    `hold_seconds` is the nominal `for`. `board` is the board that shows the cause.
    """

    name: str
    expr: str
    severity: Severity
    service: str | None
    summary: str
    description: str
    board: str = "services"
    hold_seconds: int = 0
    team: str | None = None

    @property
    def owner(self) -> str:
        """The team that the alert belongs to."""
        if self.team is not None:
            return self.team
        if self.service is None:
            raise ValueError(f"{self.name}: an alert has a service or a team")
        return TEAM_OF_SERVICE[self.service]

    @property
    def labels(self) -> dict[str, str]:
        """The labels that every firing of this rule carries."""
        service = {} if self.service is None else {"service": self.service}
        return {"severity": self.severity, "team": self.owner, **service}

    def rendered(self, timing: Timing, console_url: str) -> dict[str, Any]:
        rule: dict[str, Any] = {"alert": self.name, "expr": self.expr}
        if self.hold_seconds:
            rule["for"] = timing.hold(self.hold_seconds)
        rule["labels"] = self.labels
        rule["annotations"] = {
            "summary": self.summary,
            "description": self.description,
            "runbook_url": runbook_url(self.name, console_url),
            "dashboard_url": board_url(self.board, console_url),
        }
        return rule


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other; later ones see what earlier ones recorded.

    `interval_seconds` is nominal; None takes Prometheus' own evaluation interval.
    """

    name: str
    rules: tuple[Recording | Alert, ...]
    interval_seconds: int | None = None

    @property
    def alerts(self) -> tuple[Alert, ...]:
        return tuple(rule for rule in self.rules if isinstance(rule, Alert))

    def rendered(self, timing: Timing, console_url: str) -> dict[str, Any]:
        group: dict[str, Any] = {"name": self.name}
        if self.interval_seconds is not None:
            group["interval"] = timing.hold(self.interval_seconds)
        group["rules"] = [
            rule.rendered(timing, console_url) if isinstance(rule, Alert) else rule.rendered()
            for rule in self.rules
        ]
        return group


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One file in `alerts/rules/`: `name` without its ending."""

    name: str
    groups: tuple[Group, ...]

    @property
    def alerts(self) -> tuple[Alert, ...]:
        return tuple(alert for group in self.groups for alert in group.alerts)
