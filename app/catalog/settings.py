"""The catalogue's own settings (`CATALOG_…`), read once at the edge."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class CatalogSettings(BaseSettings):
    """How feeds are guarded and whether there is stock for rehearsals."""

    model_config = SettingsConfigDict(env_prefix="CATALOG_", extra="ignore")

    guard_share: float = Field(
        0.30, gt=0, le=1, description="an import that removes more of a source is refused"
    )
    most_cars: int = Field(
        30_000,
        ge=2_000,  # what is shipped fits
        description="cars on sale in all; a feed that would make it more is refused",
    )
    cars_days: int = Field(
        400,
        ge=60,  # prices count and a sale is remembered for a month
        description="how long a car stays in the books that left its feed unsold",
    )
    rehearsal: bool | None = Field(
        None, description="keep stock for synthetic shoppers; unset = everywhere but in production"
    )
    rehearsal_least: int = Field(
        60, ge=1, le=10_000, description="replenish a market that has fewer available cars"
    )
    rehearsal_target: int = Field(
        120, ge=1, le=10_000, description="available rehearsal cars per market after that"
    )
