"""What insight can be told by the environment, beside what every service can."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT: Final = Path(__file__).resolve().parents[2]


class InsightSettings(BaseSettings):
    """`INSIGHT_PROMETHEUS_URL`, `INSIGHT_ALERTMANAGER_URL`, …; empty means: not there."""

    model_config = SettingsConfigDict(env_prefix="INSIGHT_", extra="ignore")

    prometheus_url: str = ""
    alertmanager_url: str = ""
    trace_url: str = Field(
        "", description="where traces are looked at when not here; {trace_id} is replaced"
    )
    boards: Path = ROOT / "dashboards" / "rendered"
    runbooks: Path = ROOT / "alerts" / "runbooks"
    static: Path = ROOT / "build" / "static"
