"""How fast and how whole the pages were, from every measured value and not from buckets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import case, func, select

from app.insight.ledger.accounts import MEASURES, MILLIONTHS
from app.insight.ledger.periods import Period
from app.insight.ledger.sums import Key, Source, Sums, entries_by, key_names, quantiles, sums
from app.insight.reports.tables import Table, ratio
from telemetry.catalogue.insight import GRADES

VITALS: Final = ("LCP", "INP", "CLS", "FCP", "TTFB")
LIMITS: Final = {vital: GRADES[metric.name] for vital in VITALS if (metric := MEASURES[vital])}
PERCENT: Final = 75
APDEX: Final = "LCP"
"""Of what a visitor waits for: satisfied up to the grade's first limit T, tolerating up to 4 T."""

ALL: Final = "all"
"""Page of a row that is of all pages of a device: a visit that broke belongs to none."""

Vitals = dict[str, dict[str, Any]]


async def experience(source: Source, period: Period, by: Sequence[str]) -> Table:
    """Vitals by page type and device, and visits without a crash by device."""
    segments = ("device", *(name for name in by if name != "device"))
    visits = await sums(source, period, ("session", "crash"), segments)
    over_pages = await _vitals(source, period, segments, by_page=False)
    rows = {
        (ALL, *key): _numbers(over_pages[ALL, *key], visits[key])
        for key in {*visits, *(key[1:] for key in over_pages)}
    }
    for key, vitals in (await _vitals(source, period, segments, by_page=True)).items():
        rows[key] = _numbers(vitals, None)
    whole = await _vitals(source, period, (), by_page=False)
    total = _numbers(whole[ALL,], (await sums(source, period, ("session", "crash")))[()])
    return Table(total, ("page", *segments), dict(sorted(rows.items())), _numbers({}, None))


def _numbers(vitals: Vitals, visits: Sums | None) -> dict[str, Any]:
    sessions = visits.total("session") if visits is not None else 0
    crashed = visits.total("crash") if visits is not None else 0
    lcp = vitals.get(APDEX, _NOTHING)
    return {
        **{
            vital: {k: v for k, v in vitals.get(vital, _NOTHING).items() if k != "tolerable"}
            for vital in VITALS
        },
        "apdex": ratio(2 * lcp["good"] + lcp["tolerable"], 2 * lcp["n"]),
        "sessions": sessions if visits is not None else None,
        "crash_free_sessions": ratio(sessions - crashed, sessions),
    }


_NOTHING: Final[Mapping[str, Any]] = {
    "n": 0,
    "p75": None,
    "rating": None,
    "good": 0,
    "poor": 0,
    "tolerable": 0,
}


async def _vitals(
    source: Source, period: Period, by: Sequence[str], *, by_page: bool
) -> defaultdict[Key, Vitals]:
    """What was measured, by page (or all of them) and then segments."""
    found: defaultdict[Key, Vitals] = defaultdict(dict)
    observed = await quantiles(source, period, VITALS, (PERCENT,), by, labels=by_page)
    grades = await _grades(source, period, by, by_page=by_page)
    for key, values in observed.items():
        for (vital, page), of in values.items():
            good, tolerable, poor = grades[*key, vital, page]
            value = of.values[PERCENT] / MILLIONTHS
            found[page or ALL, *key][vital] = {
                "n": of.n,
                "p75": value,
                "rating": _rating(vital, value),
                "good": good,
                "poor": poor,
                "tolerable": tolerable,
            }
    return found


def _rating(vital: str, value: float) -> str:
    good, poor = LIMITS[vital]
    return "good" if value <= good else "poor" if value > poor else "needs_improvement"


async def _grades(
    source: Source, period: Period, by: Sequence[str], *, by_page: bool
) -> dict[Key, tuple[int, int, int]]:
    """Good, tolerable (over that and up to four times the limit) and poor measurements."""
    table = entries_by(source.dialect, period, VITALS, by, labels=by_page)
    keys = [table.c[name] for name in (*key_names(by), "measure", "label")]
    limits = {
        vital: tuple(round(limit * MILLIONTHS) for limit in of) for vital, of in LIMITS.items()
    }
    value = table.c.amount
    first = case({vital: of[0] for vital, of in limits.items()}, value=table.c.measure)
    second = case({vital: of[1] for vital, of in limits.items()}, value=table.c.measure)
    conditions = (value <= first, (value > first) & (value <= 4 * first), value > second)
    counts = [func.sum(case((condition, 1), else_=0)) for condition in conditions]
    rows = (await source.connection.execute(select(*keys, *counts).group_by(*keys))).all()
    return {tuple(row[:-3]): (int(row[-3]), int(row[-2]), int(row[-1])) for row in rows}
