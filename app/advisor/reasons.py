"""Why a model is recommended and what speaks against it: from stored numbers only. Pure.

A contribution is w_k * (v_k - mean v_k over the candidates). The largest positive ones are the
reasons; there is always at least one trade-off, because a list that only praises is not believed
(Pu and Chen 2007, organisation interface).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.advisor.needs import Candidate
from app.advisor.texts import Side, Surroundings, Texts
from app.advisor.wishes import Rating, Scored
from app.contracts.advisor import Reason

MOST_REASONS: Final = 3
MOST_TRADE_OFFS: Final = 2

WORTH_PRAISE: Final = 0.6
"""A wish met less than this is no reason, even when others meet it worse."""


def reasons_of(
    scored: Scored, texts: Texts, around: Surroundings
) -> tuple[list[Reason], list[Reason]]:
    """(because, trade-offs) of one match; both have at least one entry."""
    praised = _praised(scored.ratings)
    against = _against(scored.ratings, praised)
    return (
        [
            _reason(rating, "because", scored.candidate, texts, around)
            for rating in praised
            if rating not in against
        ],
        [_reason(rating, "trade_off", scored.candidate, texts, around) for rating in against],
    )


def _praised(ratings: Sequence[Rating]) -> list[Rating]:
    good = [r for r in ratings if r.utility >= WORTH_PRAISE and r.value is not None]
    above = sorted(
        (r for r in good if r.contribution > 0), key=lambda r: (-r.contribution, r.wish.code)
    )
    # Nothing stands out (a single candidate has no average to beat): name what is met best.
    return above[:MOST_REASONS] or [
        max(ratings, key=lambda r: (r.wish.weight * r.utility, r.wish.code))
    ]


def _against(ratings: Sequence[Rating], praised: Sequence[Rating]) -> list[Rating]:
    """What pulls the score down; else where others do better; else what is met least."""
    free = [rating for rating in ratings if rating is not praised[0]]
    below = sorted(
        (r for r in free if r.contribution < 0), key=lambda r: (r.contribution, r.wish.code)
    )
    if below:
        return below[:MOST_TRADE_OFFS]
    beaten = max(free, key=lambda r: (r.shortfall, r.wish.code))
    return [beaten if beaten.shortfall > 0 else min(free, key=lambda r: (r.utility, r.wish.code))]


def _reason(
    rating: Rating, side: Side, candidate: Candidate, texts: Texts, around: Surroundings
) -> Reason:
    # Rounded first, so that whoever recomputes the contribution gets the same number.
    weight, utility = round(rating.wish.weight, 6), round(rating.utility, 6)
    average = round(rating.average, 6)
    return Reason(
        code=rating.wish.code,
        text=texts.reason(rating, side, candidate, around),
        value=rating.value,
        wanted=rating.wish.wanted,
        weight=weight,
        utility=utility,
        average=average,
        contribution=round(weight * (utility - average), 6),
    )
