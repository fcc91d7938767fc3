"""The storefront's own settings (`STOREFRONT_…`)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class StorefrontSettings(BaseSettings):
    """Where the built assets are, and how behaviour facts are written."""

    model_config = SettingsConfigDict(env_prefix="STOREFRONT_", extra="ignore")

    static: Path = Field(
        Path(__file__).parents[2] / "build" / "static", description="the built scripts and styles"
    )
    flush_seconds: float = Field(1.0, gt=0, description="a kill -9 costs at most about this much")
    buffer_facts: int = Field(20_000, ge=1, description="facts kept while the database is away")
    sessions_per_address: int = Field(
        120, ge=1, description="visits per minute that are counted; more are served like any other"
    )
    attribution_days: int = Field(
        90,
        ge=1,
        le=90,
        description="how long a click is thanked for an order of who agreed to be known again",
    )
    range_seconds: float = Field(60.0, gt=0, description="how long models and dealers are kept")
    payment_provider: Literal["", "sandbox", "stripe"] = Field(
        "", description="through whom shoppers pay; empty = whom checkout offers first"
    )
    payment_origin: str = Field(
        "",
        pattern=r"^(https?://[a-z0-9.:-]+)?$",
        description="where the provider's page is when not here: https://checkout.stripe.com",
    )
