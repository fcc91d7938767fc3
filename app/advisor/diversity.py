"""Choosing which matches to show, so that they are not five versions of one car. Pure.

Maximal marginal relevance (Carbonell and Goldstein 1998): the next match maximises
lambda * score - (1 - lambda) * similarity to what was chosen already. The best match always stays,
and the chosen ones are shown by score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.advisor.personality import character_match
from app.advisor.wishes import Scored
from app.contracts.catalog import Model

RELEVANCE: Final = 0.8
"""Lambda: how much the score counts against variety."""


def diverse(scored: Sequence[Scored], limit: int) -> list[Scored]:
    """At most `limit` of `scored` (best first), best first."""
    chosen = list(scored[:1])
    rest = list(scored[1:])
    nearest = [0.0] * len(rest)  # to the closest of the chosen ones
    while rest and len(chosen) < limit:
        last = chosen[-1].candidate.model
        nearest = [
            max(near, similarity(item.candidate.model, last))
            for near, item in zip(nearest, rest, strict=True)
        ]
        worth = [
            RELEVANCE * item.score - (1 - RELEVANCE) * near
            for item, near in zip(rest, nearest, strict=True)
        ]
        best = worth.index(max(worth))
        chosen.append(rest.pop(best))
        nearest.pop(best)
    order = {id(item): place for place, item in enumerate(scored)}
    return sorted(chosen, key=lambda item: order[id(item)])


def similarity(one: Model, other: Model) -> float:
    """0..1: the mean of same body, same fuel and closeness of character."""
    character = character_match(one.personality, other.personality)
    return ((one.body == other.body) + (one.fuel == other.fuel) + character) / 3
