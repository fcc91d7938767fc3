"""The console's first page as numbers: the shop now, and whether the numbers can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.insight.console.alerting import Alerting, AlertLine
from app.insight.console.charts import FunnelStep, Slice, funnel_steps, quantile, slices
from app.insight.console.formatting import ratio
from app.insight.ledger.invariants import INVARIANTS, Violation, violations
from app.insight.ledger.periods import Period
from app.insight.ledger.readings import OrderLine, Readings
from app.insight.ledger.shop import Shop
from app.insight.settings import WindowName
from app.kernel.clock import Clock
from telemetry.catalogue.insight import ADVICE_STEPS, CHECKOUT_ENDS, FUNNEL_STEPS
from telemetry.catalogue.limits import LEDGER_LAG_SECONDS

WINDOWS: Final[Mapping[WindowName, timedelta]] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
}
SLOTS: Final = 60
INVARIANTS_SECONDS: Final = 10.0
"""How long one look at the invariants serves every reader."""

STEP_TITLES: Final = {
    "session": "Visits",
    "car_view": "Saw a car",
    "hold": "Held it",
    "details": "Gave details",
    "payment": "Paid",
    "order": "Ordered",
    "advice_start": "Asked",
    "advice_complete": "Was advised",
    "match_view": "Saw matches",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One service's facts: how far the ledger is behind."""

    name: str
    lag_seconds: float

    @property
    def late(self) -> bool:
        """The numbers above it are too low (alert LedgerBehind)."""
        return self.lag_seconds > LEDGER_LAG_SECONDS


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the first page. Ratios are 0 to 1, durations seconds, None: no data."""

    at: datetime
    window: str
    traffic: str
    shop: Shop
    steps: Sequence[FunnelStep]
    advice: Sequence[FunnelStep]
    engagement: float | None
    abandonment: float | None
    ends: Sequence[Slice]
    open_checkouts: int
    order_p50: float | None
    order_p95: float | None
    confirmation_p50: float | None
    confirmation_p95: float | None
    pulse_sessions: Sequence[int]
    pulse_orders: Sequence[int]
    orders: Sequence[OrderLine]
    sources: Sequence[Source]
    violations: Sequence[Violation]
    invariants: int
    alerts: Sequence[AlertLine]

    @property
    def healthy(self) -> bool:
        return not self.violations and not self.alerts and not any(s.late for s in self.sources)


class Overviews:
    """Makes overviews; remembers the last look at the invariants for a few seconds."""

    def __init__(
        self,
        readings: Readings,
        alerting: Alerting,
        lags: Callable[[], Mapping[str, float]],
        clock: Clock,
    ) -> None:
        self._readings = readings
        self._alerting = alerting
        self._lags = lags
        self._clock = clock
        self._checked: tuple[datetime, list[Violation]] | None = None

    async def make(self, *, window: WindowName, traffic: str, orders: int = 12) -> Overview:
        """The overview of a window that ends now."""
        now = self._clock.now()
        chosen = None if traffic == "all" else traffic
        period = Period(now - WINDOWS[window], now + timedelta(seconds=1), chosen)
        shop = await self._readings.shop(period)
        sessions, confirmed = await self._readings.pulse(period, slots=SLOTS)
        return Overview(
            at=now,
            window=window,
            traffic=traffic,
            shop=shop,
            steps=funnel_steps(shop.steps, FUNNEL_STEPS, STEP_TITLES),
            advice=funnel_steps(shop.advice_steps, ADVICE_STEPS, STEP_TITLES),
            engagement=ratio(shop.engaged, shop.sessions),
            abandonment=shop.abandonment,
            ends=slices(shop.ends, CHECKOUT_ENDS, shop.checkouts),
            open_checkouts=shop.open_checkouts,
            order_p50=quantile(shop.order_seconds, 0.5),
            order_p95=quantile(shop.order_seconds, 0.95),
            confirmation_p50=quantile(shop.confirmation_seconds, 0.5),
            confirmation_p95=quantile(shop.confirmation_seconds, 0.95),
            pulse_sessions=sessions,
            pulse_orders=confirmed,
            orders=await self._readings.last_orders(limit=orders, traffic=chosen),
            sources=[Source(name, lag) for name, lag in self._lags().items()],
            violations=await self.violations(),
            invariants=len(INVARIANTS),
            alerts=await self._alerting.active(),
        )

    async def violations(self) -> list[Violation]:
        """What does not hold; looked at most every few seconds."""
        now = self._clock.now()
        if self._checked is None or (now - self._checked[0]).total_seconds() > INVARIANTS_SECONDS:
            self._checked = (now, violations(await self._readings.totals()))
        return self._checked[1]
