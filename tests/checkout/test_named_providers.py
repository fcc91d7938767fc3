"""Which providers a checkout takes money and messages of: by name, environment and permission."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.checkout.providers.named import named_providers, refuse_other_money
from app.frame.settings import Environment, PlatformSettings
from app.kernel.clock import ManualClock
from app.kernel.errors import CannotStart
from app.storefront.main import build as build_storefront
from tests.builders.services import running
from tests.builders.shop import Shop, open_shop
from tests.builders.stripe import SECRET_KEY, WEBHOOK_SECRET

PRODUCTION = {"environment": "production"}
PERMITTED = {**PRODUCTION, "allow_sandbox_in_production": True}
BOTH = ("sandbox", "stripe")
LIVE = "sk_live_vitrine"


@pytest.mark.parametrize(
    ("names", "stripe", "practice", "offered"),
    [
        ("", False, True, ("sandbox",)),
        ("", True, True, ("stripe",)),
        ("", True, False, ("stripe",)),
        ("sandbox", True, True, ("sandbox",)),
        ("stripe", True, False, ("stripe",)),
        (" stripe , sandbox,stripe", True, True, ("stripe", "sandbox")),
        ("", False, False, "name one in CHECKOUT_PROVIDERS"),
        ("sandbox", True, False, "VITRINE_ALLOW_SANDBOX_IN_PRODUCTION"),
        ("stripe,sandbox", True, False, "VITRINE_ALLOW_SANDBOX_IN_PRODUCTION"),
        ("stripe", False, True, "set CHECKOUT_STRIPE_SECRET_KEY"),
        ("paypal", True, True, "names paypal: known are sandbox, stripe"),
    ],
)
def test_providers_are_those_that_are_named_keyed_and_permitted(
    names: str, stripe: bool, practice: bool, offered: tuple[str, ...] | str
) -> None:
    def ask() -> tuple[str, ...]:
        return named_providers(names, stripe_has_key=stripe, practice_allowed=practice)

    if isinstance(offered, str):
        with pytest.raises(CannotStart, match=offered):
            ask()
    else:
        assert ask() == offered


REAL, PRACTICE = "would take real money", "would give real cars"


@pytest.mark.parametrize("kind", ["sk", "rk"])
@pytest.mark.parametrize(
    ("environment", "mode", "permitted", "refused"),
    [
        ("production", "live", False, ""),
        ("production", "live", True, ""),
        ("production", "test", False, PRACTICE),
        ("production", "test", True, ""),
        ("development", "live", False, REAL),
        ("development", "live", True, REAL),
        ("development", "test", False, ""),
        ("development", "test", True, ""),
        ("test", "live", False, REAL),
        ("test", "live", True, REAL),
        ("test", "test", False, ""),
        ("test", "test", True, ""),
    ],
)
def test_real_cars_are_sold_for_real_money_only_and_practice_takes_none(
    kind: str, environment: Environment, mode: str, permitted: bool, refused: str
) -> None:
    settings = PlatformSettings(environment=environment, allow_sandbox_in_production=permitted)
    said = ""
    try:
        refuse_other_money(
            f"{kind}_{mode}_51Hq",
            environment=settings.environment,
            practice_allowed=settings.practice_allowed,
        )
    except CannotStart as error:
        said = str(error)

    assert (refused in said, bool(said)) == (True, bool(refused))
    assert "51Hq" not in said


@pytest.mark.parametrize("environment", ["production", "development"])
@pytest.mark.parametrize(
    "key", ["pk_live_51Hq", "whsec_51Hq", " sk_live_51Hq", "SK_LIVE_51Hq", "51Hq", "sk_51Hq"]
)
def test_what_is_no_secret_key_of_stripes_is_refused_unseen(key: str, environment: str) -> None:
    with pytest.raises(CannotStart, match="is no secret key of Stripe's") as refused:
        refuse_other_money(key, environment=environment, practice_allowed=True)

    assert "51Hq" not in str(refused.value)


@pytest.mark.parametrize("names", ["", "stripe", "sandbox"])
@pytest.mark.parametrize(
    ("settings", "key", "said"),
    [
        (PRODUCTION, SECRET_KEY, PRACTICE),
        ({}, LIVE, REAL),
        (PERMITTED, "pk_live_vitrine", "no secret key"),
    ],
)
async def test_a_key_of_the_other_mode_does_not_start_whether_stripe_is_named_or_not(
    tmp_path: Path,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    key: str,
    said: str,
    names: str,
) -> None:
    monkeypatch.setenv("CHECKOUT_PROVIDERS", names)
    _with_stripe(monkeypatch, key)

    with pytest.raises(CannotStart, match=said):
        async with open_shop(tmp_path, clock, {}, **settings):
            pass


@pytest.mark.integration
@pytest.mark.parametrize(
    ("settings", "names", "stripe", "offered"),
    [
        ({}, "", "", ("sandbox",)),
        ({}, "stripe,sandbox", SECRET_KEY, ("stripe", "sandbox")),
        (PRODUCTION, "", LIVE, ("stripe",)),
        (PERMITTED, "", SECRET_KEY, ("stripe",)),
        (PERMITTED, "sandbox", SECRET_KEY, ("sandbox",)),
        (PERMITTED, "sandbox,stripe", LIVE, ("sandbox", "stripe")),
    ],
)
async def test_only_offered_providers_are_paid_through_and_heard(
    tmp_path: Path,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    names: str,
    stripe: str,
    offered: tuple[str, ...],
) -> None:
    monkeypatch.setenv("CHECKOUT_PROVIDERS", names)
    if stripe:
        _with_stripe(monkeypatch, stripe)
    async with open_shop(tmp_path, clock, {}, practice="sandbox" in offered, **settings) as shop:
        for provider in BOTH:
            hold = await shop.held(f"car_{BOTH.index(provider) + 1}")
            answer = await shop.order(hold["hold_id"], payment={"provider": provider})
            heard = await shop.checkout.public.post(
                f"/api/checkout/v1/payment-events/{provider}", content=b"{}"
            )
            if provider in offered:
                # This Stripe is at a closed port: asked, it does not answer.
                assert answer.status_code == (201 if provider == "sandbox" else 503)
                assert heard.json()["type"] == "/problems/webhook-signature"
            else:
                assert answer.json()["type"] == "/problems/provider-not-offered"
                assert answer.status_code == 422
                assert (heard.status_code, heard.json()["type"]) == (
                    404,
                    "/problems/provider-unknown",
                )
        needs_sandbox = "SANDBOX_URL" in shop.checkout.service.platform.unaddressed
        assert needs_sandbox == ("sandbox" in offered)


async def test_an_order_that_names_nobody_is_paid_through_the_first(sqlite_shop: Shop) -> None:
    hold = await sqlite_shop.held()

    answer = await sqlite_shop.order(hold["hold_id"], payment={})

    assert "/sandbox/pay/" in answer.json()["payment_url"]


async def test_pages_do_not_send_shoppers_to_practice_where_it_is_not_permitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOREFRONT_PAYMENT_PROVIDER", "sandbox")

    with pytest.raises(CannotStart, match="STOREFRONT_PAYMENT_PROVIDER=sandbox moves no money"):
        async with running(tmp_path, {"storefront": build_storefront}, environment="production"):
            pass


def _with_stripe(monkeypatch: pytest.MonkeyPatch, key: str = SECRET_KEY) -> None:
    monkeypatch.setenv("CHECKOUT_STRIPE_SECRET_KEY", key)
    monkeypatch.setenv("CHECKOUT_STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET)
    monkeypatch.setenv("CHECKOUT_STRIPE_API_BASE", "http://127.0.0.1:9")
