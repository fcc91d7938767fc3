"""The period before, the same period of last year, and how far a number moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from app.insight.ledger.periods import Period
from app.kernel.zones import zone_of

Compare = Literal["previous", "year"]
COMPARES: Final = get_args(Compare)


def earlier(period: Period, compare: Compare) -> Period:
    """The period that ends where this one begins and is as long, or the same dates a year before.

    By the calendar and the clocks of the period's market: seven days before are seven days, also
    when one of them had 23 hours. 29 February is compared with the 28th.
    """
    zone = zone_of(period.market)
    since, until = _wall(period.since, zone), _wall(period.until, zone)
    if compare == "year":
        since, until = _year_before(since), _year_before(until)
        return replace(period, since=_moment(since, zone), until=_moment(until, zone))
    return replace(period, since=_moment(since - (until - since), zone), until=period.since)


def same_day(day: str, period: Period, compare: Compare) -> str:
    """The day of the period that a day of the earlier one is compared with."""
    there = date.fromisoformat(day)
    if compare == "year":
        leap = there.month == 2 and there.day == 29
        return day if leap else there.replace(year=there.year + 1).isoformat()
    zone = zone_of(period.market)
    since = _wall(period.since, zone).date()
    return (there + (since - _wall(earlier(period, compare).since, zone).date())).isoformat()


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


def _moment(wall: datetime, zone: ZoneInfo) -> datetime:
    return wall.replace(tzinfo=zone).astimezone(UTC)


def _year_before(wall: datetime) -> datetime:
    leap = wall.month == 2 and wall.day == 29
    return wall.replace(year=wall.year - 1, day=28 if leap else wall.day)


def changes(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """How far each number moved: `absolute`, and `relative` to what it was (None of nothing)."""
    found: dict[str, Any] = {}
    for name, value in now.items():
        was = before.get(name)
        if isinstance(value, Mapping) and isinstance(was, Mapping):
            found[name] = changes(value, was)
        elif isinstance(value, list) and isinstance(was, list):
            found[name] = _changed_amounts(value, was)
        elif _is_number(value) or _is_number(was):
            found[name] = _change(value, was)
    return found


def _changed_amounts(now: list[Any], before: list[Any]) -> list[dict[str, Any]]:
    of_now = {each["currency"]: each["amount"] for each in now}
    of_before = {each["currency"]: each["amount"] for each in before}
    return [
        {"currency": name, **_change(of_now.get(name), of_before.get(name))}
        for name in sorted({*of_now, *of_before})
    ]


def _change(now: Any, before: Any) -> dict[str, Any]:
    if not (_is_number(now) and _is_number(before)):
        return {"absolute": None, "relative": None}
    return {"absolute": now - before, "relative": (now - before) / before if before else None}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
