"""What a feed may change without a confirmation: the signs of a broken or outdated export. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.catalog.errors import FeedOutdated, PricesImplausible, TooMuchRemoved
from app.catalog.swap import Swap
from app.kernel.clock import rfc3339

USUAL_REMOVALS: Final = 5
"""So many cars may leave a source's feed at once whatever its size: small dealers sell some."""

USUAL_CHANGES: Final = 5
"""So many prices may change strongly at once whatever the size: small dealers reprice some."""

STRONG_CHANGE: Final = 0.15
SHARE_OF_STRONG_CHANGES: Final = 0.20
COLLAPSE: Final = 0.50
"""No single price may fall by more: a comma went astray, or a monthly rate stands for the price."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the sender says is really so."""

    removal: bool = False
    prices: bool = False


def guard(
    swap: Swap,
    of: str,
    *,
    share: float,
    confirmed: Confirmed,
    rejected: int = 0,
    first_rejection: str = "",
) -> None:
    """Raise `TooMuchRemoved` or `PricesImplausible`; `of` names source and market.

    `share` is the share of the stock on offer that one import may remove.
    """
    if not confirmed.removal:
        _guard_removal(swap, of, share, rejected, first_rejection)
    if not confirmed.prices:
        _guard_prices(swap, of)


def _guard_removal(swap: Swap, of: str, share: float, rejected: int, first_rejection: str) -> None:
    removed = swap.lost
    most = max(USUAL_REMOVALS, int(share * swap.on_offer + 1e-9))
    # A row that cannot be taken says that a car is there, so it does not close the shop.
    emptied = swap.empties and removed > (0 if rejected else 1)
    if removed <= most and not emptied:
        return
    allowed = (
        f"{most} is the most without a confirmation ({share:.0%}, at least {USUAL_REMOVALS})"
        if removed > most
        else "no row of it can be taken"
        if rejected
        else "a feed without any car is taken without a confirmation only where one car was left."
        " Were they sold in the last seconds? Then send it again in some seconds"
    )
    rejections = f" Rejected rows: {rejected}; the first: {first_rejection}" if rejected else ""
    raise TooMuchRemoved(
        f"This feed would remove {removed} of {swap.on_offer} cars that {of}; {allowed}. If they "
        f"are really gone, send it again with confirm_removal=true.{rejections}",
        would_remove=removed,
        on_offer=swap.on_offer,
    )


def _guard_prices(swap: Swap, of: str) -> None:
    repriced = swap.repriced
    collapsed = [car for car in repriced if car.after < car.before * (1 - COLLAPSE)]
    strong = [car for car in repriced if abs(car.after - car.before) > car.before * STRONG_CHANGE]
    too_many = len(strong) > max(USUAL_CHANGES, SHARE_OF_STRONG_CHANGES * swap.on_offer)
    if not (collapsed or too_many):
        return
    wrong = collapsed or strong
    how = (
        f"let the price fall by more than {COLLAPSE:.0%} for"
        if collapsed
        else f"change the price by more than {STRONG_CHANGE:.0%} for"
    )
    shown = ", ".join(car.stock_id for car in wrong[:5])
    raise PricesImplausible(
        f"This feed would {how} {len(wrong)} of {swap.on_offer} cars that {of} ({shown}"
        f"{', …' if len(wrong) > 5 else ''}). If the prices are really so, send it again with "
        "confirm_prices=true.",
        would_change=len(wrong),
        on_offer=swap.on_offer,
    )


def guard_age(of: str, exported_at: datetime | None, latest: datetime | None) -> None:
    """Raise `FeedOutdated` for an export older than the last one that was imported."""
    if exported_at is None or latest is None or exported_at >= latest:
        return
    raise FeedOutdated(
        f"This feed was exported at {rfc3339(exported_at)}, but the cars that {of} are "
        f"those of {rfc3339(latest)}. Send the newest export.",
        imported=rfc3339(latest),
    )
