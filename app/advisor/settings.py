"""The advisor's own settings (`ADVISOR_…`), read once at the edge."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class AdvisorSettings(BaseSettings):
    """How closely the catalogue is followed and how facts are batched, in seconds."""

    model_config = SettingsConfigDict(env_prefix="ADVISOR_", extra="ignore")

    follow_seconds: float = Field(
        0.3, gt=0, le=60, description="how often the catalogue's changes are asked for"
    )
    write_seconds: float = Field(0.2, gt=0, le=60, description="how often advice is written down")
