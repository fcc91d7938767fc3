"""The advisor: who asked, how it ended, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from app.insight.ledger.accounts import ADVICE_STEP
from app.insight.ledger.periods import Period
from app.insight.ledger.sums import Source, Sums, sums
from app.insight.reports.tables import Table, ratio
from telemetry.catalogue.insight import ADVICE_RESULTS, ADVICE_STEPS

MEASURES: Final = ("session", "advice", *(f"{ADVICE_STEP}{step}" for step in ADVICE_STEPS))


async def advice(source: Source, period: Period, by: Sequence[str]) -> Table:
    """Advice of the visits of a period, and of callers without a visit."""
    total = (await sums(source, period, MEASURES))[()]
    rows = await sums(source, period, MEASURES, by) if by else {}
    numbers = {key: _numbers(each) for key, each in sorted(rows.items())}
    return Table(_numbers(total), by, numbers, _numbers(Sums()))


def _numbers(found: Sums) -> dict[str, Any]:
    steps = {step: found.total(f"{ADVICE_STEP}{step}") for step in ADVICE_STEPS}
    ended = found.of("advice")
    results = {result: ended.get(result, 0) for result in ADVICE_RESULTS}
    whole = sum(results.values())
    return {
        "sessions": found.total("session"),
        "advice_steps": steps,
        "micro_conversion": {b: ratio(steps[b], steps[a]) for a, b in pairwise(ADVICE_STEPS)},
        "results": results,
        "completion": ratio(results["completed"], whole),
        "no_match": ratio(results["no_match"], whole),
        "conversion": ratio(steps["order"], steps["advice_complete"]),
    }
