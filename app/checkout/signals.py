"""What checkout tells telemetry: one call states a fact as metric, log line and span attributes.

Called after the commit: a number that could roll back is never counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter
from typing import Final, Literal

from app.checkout.providers.circuit import CircuitState
from app.checkout.providers.guard import Retried
from app.kernel.errors import VitrineError
from app.kernel.ids import shown
from telemetry.bootstrap import Telemetry
from telemetry.catalogue.checkout import (
    CHECKOUT_DESK_SALES,
    CHECKOUT_EFFECTS,
    CHECKOUT_HOLD_ATTEMPTS,
    CHECKOUT_INVARIANT_VIOLATIONS,
    CHECKOUT_LATE_PAYMENTS,
    CHECKOUT_MONEY_MOVED,
    CHECKOUT_PAYMENT_CIRCUIT,
    CHECKOUT_PAYMENT_CIRCUIT_CHANGES,
    CHECKOUT_PAYMENT_DURATION,
    CHECKOUT_PAYMENT_MISMATCHES,
    CHECKOUT_PAYMENT_RETRIES,
    CHECKOUT_PAYMENT_SUBMISSIONS,
    CHECKOUT_REFUNDS_REFUSED,
    CHECKOUT_STOCK_HELD,
    CHECKOUT_WEBHOOKS,
    CHECKOUT_WORK_DUE,
    DeskResult,
)
from telemetry.catalogue.outcomes import Outcome
from telemetry.tracing import KEEP_ATTRIBUTE, current_span, span_context_from

Effect = Literal[
    "read",
    "place_hold",
    "end_hold",
    "submit_order",
    "open_payment",
    "settle_payment",
    "move_money",
    "refund",
    "hand_over",
    "withdraw",
    "return_car",
    "desk_sale",
    "erase",
    "refuse",
]
"""What is done to the database in one statement; `refuse` only tells or lets go of a key."""

FAILURE_TOLD_SECONDS: Final = 10.0
"""A database that is away fails with every request: one line in ten seconds is enough."""

_CIRCUIT_VALUES: Final[Mapping[CircuitState, float]] = {"closed": 0, "half_open": 1, "open": 2}


class Signals:
    """Checkout's instruments and log, bound once."""

    def __init__(self, telemetry: Telemetry) -> None:
        instruments = telemetry.instruments
        self._log = telemetry.log
        # The time that an effect takes in the database, company in its batch included.
        self.effect: Callable[[Effect], AbstractContextManager[None]] = telemetry.database_span
        self._holds = instruments.counter(CHECKOUT_HOLD_ATTEMPTS)
        self._submissions = instruments.counter(CHECKOUT_PAYMENT_SUBMISSIONS)
        self._provider = instruments.histogram(CHECKOUT_PAYMENT_DURATION)
        self._webhooks = instruments.counter(CHECKOUT_WEBHOOKS)
        self._late = instruments.counter(CHECKOUT_LATE_PAYMENTS)
        self._violations = instruments.gauge(CHECKOUT_INVARIANT_VIOLATIONS)
        self._circuit = instruments.gauge(CHECKOUT_PAYMENT_CIRCUIT)
        self._circuit_changes = instruments.counter(CHECKOUT_PAYMENT_CIRCUIT_CHANGES)
        self._retries = instruments.counter(CHECKOUT_PAYMENT_RETRIES)
        self._mismatches = instruments.counter(CHECKOUT_PAYMENT_MISMATCHES)
        self._work_age = instruments.gauge(CHECKOUT_WORK_DUE)
        self._refused_refunds = instruments.gauge(CHECKOUT_REFUNDS_REFUSED)
        self._stock_held = instruments.gauge(CHECKOUT_STOCK_HELD)
        self._moved = instruments.counter(CHECKOUT_MONEY_MOVED)
        self._effects = instruments.counter(CHECKOUT_EFFECTS)
        self._desk = instruments.counter(CHECKOUT_DESK_SALES)
        self._failure_told_at = -FAILURE_TOLD_SECONDS

    def hold_attempted(self, outcome: Outcome, *, car_id: str, hold_id: str = "") -> None:
        self._holds.inc(outcome=outcome)
        _mark(hold_id=hold_id, car_id=car_id, keep=outcome is Outcome.OK)
        event = "hold.placed" if outcome is Outcome.OK else "hold.refused"
        self._log.info(event, car_id=car_id, hold_id=shown(hold_id), outcome=outcome)

    def hold_ended(self, hold_id: str, *, car_id: str, ended_as: str) -> None:
        self._log.info("hold.ended", hold_id=shown(hold_id), car_id=car_id, ended_as=ended_as)

    def order_submitted(self, order_id: str, *, hold_id: str, caused_by: str) -> None:
        _mark(order_id=order_id, hold_id=hold_id, keep=True, caused_by=caused_by)
        self._log.info("order.submitted", order_id=order_id, hold_id=shown(hold_id))

    def order_confirmed(
        self,
        order_id: str,
        *,
        car_id: str,
        provider: str,
        market: str,
        traffic: str,
        caused_by: str,
    ) -> None:
        self._submissions.inc(provider=provider, outcome=Outcome.OK)
        _mark(order_id=order_id, car_id=car_id, keep=True, caused_by=caused_by)
        self._log.info(
            "order.confirmed", order_id=order_id, car_id=car_id, market=market, traffic=traffic
        )

    def payment_refused(self, order_id: str, *, provider: str, caused_by: str) -> None:
        self._submissions.inc(provider=provider, outcome=Outcome.REFUSED)
        _mark(order_id=order_id, keep=True, caused_by=caused_by)
        self._log.info("payment.declined", order_id=order_id, provider=provider)

    def submission_failed(
        self, order_id: str, *, provider: str, error: VitrineError, retried: bool
    ) -> None:
        """The provider did not open a payment: of one submission it counts once, not per retry."""
        if not retried:
            self._submissions.inc(provider=provider, outcome=error.outcome)
        self._log.warning(
            "payment.unavailable", order_id=order_id, provider=provider, detail=error.detail
        )

    def late_payment(self, order_id: str, result: str) -> None:
        self._late.inc(result=result)
        self._log.warning("payment.late", order_id=order_id, result=result)

    def wrong_amount(self, order_id: str, *, provider: str) -> None:
        """Money of another amount or currency than the order's: it goes back, and we look."""
        self._mismatches.inc(provider=provider)
        self._log.error("payment.wrong_amount", order_id=order_id, provider=provider)

    def money_moved(self, order_id: str, *, provider: str, move: str) -> None:
        """Money moved at the provider without our asking: somebody should know why."""
        self._moved.inc(provider=provider, move=move)
        _mark(order_id=order_id, keep=True)
        self._log.warning("payment.moved", order_id=order_id, provider=provider, move=move)

    def money_without_order(self, reference: str, *, provider: str) -> None:
        """Money carries our reference and there is no such order: a restored or wrong database."""
        self._log.error("payment.unknown_order", order_id=reference[:80], provider=provider)

    def refund_failed(self, order_id: str, *, provider: str, error: VitrineError) -> None:
        """Money could not be given back now; the call itself is measured by its outcome."""
        self._log.warning(
            "refund.failed", order_id=order_id, provider=provider, detail=error.detail
        )

    def refund_refused(self, order_id: str) -> None:
        """The provider will not pay it back: a person must see to it."""
        self._log.error("refund.refused", order_id=order_id)

    def refund_decided(self, order_id: str, *, how: Literal["retry", "end"]) -> None:
        """The audit line of an operator's decision about a refund."""
        self._log.warning("refund.decided", order_id=order_id, how=how, by="operator")

    def work_put_off(self, work: str, item_id: str, *, attempts: int, error: Exception) -> None:
        """An item of a work list failed and is tried again later; the others go on."""
        self._log.warning(
            "work.put_off",
            work=work,
            item_id=item_id,
            attempts=attempts + 1,
            error=type(error).__name__,
        )

    def work_age(self, work: str, seconds: float) -> None:
        self._work_age.set(seconds, work=work)

    def stock_held(self, market: str, ratio: float) -> None:
        self._stock_held.set(ratio, market=market)

    def refused_refunds(self, count: int) -> None:
        self._refused_refunds.set(count)

    def circuit_changed(self, provider: str, state: CircuitState) -> None:
        """A provider is not asked any more (open), is tried (half open), or is asked again."""
        self._circuit.set(_CIRCUIT_VALUES[state], provider=provider)
        self._circuit_changes.inc(provider=provider, state=state)
        log = self._log.warning if state == "open" else self._log.info
        log("provider.circuit", provider=provider, state=state)

    def call_repeated(self, provider: str, result: Retried) -> None:
        self._retries.inc(provider=provider, result=result)

    def desk_sale(self, car_id: str, result: DeskResult) -> None:
        """A dealer reported a sale in the showroom, and what came of it."""
        self._desk.inc(result=result)
        _mark(car_id=car_id, keep=True)
        self._log.info("car.desk_sale", car_id=car_id, result=result)

    def order_moved(self, order_id: str, *, state: str, reason: str) -> None:
        self._log.info("order.moved", order_id=order_id, state=state, reason=reason)

    def customer_erased(
        self, order_id: str, *, by: Literal["shopper", "operator", "retention"]
    ) -> None:
        """The audit line of an erasure: that it was done, and nothing about whom."""
        self._log.info("customer.erased", order_id=order_id, by=by)

    def reconciled(self, order_id: str, *, was: str, found: str) -> None:
        """The provider told, when asked, what its webhook had not."""
        self._log.warning("payment.reconciled", order_id=order_id, was=was, found=found)

    def webhook(self, provider: str, result: str) -> None:
        self._webhooks.inc(provider=provider, result=result)

    @contextmanager
    def provider_call(self, provider: str) -> Iterator[None]:
        """Time one call to the provider, whatever comes of it."""
        started = perf_counter()
        outcome = Outcome.OK
        try:
            yield
        except Exception:
            outcome = Outcome.UNAVAILABLE
            raise
        finally:
            self._provider.observe(perf_counter() - started, provider=provider, outcome=outcome)

    def effect_answered(self, effect: Effect, *, done: bool) -> None:
        self._effects.inc(effect=effect, result="done" if done else "outrun")

    def effect_failed(self, effect: Effect, error: BaseException | None) -> None:
        """Its outcome is not known; it is looked up, and tried once more."""
        self._effects.inc(effect=effect, result="failed")
        if perf_counter() - self._failure_told_at >= FAILURE_TOLD_SECONDS:
            self._failure_told_at = perf_counter()
            self._log.warning(
                "effect.failed", effect=effect, error=type(error).__name__, detail=str(error)
            )

    def invariant(self, name: str, violations: int) -> None:
        self._violations.set(violations, invariant=name)
        if violations:
            self._log.error("invariant.violated", invariant=name, violations=violations)


def _mark(
    *, order_id: str = "", hold_id: str = "", car_id: str = "", keep: bool, caused_by: str = ""
) -> None:
    """Put the business identifiers on the current span and link it to what led here."""
    span = current_span()
    if not span.is_recording():
        return
    known: dict[str, str | bool] = {
        "vitrine.order_id": order_id,
        "vitrine.hold_id": shown(hold_id),
        "vitrine.car_id": car_id,
        KEEP_ATTRIBUTE: keep,
    }
    span.set_attributes({key: value for key, value in known.items() if value})
    cause = span_context_from(caused_by)
    if cause is not None:
        span.add_link(cause)
