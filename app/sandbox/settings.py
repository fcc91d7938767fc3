"""The practice provider's own settings (`SANDBOX_…`)."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SandboxSettings(BaseSettings):
    """How long practice payments stay."""

    model_config = SettingsConfigDict(env_prefix="SANDBOX_", extra="ignore")

    payments_days: int = Field(
        90, ge=30, description="how long a practice payment stays that nobody made"
    )
    paid_days: int = Field(
        400,
        ge=200,  # checkout asks for half a year about money that it keeps
        description="how long one stays that was made: it may be refunded or disputed",
    )
