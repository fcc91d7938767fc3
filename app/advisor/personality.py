"""The personality matrix as a soft wish: how close a model's character is to the shopper's. Pure.

v = 1 - ||u - p||_1 / d over the d traits that the shopper stated. The evidence that character
predicts choice is thin (docs/decisions/0031), so it is a visible, adjustable share of the score
and never excludes a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CHARACTER_SHARE: Final = 0.50
"""Share of the score that stated traits have together."""


def closeness(wanted: float, actual: float) -> float:
    """1 when one trait is exactly as wished, 0 when it is its opposite; both 0..1."""
    return 1.0 - abs(wanted - actual)


def character_match(wanted: Mapping[str, float], actual: Mapping[str, float]) -> float:
    """1 - ||u - p||_1 / d over the stated traits; 1 when none is stated."""
    if not wanted:
        return 1.0
    return sum(closeness(u, actual[trait]) for trait, u in wanted.items()) / len(wanted)
