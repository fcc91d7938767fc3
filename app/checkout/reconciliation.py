"""Asking the providers: about orders whose message may be lost, and about money that we keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from app.checkout.moves import Moves
from app.checkout.payments import Payments
from app.checkout.providers.protocol import MoneyMoved, ProviderEvent, ProviderPayment
from app.checkout.rows import Purchase
from app.checkout.settlement import SETTLED
from app.checkout.signals import Signals
from app.checkout.store import Store
from app.checkout.work import WorkList
from app.contracts.checkout import OrderState
from app.kernel.clock import Clock

QUIET_SECONDS: Final = 20
"""An order unpaid for longer than this is asked about: a lost webhook heals within a minute."""

RECENT_SECONDS: Final = 3 * 3600
"""Older orders than this have ended with their hold: `python -m app.checkout reconcile` asks."""

KEPT_SECONDS: Final = 180 * 24 * 3600
"""Money that we keep may be asked back for months: card schemes allow about 120 days."""

PAGE: Final = 100
GLANCE: Final = 20
"""Kept payments that one turn asks about."""

WAITING: Final[tuple[OrderState, ...]] = ("payment_pending",)
ENDED: Final[tuple[OrderState, ...]] = ("expired", "cancelled", "declined")
"""Unpaid as far as we know: money that came after all must go back or buy the car."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What we believed of an order, and what its provider said; it has been applied."""

    order_id: str
    was: OrderState
    found: str


class Reconciliation:
    """Each provider is asked for itself: one that is down keeps the others' orders from nobody."""

    def __init__(self, store: Store, payments: Payments, signals: Signals, clock: Clock) -> None:
        self._store = store
        self._payments = payments
        self._signals = signals
        self._clock = clock
        self._work: WorkList[Purchase] = WorkList(
            "reconcile", lambda purchase: purchase.order.order_id, store, signals, clock
        )
        self._glanced: dict[str, str] = {}

    async def unsettled(
        self,
        *,
        quiet_seconds: float = QUIET_SECONDS,
        since_seconds: float = RECENT_SECONDS,
        states: Sequence[OrderState] = WAITING,
    ) -> list[Difference]:
        """Ask about every unsettled order in `states`, and apply the answers.

        Those that were submitted between `since_seconds` and `quiet_seconds` ago; returns the
        differences that it found.
        """
        now = self._clock.now()
        found: list[Difference] = []
        for provider in self._payments.known:
            after, page = "", PAGE
            while page == PAGE:
                orders = await self._store.unsettled(
                    states,
                    provider=provider,
                    now=now,
                    created_after=now - timedelta(seconds=since_seconds),
                    created_before=now - timedelta(seconds=quiet_seconds),
                    after=after,
                    limit=PAGE,
                )
                if not await self._ask_all(orders, found):
                    break
                after, page = orders[-1].order.order_id, len(orders)
        return found

    async def kept(self) -> list[Difference]:
        """Ask about some of the payments that we keep, the next ones at each turn."""
        found: list[Difference] = []
        for provider in self._payments.known:
            orders = await self._kept(provider, self._glanced.get(provider, ""), GLANCE)
            await self._ask_all(orders, found)
            self._glanced[provider] = orders[-1].order.order_id if len(orders) == GLANCE else ""
        return found

    async def all_kept(self) -> list[Difference]:
        """Ask about every payment that we keep."""
        found: list[Difference] = []
        for provider in self._payments.known:
            after, page = "", PAGE
            while page == PAGE:
                orders = await self._kept(provider, after, PAGE)
                if not await self._ask_all(orders, found):
                    break
                after, page = orders[-1].order.order_id, len(orders)
        return found

    async def _kept(self, provider: str, after: str, limit: int) -> list[Purchase]:
        since = self._clock.now() - timedelta(seconds=KEPT_SECONDS)
        return await self._store.payments_kept(
            provider=provider, confirmed_after=since, after=after, limit=limit
        )

    async def _ask_all(self, orders: Sequence[Purchase], found: list[Difference]) -> bool:
        """Whether all were asked about; not when there were none, or the provider is down."""

        async def ask(order: Purchase) -> bool:
            found.extend([difference for difference in [await self._ask(order)] if difference])
            return True

        return bool(orders) and await self._work.each(orders, ask) == len(orders)

    async def _ask(self, asked: Purchase) -> Difference | None:
        order, provider = asked.order, asked.order.provider
        with self._signals.provider_call(provider):
            seen = await self._payments.provider(provider).find(asked.payment.payment_id or "")
        for event, found in _news(asked, seen):
            if await self._payments.apply(provider, event) == "applied":
                self._signals.reconciled(order.order_id, was=order.state, found=found)
                return Difference(order.order_id, order.state, found)
        return None


def _news(asked: Purchase, seen: ProviderPayment) -> Iterator[tuple[ProviderEvent, str]]:
    """What a provider's answer says that we do not know: as messages, and in a word."""
    order, payment = asked.order, asked.payment
    order_id = order.order_id

    def event(what: str, **said: object) -> tuple[ProviderEvent, str]:
        values = {"payment": None, **said}
        return ProviderEvent(f"found:{order_id}:{what}", "reconciled", **values), what  # type: ignore[arg-type]

    settled = payment.state in SETTLED
    gone = MoneyMoved(seen.payment_id, order_id, "refunded", seen.refunded, asked=True)
    known = Moves.of_payment(payment)
    if not settled and seen.refunded >= order.deposit > 0:
        yield event("refunded", moved=gone)
    elif not settled and seen.state not in ("pending", "action_required", payment.state):
        yield event(seen.state, payment=seen)
    elif settled and seen.refunded > known.refunded:
        yield event(f"refunded:{seen.refunded}", moved=gone)
    elif settled and seen.disputed and not known.disputes:
        yield event("disputed", moved=MoneyMoved(seen.payment_id, order_id, "disputed", 0))
