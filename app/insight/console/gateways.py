"""Prometheus and Alertmanager over their HTTP APIs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
import orjson

from app.frame.outbound.connections import KeptConnections
from app.frame.outbound.http import NeighbourClient
from app.insight.console.boards import Query, Window
from app.insight.console.errors import PrometheusUnavailable

TIMEOUT: Final = httpx.Timeout(10.0, connect=1.0)


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """One alert that Alertmanager has at this moment."""

    fingerprint: str
    name: str
    severity: str
    service: str
    summary: str
    starts_at: str
    silenced: bool
    labels: Mapping[str, str]


def _neighbour(url: str, timeout: httpx.Timeout) -> httpx.AsyncClient:
    """Through nobody's proxy, as between services."""
    return NeighbourClient(url or "http://unset", KeptConnections(), timeout=timeout)


class Prometheus:
    """Asks for what stands on a board; `configured` is False when no address is set."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = _neighbour(url, TIMEOUT)

    @property
    def configured(self) -> bool:
        return bool(self.url)

    async def ask(self, query: Query, window: Window) -> Sequence[Any]:
        """The series of a query over a window, as Prometheus writes them.

        Raises `PrometheusUnavailable` with a sentence that says what to do.
        """
        if not self.configured:
            raise PrometheusUnavailable(
                "Prometheus is not set up: install it (apt-get install prometheus) and run"
                " `make demo`, or set INSIGHT_PROMETHEUS_URL to where one runs."
            )
        if query.instant:
            path, parameters = "/api/v1/query", {"time": window.end}
        else:
            path = "/api/v1/query_range"
            parameters = {"start": window.start, "end": window.end, "step": window.step}
        try:
            response = await self._http.post(path, data={"query": query.expr, **parameters})
            body = orjson.loads(response.content)
        except (httpx.HTTPError, orjson.JSONDecodeError) as error:
            raise PrometheusUnavailable(
                f"Prometheus does not answer at {self.url} ({type(error).__name__})."
            ) from error
        if body.get("status") != "success":
            raise PrometheusUnavailable(f"Prometheus says: {body.get('error', 'no reason given')}")
        found: Sequence[Any] = body["data"]["result"]
        if body["data"]["resultType"] == "scalar":
            return [{"metric": {}, "value": found}]
        return found

    async def close(self) -> None:
        await self._http.aclose()


class Alertmanager:
    """What fires now; None when there is no Alertmanager to ask or it does not answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = _neighbour(url, httpx.Timeout(2.0))

    async def active(self) -> list[ActiveAlert] | None:
        if not self.url:
            return None
        try:
            response = await self._http.get("/api/v2/alerts", params={"inhibited": "false"})
            response.raise_for_status()
            return [_active(raw) for raw in orjson.loads(response.content)]
        except (httpx.HTTPError, orjson.JSONDecodeError, KeyError):
            return None

    async def close(self) -> None:
        await self._http.aclose()


def _active(raw: Mapping[str, Any]) -> ActiveAlert:
    labels = raw["labels"]
    annotations = raw.get("annotations", {})
    return ActiveAlert(
        fingerprint=raw.get("fingerprint", ""),
        name=labels.get("alertname", ""),
        severity=labels.get("severity", ""),
        service=labels.get("service", ""),
        summary=annotations.get("summary", ""),
        starts_at=raw.get("startsAt", ""),
        silenced=raw.get("status", {}).get("state") == "suppressed",
        labels=labels,
    )
