"""Which payment providers this checkout takes money through: those that the settings name."""

from __future__ import annotations

from typing import Final

from app.kernel.errors import CannotStart

KNOWN: Final = ("sandbox", "stripe")
STRIPE_KEYS: Final = {"sk_live_": True, "rk_live_": True, "sk_test_": False, "rk_test_": False}
"""How Stripe's secret and restricted keys begin, and whether real money moves with them."""


def named_providers(names: str, *, stripe_has_key: bool, practice_allowed: bool) -> tuple[str, ...]:
    """The providers of `CHECKOUT_PROVIDERS` in their order; the first is the one that is offered.

    Without names it is Stripe when it has a key, else the practice provider. Raises `CannotStart`
    for one that is not known, has no key, or moves no money where money is meant.
    """
    asked = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    chosen = asked or (("stripe",) if stripe_has_key else ("sandbox",))
    unknown = [name for name in chosen if name not in KNOWN]
    if unknown:
        raise CannotStart(
            f"CHECKOUT_PROVIDERS names {', '.join(unknown)}: known are {', '.join(KNOWN)}."
        )
    if "stripe" in chosen and not stripe_has_key:
        raise CannotStart("CHECKOUT_PROVIDERS names stripe: set CHECKOUT_STRIPE_SECRET_KEY too.")
    if "sandbox" in chosen and not practice_allowed:
        raise CannotStart(
            "the sandbox payment provider moves no money, and production has no other: name one in"
            " CHECKOUT_PROVIDERS and set its keys (stripe: CHECKOUT_STRIPE_SECRET_KEY), or set"
            " VITRINE_ALLOW_SANDBOX_IN_PRODUCTION=true if practice is really meant."
        )
    return chosen


def moves_money(stripe_key: str) -> bool:
    """Whether a key is of Stripe's live mode; raises `CannotStart` for what is no secret key."""
    found = STRIPE_KEYS.get(stripe_key[:8])
    if found is None:
        raise CannotStart(
            "CHECKOUT_STRIPE_SECRET_KEY is no secret key of Stripe's: those begin with"
            f" {', '.join(STRIPE_KEYS)}."
        )
    return found


def refuse_other_money(stripe_key: str, *, environment: str, practice_allowed: bool) -> None:
    """Real cars are sold for real money, and practice takes nobody's; raises `CannotStart`."""
    if not moves_money(stripe_key):
        if not practice_allowed:
            raise CannotStart(
                "CHECKOUT_STRIPE_SECRET_KEY is of Stripe's test mode, where no money moves, and"
                " production would give real cars for it: set the live key, or"
                " VITRINE_ALLOW_SANDBOX_IN_PRODUCTION=true if practice is really meant."
            )
    elif environment != "production":
        raise CannotStart(
            "CHECKOUT_STRIPE_SECRET_KEY is a live key, and would take real money in an environment"
            f" for practice ({environment}): set a key of Stripe's test mode, or"
            " VITRINE_ENVIRONMENT=production where real cars are sold."
        )
