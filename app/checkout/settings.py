"""Checkout's own settings (`CHECKOUT_…`)."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class CheckoutSettings(BaseSettings):
    """Durations in seconds."""

    model_config = SettingsConfigDict(env_prefix="CHECKOUT_", extra="ignore")

    hold_ttl_seconds: int = Field(15 * 60, ge=1, description="how long a hold lasts")
    hold_extension_seconds: int = Field(
        10 * 60, ge=0, description="longer while 3-D Secure is open"
    )
    pick_up_seconds: int = Field(
        72 * 3600,
        ge=1,
        description="how long a car waits to be collected: so long at least, and so many whole"
        " opening days (decision 0050)",
    )
    return_seconds: int = Field(
        14 * 24 * 3600, ge=1, description="how long after handover a car may be given back"
    )
    idempotency_seconds: int = Field(
        24 * 3600, ge=60, description="how long the first answer to an Idempotency-Key is kept"
    )
    max_holds_per_session: int = Field(3, ge=1, description="at a time")
    max_holds_per_address: int = Field(
        200, ge=1, description="at a time: a town behind one phone network"
    )
    strangers_share: float = Field(
        0.2,
        gt=0,
        le=1,
        description="of a market's cars: when so many are held, callers without a session that has"
        " lasted get no more of them (decision 0063)",
    )
    strangers_least: int = Field(50, ge=1, description="cars per market that this never counts for")
    known_seconds: int = Field(60, ge=0, description="how long a session has lasted by then")
    rest_share: float = Field(
        0.1,
        ge=0,
        description="of a hold's time: so long who let the car go cannot hold it again",
    )
    webhook_tolerance_seconds: int = Field(
        300, ge=1, description="how old a signature of a provider's message may be"
    )
    sweep_seconds: float = Field(1.0, gt=0, description="how often holds that ran out are ended")
    providers: str = Field(
        "",
        description="payment providers by commas, the offered one first; empty = stripe when it has"
        " a key, else sandbox",
    )
    stripe_secret_key: SecretStr = Field(SecretStr(""), description="empty = no Stripe here")
    stripe_webhook_secret: SecretStr = Field(SecretStr(""), description="signs Stripe's webhooks")
    stripe_api_base: str = Field("", description="another Stripe than the real one: localstripe")
    stripe_payment_page: str = Field(
        "", description="a page of ours that shows Stripe's form; empty = redirect to Stripe's own"
    )
