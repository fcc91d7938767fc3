"""When an ordered car can be collected, and until when it is kept. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from app.checkout.rows import Car
from app.kernel import opening

FARTHEST: Final = timedelta(days=3650)
"""No calendar reaches further, and time itself ends in 9999: a typing error of an older feed."""


def _within_reach(at: datetime, start: datetime) -> datetime:
    return min(max(at, start), start + FARTHEST)


def earliest_handover(car: Car, ordered_at: datetime) -> datetime | None:
    """When a car that is ordered then can be handed over; None when the catalogue did not say."""
    lead, at = car.handover_lead_seconds, car.ready_for_handover_at
    if lead is not None:
        ready = ordered_at + timedelta(seconds=lead)
    elif at is not None:
        ready = _within_reach(at, ordered_at)
    else:
        return None
    calendar = opening.read(car.dealer_calendar or "")
    return ready if calendar is None else opening.first_open(calendar, ready)


def kept_until(
    ready_at: datetime | None,
    dealer_calendar: str | None,
    confirmed_at: datetime,
    *,
    pick_up_seconds: int,
) -> datetime:
    """Until when the dealer keeps an ordered car: nobody can collect one before it is ready.

    Without a calendar (the fact came from a version before it), so much time on the clock.
    """
    since = _within_reach(ready_at or confirmed_at, confirmed_at)
    at_least = timedelta(seconds=pick_up_seconds)
    calendar = opening.read(dealer_calendar or "")
    if calendar is None:
        return since + at_least
    return opening.kept_until(calendar, since, at_least=at_least)
