"""All that a provider told of money that went back, by refund and by dispute. Pure.

Each refund and dispute has its own latest state, and states only go forward: messages may come
twice, late and in any order, and each one is enough by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Self

from app.checkout.providers.protocol import MoneyMoved
from app.checkout.rows import Payment

RefundState = Literal["pending", "succeeded", "failed"]
DisputeState = Literal["inquiry", "inquiry_closed", "open", "won", "lost"]

_REFUNDS: Final[Mapping[str, RefundState]] = {
    "refund_pending": "pending",
    "refunded": "succeeded",
    "refund_failed": "failed",
}
DISPUTES: Final[Mapping[str, DisputeState]] = {
    "inquiry": "inquiry",
    "inquiry_closed": "inquiry_closed",
    "disputed": "open",
    "dispute_won": "won",
    "dispute_refunded": "won",
    "dispute_lost": "lost",
}
_FORWARD: Final = (*_REFUNDS.values(), *dict.fromkeys(DISPUTES.values()))
"""States in the order in which they follow each other; one that is past does not come again."""


@dataclass(frozen=True, slots=True)
class Moves:
    """What a payment's messages add up to: state and amount of each refund and dispute by its id.

    `total` is the most that was told in sum, refunds that failed or are pending included. The
    dispute without an id is one that was found by asking: the first that has an id is it.
    """

    total: int = 0
    refunds: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    disputes: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, moves: Mapping[str, Any] | None, refunded: int | None, dispute: str | None) -> Self:
        """What a payment's row says; a version before ours kept no more than a sum and a state."""
        if moves is None:
            return cls(refunded or 0, {}, {"": (dispute, 0)} if dispute else {})
        refunds, disputes = (
            {id_: (state, amount) for id_, (state, amount) in moves[kind].items()}
            for kind in ("refunds", "disputes")
        )
        return cls(moves["total"], refunds, disputes)

    @classmethod
    def of_payment(cls, payment: Payment) -> Self:
        return cls.of(payment.moves, payment.refunded_amount, payment.dispute)

    def stored(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "refunds": {id_: list(told) for id_, told in self.refunds.items()},
            "disputes": {id_: list(told) for id_, told in self.disputes.items()},
        }

    @property
    def refunded(self) -> int:
        """What went back by refunds: those that succeeded, or what a sum says of more."""
        moved = _sum(self.refunds, "succeeded")
        return max(moved, self.total - _sum(self.refunds, "pending", "failed"))

    @property
    def gone(self) -> int:
        """What is not ours any more, by refunds and by disputes that were lost."""
        return self.refunded + _sum(self.disputes, "lost")

    @property
    def dispute(self) -> Literal["open", "won", "lost"] | None:
        """The disputes in one word: `open` while any is; an inquiry is none."""
        states = {state for state, _ in self.disputes.values()}
        in_order: tuple[Literal["open", "lost", "won"], ...] = ("open", "lost", "won")
        return next((state for state in in_order if state in states), None)

    def after(self, moved: MoneyMoved) -> Self:
        """With one message more; equal to before when it says nothing new."""
        if moved.move in DISPUTES:
            found = replace(self, disputes=_disputes(self.disputes, moved))
            if moved.move != "dispute_refunded":
                return found
            return replace(found, total=max(self.total, moved.amount))
        if moved.move_id:
            return replace(self, refunds=_forward(self.refunds, moved, _REFUNDS[moved.move]))
        # Who was asked just now does not count what failed before.
        failed = _sum(self.refunds, "failed") if moved.asked else 0
        return replace(self, total=max(self.total, moved.amount + failed))

    def all_back(self, deposit: int) -> Self:
        """With the whole deposit given back, by our own refund or by hand."""
        rest = deposit - _sum(self.disputes, "lost") + _sum(self.refunds, "failed")
        return replace(self, total=max(self.total, rest))


def _sum(told: Mapping[str, tuple[str, int]], *states: str) -> int:
    return sum(amount for state, amount in told.values() if state in states)


def _forward(
    told: Mapping[str, tuple[str, int]], moved: MoneyMoved, state: str
) -> Mapping[str, tuple[str, int]]:
    known = told.get(moved.move_id)
    if known is not None and _FORWARD.index(known[0]) >= _FORWARD.index(state):
        return told
    return {**told, moved.move_id: (state, moved.amount)}


def _disputes(
    told: Mapping[str, tuple[str, int]], moved: MoneyMoved
) -> Mapping[str, tuple[str, int]]:
    if not moved.move_id and told:
        return told  # asking does not tell one dispute from another
    named = {id_: known for id_, known in told.items() if id_ or not moved.move_id}
    return _forward(named, moved, DISPUTES[moved.move])
