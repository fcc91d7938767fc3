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
