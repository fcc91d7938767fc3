"""Which payment providers this checkout takes money through: those that the settings name."""

from __future__ import annotations

from typing import Final

from app.kernel.errors import CannotStart

KNOWN: Final = ("sandbox", "stripe")


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
