"""Settings that every service has, read from the environment at the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Environment = Literal["development", "test", "production"]


class PlatformSettings(BaseSettings):
    """What all services of one deployment share (`VITRINE_…`)."""

    model_config = SettingsConfigDict(env_prefix="VITRINE_", extra="ignore")

    environment: Environment = "development"
    port: int = Field(8000, ge=0, le=65535, description="embedded mode's public port")
    internal_port: int = Field(9100, ge=0, le=65535, description="embedded mode's internal port")
    host: str = "127.0.0.1"
    internal_host: str = "127.0.0.1"
    workers: int = Field(1, ge=1, le=16, description="embedded mode's processes")
    data: Path = Path("var/data")
    flags: Path = Path("var/flags.json")
    public_url: str = Field("", description="where browsers reach us; empty = host and port")
    telemetry_mode: Literal["lean", "contrib", "off"] = "lean"
    log_format: Literal["json", "console"] = "json"
    trace_keep_ratio: float = Field(0.05, ge=0, le=1)
    session_key: str = ""
    synthetic_key: str = ""
    dealer_key: str = ""
    delivery_key: str = ""
    report_key: str = ""
    payment_key: str = Field("", description="checkout's key at the sandbox provider")
    webhook_secret: str = Field("", description="signs the sandbox's webhooks")
    customer_key: str = Field("", description="encrypts customer data at rest")
    customer_index_key: str = Field(
        "", description="finds a customer's orders by e-mail; empty = made of the session key"
    )
    console_password: str = ""
    allow_sandbox_in_production: bool = False
    trusted_proxies: str = Field(
        "127.0.0.1, ::1",
        description="addresses or networks whose X-Forwarded-For is believed, by commas",
    )

    @property
    def practice_allowed(self) -> bool:
        """Whether payments may be practised here: in production only when it is permitted."""
        return self.environment != "production" or self.allow_sandbox_in_production


class ServiceSettings(BaseSettings):
    """What each service has of its own (`CHECKOUT_PORT`, `CHECKOUT_DATABASE_URL`, …)."""

    model_config = SettingsConfigDict(extra="ignore")

    port: int = Field(8000, ge=0, le=65535)
    internal_port: int = Field(9100, ge=0, le=65535)
    host: str = "127.0.0.1"
    internal_host: str = "127.0.0.1"
    database_url: str = ""

    @classmethod
    def of(cls, service: str) -> ServiceSettings:
        return cls(_env_prefix=f"{service.upper()}_")


class ServiceAddresses(BaseSettings):
    """Where the other services are (`CATALOG_URL`, `CATALOG_INTERNAL_URL`, …)."""

    model_config = SettingsConfigDict(extra="ignore")

    url: str = ""
    internal_url: str = ""

    @classmethod
    def of(cls, service: str) -> ServiceAddresses:
        return cls(_env_prefix=f"{service.upper()}_")


def explain(error: ValidationError) -> str:
    """One sentence per wrong setting: which variable, what it was, what it must be.

    The variable's prefix follows from the settings' name: `CheckoutSettings` has `CHECKOUT_`.
    """
    prefix = _PREFIXES.get(error.title, f"{error.title.removesuffix('Settings').upper()}_")
    return "; ".join(
        f"{prefix}{'_'.join(str(part) for part in e['loc']).upper()}={e.get('input')!r}: {e['msg']}"
        for e in error.errors()
    )


_PREFIXES: Final = {
    "PlatformSettings": "VITRINE_",
    "ServiceSettings": "<SERVICE>_",
    "ServiceAddresses": "<SERVICE>_",
}
