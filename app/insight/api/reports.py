"""The funnel of an exact period, for marketing: the rows behind the counters, not `increase()`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from app.insight.ledger.readings import Period, Readings, Shop
from app.kernel.clock import rfc3339
from app.kernel.errors import InvalidInput
from telemetry.catalogue.insight import ADVICE_STEPS, CHECKOUT_ENDS, FUNNEL_STEPS, LOSSES

LONGEST: Final = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class FunnelReport:
    """The numbers of one period; ratios are 0 to 1, None where nothing could be divided."""

    period: Period
    shop: Shop

    @property
    def missing_before(self) -> datetime | None:
        """Before when the period's visits, steps and checkouts have left; None: all are counted."""
        since = self.shop.kept_since
        return since if since is not None and self.period.since < since else None

    def as_json(self) -> dict[str, Any]:
        shop, since = self.shop, self.missing_before
        return {
            "from": rfc3339(self.period.since),
            "to": rfc3339(self.period.until),
            "traffic": self.period.traffic or "all",
            "market": self.period.market or "all",
            "complete": since is None,
            "kept_since": since and rfc3339(since),
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
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["name", "value"])
        for name, value in _flat(self.as_json()):
            writer.writerow([name, "" if value is None else value])
        return out.getvalue()


async def funnel(
    readings: Readings,
    *,
    since: datetime,
    until: datetime,
    traffic: str | None,
    market: str | None,
) -> FunnelReport:
    """The report of [since, until); raises `InvalidInput` for an impossible period."""
    if since >= until:
        raise InvalidInput("from: must lie before to")
    if until - since > LONGEST:
        raise InvalidInput(f"from: at most {LONGEST.days} days before to")
    period = Period(since, until, traffic, market)
    return FunnelReport(period, await readings.shop(period))


def _amounts(values: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"amount": amount, "currency": currency} for currency, amount in values.items()]


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
