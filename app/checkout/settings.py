"""Checkout's own settings (`CHECKOUT_…`)."""

from __future__ import annotations

from pydantic import Field, SecretStr, ValidationInfo, field_validator
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
    max_orders_per_hold: int = Field(
        20, ge=3, description="tries to pay for one held car, the first one included"
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
    holds_days: int = Field(
        30, ge=1, description="how long a hold stays that is over and came to no order"
    )
    customers_days: int = Field(
        30,
        ge=7,  # a provider repeats a lost message for days
        description="how long it is known whose order came to nothing: never confirmed, never paid",
    )
    orders_days: int = Field(
        180,
        ge=30,
        description="how long such an order stays with its payment; not less than its customer",
    )
    payment_events_days: int = Field(
        180,
        ge=30,
        description="how long it is known which messages of providers were applied",
    )
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

    @field_validator("orders_days")
    @classmethod
    def _not_before_its_customer(cls, days: int, others: ValidationInfo) -> int:
        customers = others.data.get("customers_days", 0)
        if days < customers:
            raise ValueError(f"must be at least CHECKOUT_CUSTOMERS_DAYS ({customers})")
        return days
