"""What a customer may ask of us, and what keeps their data safe: erasure, and new keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from app.checkout import store_customers
from app.checkout.change import Change, Changes, unchanged
from app.checkout.customers import CustomerIndex, CustomerSeal, NotOpened, normalised
from app.checkout.errors import OrderOpen, OrderUnknown
from app.checkout.idempotency import ERASED_REQUEST, Claim, Replay, StoredAnswer, answer
from app.checkout.looks import OrderLook, OrderSight
from app.checkout.models import CUSTOMERS, IDEMPOTENCY
from app.checkout.rows import Key
from app.checkout.settlement import SETTLED, stated_now
from app.checkout.signals import Signals
from app.checkout.store import Store
from app.checkout.store_customers import Customer
from app.checkout.tokens import for_holder
from app.contracts.events import CustomerErased
from app.kernel.clock import Clock, rfc3339

BATCH: Final = 200
"""Rows per transaction: short enough that shoppers do not notice."""


@dataclass(slots=True)
class Erased:
    """What became of a customer's orders, by order id."""

    erased: list[str] = field(default_factory=list)
    still_open: list[str] = field(default_factory=list)
    """Ask again when they are over: until then they need to know whose they are."""
    unreadable: list[str] = field(default_factory=list)
    """Sealed with a key that we were not given: they may be this customer's too."""


@dataclass(slots=True)
class Rotated:
    """Customer rows by what became of them."""

    resealed: int = 0
    fresh: int = 0
    unreadable: list[str] = field(default_factory=list)


