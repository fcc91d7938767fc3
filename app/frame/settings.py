"""Settings that every service has, read from the environment at the edge."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.kernel.errors import CannotStart

DRIVERS: Final = ("postgresql+asyncpg", "sqlite+aiosqlite")

CONNECTIONS: Final = 12
"""Most connections of one process of a service to its database, unless it is told otherwise."""

LOOPBACK: Final = "127.0.0.1, ::1"

Environment = Literal["development", "test", "production"]

Pooler = Literal["", "transaction"]
"""`transaction`: PgBouncer with `pool_mode = transaction`. The next transaction may have another
connection, so nothing may be left on one: no prepared statement, no setting, no lock."""


class PlatformSettings(BaseSettings):
    """What all services of one deployment share (`VITRINE_…`)."""

    model_config = SettingsConfigDict(env_prefix="VITRINE_", extra="ignore")

    environment: Environment = Field(
        "development", description="development, test or production (which refuses weak secrets)"
    )
    port: int = Field(8000, ge=0, le=65535, description="embedded mode's public port")
    internal_port: int = Field(9100, ge=0, le=65535, description="embedded mode's internal port")
    host: str = Field("127.0.0.1", description="where embedded mode's public port listens")
    internal_host: str = Field(
        "127.0.0.1", description="where embedded mode's internal port listens"
    )
    workers: int = Field(1, ge=1, le=16, description="embedded mode's processes")
    worker_index: int | None = Field(None, ge=0, description="which of them this is: set by us")
    data: Path = Field(Path("var/data"), description="databases, traces and keys")
    flags: Path = Field(Path("var/flags.json"), description="the feature flags")
    public_url: str = Field("", description="where browsers reach us; empty = host and port")
    telemetry_mode: Literal["lean", "contrib", "off"] = Field(
        "lean", description="whose code observes: lean, contrib or off"
    )
    log_format: Literal["json", "console"] = Field("json", description="json or console")
    trace_keep_ratio: float = Field(
        0.05, ge=0, le=1, description="share of the unremarkable traces that is kept"
    )
    session_key: str = Field("", description="signs sessions, and what services tell each other")
    synthetic_key: str = Field("", description="proves synthetic shoppers")
    dealer_key: str = Field("", description="the operator's own; opens every source and dealer")
    dealer_keys: str = Field(
        "", description="keys of single dealers: JSON, or a file of it", repr=False
    )
    delivery_key: str = Field("", description="announces deployments")
    alert_key: str = Field("", description="Alertmanager tells alerts with it")
    report_key: str = Field("", description="reads marketing's reports")
    payment_key: str = Field("", description="checkout's key at the sandbox provider")
    webhook_secret: str = Field("", description="signs the sandbox's webhooks")
    customer_key: str = Field("", description="encrypts customer data at rest")
    customer_index_key: str = Field(
        "", description="finds a customer's orders by e-mail; empty = made of the session key"
    )
    console_password: str = Field("", description="opens the console")
    allow_sandbox_in_production: bool = Field(
        False, description="practice cards buy cars in production"
    )
    trusted_proxies: str = Field(
        LOOPBACK,
        description="addresses or networks whose X-Forwarded-For is believed, by commas; embedded"
        " mode believes nobody unless this is set",
    )

    agent_directories: str = Field(
        "", description="https addresses of buying agents' key directories, by commas"
    )
    agent_directories_private: bool = Field(
        False, description="for tests: directories may be on http and in private networks"
    )

    body_seconds: float = Field(
        5.0, ge=1, le=60, description="for a body of up to 512 KiB to come; larger ones have more"
    )
    connections_per_address: int = Field(
        100,
        ge=1,
        description="at once, of one caller; a trusted proxy has as many as there is room for",
    )

    database_seconds: float = Field(
        4.0,
        gt=0,
        le=60,
        description="how long one request waits for its database in all; neighbours wait five",
    )

    @property
    def proxies(self) -> list[str]:
        """The trusted proxies, one by one."""
        return [each.strip() for each in self.trusted_proxies.split(",") if each.strip()]

    @property
    def practice_allowed(self) -> bool:
        """Whether payments may be practised here: in production only when it is permitted."""
        return self.environment != "production" or self.allow_sandbox_in_production


class WrongSetting(CannotStart):
    """A variable holds what cannot be; the sentence names it."""


class OfOneService(BaseModel):
    """Settings that each service has under its own name.

    Made without a service they are the defaults: a bare `PORT` or `DATABASE_URL` is another
    program's, and is never read.
    """

    @classmethod
    def of(cls, service: str) -> Self:
        """Read `<SERVICE>_…`; raises `WrongSetting`."""
        prefix = f"{service.upper()}_"
        given = {name: os.environ.get(prefix + name.upper()) for name in cls.model_fields}
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise WrongSetting(explain(error, prefix)) from error


class ServiceSettings(OfOneService):
    """What each service has of its own (`CHECKOUT_PORT`, `CHECKOUT_DATABASE_URL`, …)."""

    port: int = Field(8000, ge=0, le=65535, description="the public port")
    internal_port: int = Field(9100, ge=0, le=65535, description="the internal port")
    host: str = Field("127.0.0.1", description="where the public port listens")
    internal_host: str = Field("127.0.0.1", description="where the internal port listens")
    database_url: str = Field("", description="its database; empty = SQLite in VITRINE_DATA")
    database_connections: int = Field(
        CONNECTIONS, ge=2, le=200, description="the most that one process opens"
    )
    database_pooler: Pooler = Field("", description="what stands between us and PostgreSQL")

    database_gib: float = Field(
        0, ge=0, description="what it may take in PostgreSQL, for the forecast; 0 = not known"
    )

    @field_validator("database_url")
    @classmethod
    def _can_be_used(cls, url: str) -> str:
        try:
            driver = make_url(url).drivername if url else ""
        except (ArgumentError, ValueError):
            driver = "?"
        if url and driver not in DRIVERS:
            raise ValueError(f"must begin with {' or '.join(f'{name}://' for name in DRIVERS)}")
        return url


class Budgets(OfOneService):
    """How much one caller may change in a minute (`CHECKOUT_REQUESTS_PER_SESSION`, …)."""

    requests_per_session: int = Field(300, ge=1, description="changes per minute of one shopper")
    requests_per_address: int = Field(
        6000, ge=1, description="changes per minute: a hundred shoppers a second behind one NAT"
    )
    requests_per_bot: int = Field(600, ge=1, description="changes per minute of a known robot")


class ServiceAddresses(OfOneService):
    """Where the other services are (`CATALOG_URL`, `CATALOG_INTERNAL_URL`, …)."""

    url: str = Field("", description="where a neighbour's public API is")
    internal_url: str = Field("", description="where a neighbour's internal port is")

    @field_validator("url", "internal_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return url


def explain(error: ValidationError, prefix: str = "") -> str:
    """One sentence per wrong setting: which variable, what it was, what it must be.

    Without a prefix it follows from the settings' name: `CheckoutSettings` has `CHECKOUT_`. An
    address may hold a password, so its value is not repeated.
    """
    if not prefix:
        kind = error.title.removesuffix("Settings").upper()
        prefix = "VITRINE_" if kind == "PLATFORM" else f"{kind}_"
    return "; ".join(_sentence(prefix, dict(problem)) for problem in error.errors())


def _sentence(prefix: str, problem: dict[str, Any]) -> str:
    variable = prefix + "_".join(str(part) for part in problem["loc"]).upper()
    shown = "" if "URL" in variable else f"={problem.get('input')!r}"
    return f"{variable}{shown}: {str(problem['msg']).removeprefix('Value error, ')}"
