"""A funnel of any steps in any order: visits that did one, then the next, and so on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import and_, case, func, select

from app.insight.ledger.accounts import ADVICE_STEP, STEP
from app.insight.ledger.periods import Period
from app.insight.ledger.sums import Key, Source, entries_by, key_names
from app.insight.reports.tables import ratio
from app.kernel.errors import InvalidInput
from telemetry.catalogue.insight import ADVICE_STEPS, FUNNEL_STEPS

MEASURE_OF: Final[Mapping[str, str]] = {
    **{step: f"{STEP}{step}" for step in FUNNEL_STEPS},
    **{
        (f"advised_{step}" if step in FUNNEL_STEPS else step): f"{ADVICE_STEP}{step}"
        for step in ADVICE_STEPS
    },
}
"""Steps by the name that a question gives them; `advised_hold`: a hold that the advisor led to."""


def steps_of(text: str) -> tuple[str, ...]:
    """Two or more different steps in the order of a comma-separated text; or `InvalidInput`."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in MEASURE_OF:
            raise InvalidInput(f"steps: {name[:40]!r} is none of {', '.join(MEASURE_OF)}")
    if len(names) < 2 or len(set(names)) < len(names):
        raise InvalidInput("steps: two or more different steps, in order")
    return names


async def passed(
    source: Source, period: Period, by: Sequence[str], steps: Sequence[str]
) -> Mapping[Key, list[int]]:
    """How many visits passed each step, having passed those before it in this order.

    Of each step a visit's first moment counts. Two steps of one moment are in the order in which
    they were asked for: a step is passed if it was not before the one ahead of it.
    """
    table = entries_by(source.dialect, period, [MEASURE_OF[step] for step in steps], by)
    names = key_names(by)
    keys = [table.c[name] for name in names]
    moments = [
        func.min(case((table.c.measure == MEASURE_OF[step], table.c.moment))).label(f"m{index}")
        for index, step in enumerate(steps)
    ]
    visits = select(*keys, *moments).group_by(*keys, table.c.subject).subquery()
    at = [visits.c[f"m{index}"] for index in range(len(steps))]
    reached = [
        at[0].is_not(None),
        *(after >= ahead for ahead, after in pairwise(at)),
    ]
    counts = [
        func.sum(case((and_(*reached[: index + 1]), 1), else_=0)) for index in range(len(steps))
    ]
    keys = [visits.c[name] for name in names]
    found: dict[Key, list[int]] = {}
    for row in (await source.connection.execute(select(*keys, *counts).group_by(*keys))).all():
        found[tuple(row[: len(by)])] = [int(count or 0) for count in row[len(by) :]]
    return found


def steps_numbers(steps: Sequence[str], counts: Sequence[int] | None) -> dict[str, Any]:
    """Each step with its visits and their share of the step before it."""
    visits = counts or [0] * len(steps)
    return {
        step: {
            "sessions": visits[index],
            "of_step_before": ratio(visits[index], visits[index - 1]) if index else None,
        }
        for index, step in enumerate(steps)
    }
