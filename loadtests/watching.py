"""Asking Prometheus and Alertmanager what they saw. Their answers, typed; nothing more."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

TIMEOUT_SECONDS = 10.0


class CannotAsk(Exception):
    """Prometheus or Alertmanager refused or was not there; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a range query: labels and (Unix seconds, value) points; NaN is left out."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as somebody reports it; `state` is `pending`, `firing` or `active`."""

    name: str
    state: str
    labels: Mapping[str, str]


class PrometheusApi:
    """The HTTP API of a running Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def value(self, promql: str, *, at: float | None = None) -> float | None:
        """The one value of an instant query; None when it has no series, or is not a number."""
        parameters = {"query": promql} | ({"time": f"{at:.3f}"} if at is not None else {})
        result = self._get("query", parameters)["result"]
        if not result:
            return None
        value = float(result[0]["value"][1])
        return None if math.isnan(value) else value

    def vector(self, promql: str, *, at: float | None = None) -> list[tuple[dict[str, str], float]]:
        """All series of an instant query with their labels."""
        parameters = {"query": promql} | ({"time": f"{at:.3f}"} if at is not None else {})
        return [
            (found["metric"], float(found["value"][1]))
            for found in self._get("query", parameters)["result"]
        ]

    def series(
        self, promql: str, *, start: float, end: float, step_seconds: float
    ) -> tuple[Series, ...]:
        parameters = {
            "query": promql,
            "start": f"{start:.3f}",
            "end": f"{end:.3f}",
            "step": f"{step_seconds:g}",
        }
        return tuple(
            Series(
                found["metric"],
                tuple(
                    (float(at), float(value))
                    for at, value in found["values"]
                    if not math.isnan(float(value))
                ),
            )
            for found in self._get("query_range", parameters)["result"]
        )

    def alerts(self) -> tuple[Alert, ...]:
        """Pending and firing alerts now."""
        return tuple(
            Alert(found["labels"]["alertname"], found["state"], found["labels"])
            for found in self._get("alerts", {})["alerts"]
        )

    def unwell(self, alert: str) -> str | None:
        """Why silence about an alert would mean nothing now; None when Prometheus is well.

        Its rule is loaded and was evaluated without an error, and every target is up.
        """
        groups = self._get("rules", {"type": "alert"})["groups"]
        rules = [rule for group in groups for rule in group["rules"] if rule["name"] == alert]
        if not rules:
            return f"no rule {alert} is loaded"
        for rule in rules:
            if rule["health"] != "ok":
                return (
                    f"rule {alert} is {rule['health']}: {rule.get('lastError') or 'not evaluated'}"
                )
        targets = self._get("targets", {"state": "active"})["activeTargets"]
        down = [target["scrapeUrl"] for target in targets if target["health"] != "up"]
        if not targets or down:
            return f"targets are down: {', '.join(down)}" if down else "there are no targets"
        return None

    def evaluated_at(self, alert: str) -> str:
        """When the alert's rule was evaluated last, as Prometheus writes it."""
        groups = self._get("rules", {"type": "alert"})["groups"]
        return max(
            (
                rule["lastEvaluation"]
                for group in groups
                for rule in group["rules"]
                if rule["name"] == alert
            ),
            default="",
        )

    def alert_names(self) -> frozenset[str]:
        """Every alerting rule that is loaded."""
        groups = self._get("rules", {"type": "alert"})["groups"]
        return frozenset(rule["name"] for group in groups for rule in group["rules"])

    def _get(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        try:
            answer = httpx.get(
                f"{self._url}/api/v1/{path}",
                params=dict(parameters),
                timeout=TIMEOUT_SECONDS,
                trust_env=False,
            )
            body = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise CannotAsk(f"Prometheus at {self._url}: {error}") from error
        if body.get("status") != "success":
            raise CannotAsk(f"Prometheus refused {dict(parameters)}: {body.get('error')}")
        data: dict[str, Any] = body["data"]
        return data


class AlertmanagerApi:
    """The HTTP API of a running Alertmanager."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def alerts(self) -> tuple[Alert, ...]:
        """Alerts that it has now and would tell somebody about."""
        try:
            answer = httpx.get(
                f"{self._url}/api/v2/alerts",
                params={"active": "true", "silenced": "false", "inhibited": "false"},
                timeout=TIMEOUT_SECONDS,
                trust_env=False,
            )
            found = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise CannotAsk(f"Alertmanager at {self._url}: {error}") from error
        return tuple(
            Alert(alert["labels"]["alertname"], alert["status"]["state"], alert["labels"])
            for alert in found
        )
