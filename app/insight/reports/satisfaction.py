"""CSAT and NPS with how many answered and how sure that makes us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any, Final

from app.insight.ledger.periods import Period
from app.insight.ledger.sums import Source, Sums, sums
from app.insight.reports.tables import Table, ratio

Z: Final = 1.959963984540054
"""Of the two-sided 95 % interval: the normal distribution's 0.975 quantile."""

SCORES: Final = ("1", "2", "3", "4", "5")
SATISFIED: Final = ("4", "5")


async def satisfaction(source: Source, period: Period, by: Sequence[str]) -> Table:
    """Answers of a period, by when they were given."""
    total = (await sums(source, period, ("csat", "nps")))[()]
    rows = await sums(source, period, ("csat", "nps"), by) if by else {}
    numbers = {key: _numbers(each) for key, each in sorted(rows.items())}
    return Table(_numbers(total), by, numbers, _numbers(Sums()))


def _numbers(found: Sums) -> dict[str, Any]:
    return {"csat": _csat(found.of("csat")), "nps": _nps(found.of("nps"))}


def _csat(answers: Mapping[str, int]) -> dict[str, Any]:
    n = sum(answers.values())
    satisfied = sum(answers.get(score, 0) for score in SATISFIED)
    low, high = wilson(satisfied, n)
    return {
        "n": n,
        "csat": ratio(satisfied, n),
        "low": low,
        "high": high,
        "scores": {score: answers.get(score, 0) for score in SCORES},
    }


def _nps(answers: Mapping[str, int]) -> dict[str, Any]:
    groups = {name: answers.get(name, 0) for name in ("promoter", "passive", "detractor")}
    n = sum(groups.values())
    score, margin = _score(groups["promoter"], groups["detractor"], n)
    return {
        "n": n,
        "nps": score,
        "low": None if score is None or margin is None else max(-100.0, score - margin),
        "high": None if score is None or margin is None else min(100.0, score + margin),
        "groups": groups,
    }


def _score(promoters: int, detractors: int, n: int) -> tuple[float | None, float | None]:
    """The score, -100 to 100, and half of its 95 % interval by the normal approximation."""
    if not n:
        return None, None
    for_us, against = promoters / n, detractors / n
    variance = for_us + against - (for_us - against) ** 2
    return 100 * (promoters - detractors) / n, 100 * Z * sqrt(max(0.0, variance) / n)


def wilson(successes: int, n: int) -> tuple[float | None, float | None]:
    """The 95 % score interval of a share (Wilson, 1927): sound for few answers and for 0 and 1."""
    if not n:
        return None, None
    share = successes / n
    middle = share + Z * Z / (2 * n)
    margin = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    whole = 1 + Z * Z / n
    return max(0.0, (middle - margin) / whole), min(1.0, (middle + margin) / whole)