class Privacy:
    """Use cases about the sealed rows. Each order is erased in a change of its own."""

    def __init__(
        self,
        store: Store,
        changes: Changes,
        seal: CustomerSeal,
        index: CustomerIndex,
        signals: Signals,
        clock: Clock,
    ) -> None:
        self._store = store
        self._changes = changes
        self._seal = seal
        self._index = index
        self._signals = signals
        self._clock = clock

    async def erase_own(self, order_id: str, token: str, claim: Claim) -> StoredAnswer | Replay:
        """Erase on the shopper's own request; asking again is fine.

        Raises `OrderUnknown`, `OrderOpen`, and what `idempotency.judged` raises.
        """

        def decide(sight: OrderSight | None, key: Key | None) -> Change[StoredAnswer]:
            sight, now = for_holder(sight, token), self._clock.now()
            change = erase(sight, now)
            erased_at = sight.order.erased_at or now
            stored = answer(200, {"order_id": order_id, "erased_at": rfc3339(erased_at)})
            change.answer = stored
            change.keep(claim, key, now, stored)
            return change

        look = OrderLook(order_id, key=claim.key)
        stored = await self._changes.once("erase", look, claim, decide)
        if not isinstance(stored, Replay):
            self._signals.customer_erased(order_id, by="shopper")
        return stored

    async def erase_order(self, order_id: str) -> Erased:
        """Erase on somebody's request that reached us otherwise. Raises `OrderUnknown`."""
        result = Erased()
        await self._erase_into(result, order_id)
        return result

    async def erase_due(self, order_ids: Sequence[str]) -> int:
        """Erase orders that came to nothing some time ago; returns how many were erased.

        Not one for which money came meanwhile after all.
        """

        def decide(sight: OrderSight | None) -> Change[bool]:
            if sight is None or sight.order.erased_at is not None or sight.payment.state in SETTLED:
                return unchanged(False)
            change: Change[bool] = erase(sight, self._clock.now())
            change.answer = True
            return change

        erased = 0
        for order_id in order_ids:
            with suppress(OrderOpen):
                if await self._changes.settled("erase", OrderLook(order_id), decide):
                    self._signals.customer_erased(order_id, by="retention")
                    erased += 1
        return erased

    async def erase_customer(self, email: str) -> Erased:
        """Erase all orders of an e-mail address.

        The index finds them; rows that this key did not index are opened one by one.
        """
        result = Erased()
        async with self._store.begin() as connection:
            found = await store_customers.orders_by_index(connection, self._index.of(email))
        async for rows in self._batches(besides=self._index.prefix):
            for row in rows:
                try:
                    customer = self._seal.open(row.sealed)
                except NotOpened:
                    result.unreadable.append(row.order_id)
                    continue
                if normalised(customer.email) == normalised(email):
                    found.append(row.order_id)
        for order_id in found:
            await self._erase_into(result, order_id)
        return result

    async def rotate(self) -> Rotated:
        """Seal and index every row with the newest keys, a batch per transaction.

        Interrupted, it is simply run again: a row that is as it should be is left alone.
        """
        result = Rotated()
        async for rows in self._batches():
            changed: list[tuple[Customer, dict[str, Any]]] = []
            for row in rows:
                try:
                    values = self._refreshed(row)
                except NotOpened:
                    result.unreadable.append(row.order_id)
                    continue
                if values:
                    changed.append((row, values))
                else:
                    result.fresh += 1
            result.resealed += await self._replace(changed)
        return result

    def _refreshed(self, row: Customer) -> dict[str, Any]:
        """What the newest keys make of a row; nothing when it is theirs. Raises `NotOpened`."""
        newest = self._seal.is_newest(row.sealed)
        if newest and (row.email_index or "").startswith(self._index.prefix):
            return {}
        customer = self._seal.open(row.sealed)
        return {
            "email_index": self._index.of(customer.email),
            "sealed": row.sealed if newest else self._seal.seal(customer),
        }

    async def _replace(self, changed: Sequence[tuple[Customer, dict[str, Any]]]) -> int:
        """How many rows were replaced: not those that were erased or refreshed meanwhile."""
        if not changed:
            return 0
        replaced = 0
        async with self._store.begin() as connection:
            for row, values in changed:
                replaced += await store_customers.set_customer(
                    connection, row.order_id, was=row.sealed, **values
                )
        return replaced

    async def _batches(self, *, besides: str = "") -> AsyncIterator[list[Customer]]:
        after = ""
        while True:
            async with self._store.begin() as connection:
                rows = await store_customers.customers(
                    connection, after=after, limit=BATCH, besides=besides
                )
            yield rows
            if len(rows) < BATCH:
                return
            after = rows[-1].order_id

    async def _erase_into(self, result: Erased, order_id: str) -> None:
        def decide(sight: OrderSight | None) -> Change[None]:
            if sight is None:
                raise OrderUnknown("There is no such order.")
            return erase(sight, self._clock.now())

        try:
            await self._changes.settled("erase", OrderLook(order_id), decide)
        except OrderOpen:
            result.still_open.append(order_id)
            return
        self._signals.customer_erased(order_id, by="operator")
        result.erased.append(order_id)


def erase(sight: OrderSight, now: datetime) -> Change[Any]:
    """Forget whose order it was; what was sold, paid and stated stays as it is.

    Asking again is fine. Raises `OrderOpen`.
    """
    order = sight.order
    if order.erased_at is not None:
        return unchanged(None)
    waits: Literal["payment", "handover", ""] = ""
    if order.state == "payment_pending":
        waits = "payment"
    elif order.state in ("confirmed", "disputed") and order.handed_over_at is None:
        waits = "handover"
    if waits:
        raise OrderOpen(
            f"This order still waits for its {waits}: whoever completes it must know whose it is."
            " Cancel it first, or ask again when it is over.",
            waits_for=waits,
        )
    change: Change[Any] = Change(sight.car, answer=None)
    change.end(CUSTOMERS, order.order_id)
    unlabelled = order._replace(context={**order.context, "campaign": ""})
    change.set(order, erased_at=now, context=unlabelled.context)
    change.set(sight.hold, address_hash="", context={**sight.hold.context, "campaign": ""})
    change.say(stated_now(unlabelled), CustomerErased(order.order_id))
    if sight.car.let_go_by == sight.hold.holder:
        change.set(sight.car, let_go_by=None)
    # The fingerprint is a hash of name, e-mail and phone too. The key stays taken: a copy of the
    # request that is still on its way must not order again.
    change.set_by(IDEMPOTENCY, "resource_id", order.order_id, fingerprint=ERASED_REQUEST, body=b"")
    return change
