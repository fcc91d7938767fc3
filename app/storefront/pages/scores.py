"""Scores that shoppers choose in forms."""

from __future__ import annotations


def score(text: str | None, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`; None for whatever else was sent."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 2:
        return None
    return int(text) if low <= int(text) <= high else None
