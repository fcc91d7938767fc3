"""What insight can be told by the environment, beside what every service can."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT: Final = Path(__file__).resolve().parents[2]

Whose = Literal["human", "synthetic", "all"]
"""Whose traffic a page of the console shows."""
WindowName = Literal["1h", "24h", "7d"]
"""A period of the overview."""
RangeName = Literal["15m", "1h", "6h", "24h", "7d", "30d"]
"""A period of a board (`console.boards.RANGES`)."""


class InsightSettings(BaseSettings):
    """`INSIGHT_PROMETHEUS_URL`, `INSIGHT_ALERTMANAGER_URL`, …; empty means: not there."""

    model_config = SettingsConfigDict(env_prefix="INSIGHT_", extra="ignore")

    prometheus_url: str = Field("", description="where boards ask; empty = nowhere")
    alertmanager_url: str = Field(
        "", description="who knows what fires now; empty = the history does"
    )
    trace_url: str = Field(
        "", description="where traces are looked at when not here; {trace_id} is replaced"
    )
    default_traffic: Whose = Field("human", description="whose traffic the console shows at first")
    default_range: RangeName = Field("1h", description="the period that boards show at first")
    beacons_per_session: int = Field(
        100, ge=1, description="a browser's beacons per minute that are counted"
    )
    beacons_per_address: int = Field(
        6000, ge=1, description="the same of all browsers of a network"
    )
    ledger_days: int = Field(
        400,
        ge=60,  # the longest range that is shown, and what may come late
        description="how long sessions, steps, ended checkouts and orders that never were confirmed"
        " stay: a year and a month, to compare with",
    )
    margin_rate: float | None = Field(
        None,
        ge=0,
        le=1,
        description="the share of an order's value that is margin, for what a customer is worth;"
        " without it reports say that margin is not known",
    )
    alerts_days: int = Field(
        400, ge=30, description="how long alerts stay after Alertmanager told of them last"
    )
    boards: Path = Field(
        ROOT / "dashboards" / "rendered", description="the rendered boards that are shown"
    )
    runbooks: Path = Field(ROOT / "alerts" / "runbooks", description="the runbooks that are shown")
    static: Path = Field(ROOT / "build" / "static", description="the built scripts and styles")
