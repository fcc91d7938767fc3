"""Exact periods for marketing: the funnel, and what each channel group brought.

From the rows behind the counters, not from `increase()`.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.insight.ledger.readings import Brought, Channels, Moved, Period, Readings, Shop
from app.kernel.clock import rfc3339
from app.kernel.errors import InvalidInput
from telemetry.catalogue.insight import ADVICE_STEPS, CHECKOUT_ENDS, FUNNEL_STEPS, LOSSES
from telemetry.catalogue.labels import CURRENCY_OF_MARKET

LONGEST: Final = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class FunnelReport:
    """The numbers of one period; ratios are 0 to 1, None where nothing could be divided."""

    period: Period
    shop: Shop

    def as_json(self) -> dict[str, Any]:
        shop = self.shop
        return {
            **_heading(self.period, shop),
            "sessions": shop.sessions,
            "engaged_sessions": shop.engaged,
            "converted_sessions": shop.converted,
            "conversion": shop.conversion,
            "steps": {step: shop.steps.get(step, 0) for step in FUNNEL_STEPS},
            "advice_steps": {step: shop.advice_steps.get(step, 0) for step in ADVICE_STEPS},
            "checkouts": {
                "started": shop.checkouts,
                **{result: shop.ends.get(result, 0) for result in CHECKOUT_ENDS},
            },
            "orders": shop.orders,
            "order_value": _amounts(shop.order_value),
            "order_value_lost": {
                loss: _amounts(shop.order_value_lost.get(loss, {})) for loss in LOSSES
            },
            "net_order_value": _amounts(shop.net_order_value),
        }

    def as_csv(self) -> str:
        """`name,value` lines; nested names are joined with dots."""
        lines = [(name, "" if value is None else value) for name, value in _flat(self.as_json())]
        return _csv([("name", "value"), *lines])


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """The results of one period by channel group; their sums are the funnel report's."""

    period: Period
    channels: Channels

    def as_json(self) -> dict[str, Any]:
        groups = self.channels.groups
        return {
            **_heading(self.period, self.channels),
            "channels": [{"channel_group": each.group, **_results([each])} for each in groups],
            "total": _results(groups),
        }

    def as_csv(self) -> str:
        """One line per channel group and one for all; values in minor units of each currency."""
        body = self.as_json()
        currencies = sorted(CURRENCY_OF_MARKET.values())
        counts = ("sessions", "engaged_sessions", "converted_sessions", "orders")
        lines: list[tuple[Any, ...]] = [
            ("channel_group", *counts, *(f"order_value.{each}" for each in currencies))
        ]
        for row in [*body["channels"], {"channel_group": "total", **body["total"]}]:
            value = {one["currency"]: one["amount"] for one in row["order_value"]}
            lines.append(
                (
                    row["channel_group"],
                    *(row[name] for name in counts),
                    *(value.get(each, 0) for each in currencies),
                )
            )
        return _csv(lines)


@dataclass(frozen=True, slots=True)
class RestatementReport:
    """The numbers of one period that changed after somebody knew them."""

    period: Period
    known_at: datetime
    moved: Sequence[Moved]

    def as_json(self) -> dict[str, Any]:
        return {
            "from": rfc3339(self.period.since),
            "to": rfc3339(self.period.until),
            "traffic": self.period.traffic or "all",
            "market": self.period.market or "all",
            "known_at": exactly(self.known_at),
            "restated": [
                {
                    "measure": each.measure,
                    "label": each.label,
                    "was": each.was,
                    "is": each.now,
                    "because": {why: by for why, by in sorted(each.by.items()) if by},
                }
                for each in self.moved
            ],
        }

    def as_csv(self) -> str:
        """A line per number and reason; `by` adds up to `is` less `was`."""
        lines = [
            (each.measure, each.label, each.was, each.now, why, by)
            for each in self.moved
            for why, by in sorted(each.by.items())
            if by
        ]
        return _csv([("measure", "label", "was", "is", "because", "by"), *lines])


def period_of(
    *,
    since: datetime,
    until: datetime,
    traffic: str | None,
    market: str | None,
    as_of: datetime | None = None,
) -> Period:
    """[since, until); raises `InvalidInput` for an impossible period."""
    if since >= until:
        raise InvalidInput("from: must lie before to")
    if until - since > LONGEST:
        raise InvalidInput(f"from: at most {LONGEST.days} days before to")
    return Period(since, until, traffic, market, as_of)


async def funnel(readings: Readings, period: Period) -> FunnelReport:
    return FunnelReport(period, await readings.shop(period))


async def restatements(
    readings: Readings, period: Period, *, known_at: datetime
) -> RestatementReport:
    return RestatementReport(period, known_at, await readings.restatements(period, since=known_at))


async def channels(readings: Readings, period: Period) -> ChannelReport:
    return ChannelReport(period, await readings.channels(period))


def exactly(moment: datetime) -> str:
    """RFC 3339 with microseconds: a moment of the ledger, as `as_of` takes it."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")


def _heading(period: Period, found: Shop | Channels) -> dict[str, Any]:
    kept = found.kept_since
    since = kept if kept is not None and period.since < kept else None
    until = found.booked_until
    return {
        "from": rfc3339(period.since),
        "to": rfc3339(period.until),
        "traffic": period.traffic or "all",
        "market": period.market or "all",
        "complete": since is None,
        "kept_since": since and rfc3339(since),
        "as_of": until and exactly(until),
    }


def _results(groups: Sequence[Brought]) -> dict[str, Any]:
    """The sum of these groups."""
    sessions = sum(each.sessions for each in groups)
    converted = sum(each.converted for each in groups)
    value: Counter[str] = Counter()
    for each in groups:
        value.update(each.order_value)
    return {
        "sessions": sessions,
        "engaged_sessions": sum(each.engaged for each in groups),
        "converted_sessions": converted,
        "conversion": converted / sessions if sessions else None,
        "orders": sum(each.orders for each in groups),
        "order_value": _amounts(dict(sorted(value.items()))),
    }


def _amounts(value: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"amount": amount, "currency": currency} for currency, amount in value.items()]


def _csv(lines: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue()


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            found += _flat(inner, f"{prefix}{name}.")
        elif isinstance(inner, list):
            found += [(f"{prefix}{name}.{one['currency']}", one["amount"]) for one in inner]
        else:
            found.append((f"{prefix}{name}", inner))
    return found
