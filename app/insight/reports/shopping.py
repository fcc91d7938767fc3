"""The funnel, the markets and the channel groups: one set of numbers, by different segments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from typing import Any, Final

from app.insight.ledger.accounts import MILLIONTHS
from app.insight.ledger.periods import Period
from app.insight.ledger.shop import SHOP, Shop, shop_of
from app.insight.ledger.sums import Key, Quantiles, Source, Sums, quantiles, sums
from app.insight.reports.people import LOOKAHEAD, buying_visitors, distinct
from app.insight.reports.questions import Make
from app.insight.reports.steps import passed, steps_numbers
from app.insight.reports.tables import Numbers, Table, amounts, ratio
from app.kernel.channels import CHANNEL_GROUPS
from telemetry.catalogue.insight import ADVICE_STEPS, CHECKOUT_ENDS, FUNNEL_STEPS, LOSSES

FLAT: Final = (
    "sessions",
    "engaged_sessions",
    "converted_sessions",
    "conversion",
    "steps",
    "advice_steps",
    "checkouts",
    "orders",
    "order_value",
    "order_value_lost",
    "net_order_value",
)
"""Members of the funnel report that stand beside its heading too."""

KNOWN_VISITS: Final = "visitor"
"""Its entries are visits of whoever agreed to be known again."""


def funnel(steps: Sequence[str] = ()) -> Make:
    """The report of the whole purchase; with `steps`, of these in this order as well."""

    async def make(source: Source, period: Period, by: Sequence[str]) -> Table:
        total = (await _numbers(source, period, (), steps))[()]
        rows = await _numbers(source, period, by, steps) if by else {}
        return Table(total, by, dict(sorted(rows.items())), _nothing(steps))

    return make


async def markets(source: Source, period: Period, by: Sequence[str]) -> Table:
    """The same numbers for each market."""
    return await funnel()(source, period, ("market", *(name for name in by if name != "market")))


async def channels(source: Source, period: Period, by: Sequence[str]) -> Table:
    """What each channel group brought: all groups in their order, each session and order in one.

    Sessions by the group that they began with, orders by that of their session's last click that
    was not direct: an order may stand in another group than its session.
    """
    rest = [name for name in by if name != "channel_group"]
    found = await sums(source, period, SHOP, ("channel_group", *rest))
    inner = sorted({key[1:] for key in found}) if rest else [()]
    keys = [(group, *key) for group, key in product(CHANNEL_GROUPS, inner)]
    whole = await sums(source, period, SHOP)
    return Table(
        _brought(shop_of(whole[()])),
        ("channel_group", *rest),
        {key: _brought(shop_of(found[key])) for key in keys},
        _brought(shop_of(Sums())),
    )


def _brought(shop: Shop) -> Numbers:
    return {
        "sessions": shop.sessions,
        "engaged_sessions": shop.engaged,
        "converted_sessions": shop.converted,
        "conversion": shop.conversion,
        "orders": shop.orders,
        "order_value": amounts(shop.order_value),
    }


async def _numbers(
    source: Source, period: Period, by: Sequence[str], steps: Sequence[str]
) -> dict[Key, Numbers]:
    found = await sums(source, period, SHOP, by)
    known = await _known(source, period, by)
    observed = await quantiles(
        source, period, ("order_value", "order_seconds", "confirmation_seconds"), (50, 95), by
    )
    walked = await passed(source, period, by, steps) if steps else {}
    keys = {*found, *known, *observed, *walked} | (set() if by else {()})
    return {
        key: {
            **_of_shop(shop_of(found[key]), known[key]),
            **_of_observed(observed[key]),
            **({"asked_steps": steps_numbers(steps, walked.get(key))} if steps else {}),
        }
        for key in keys
    }


def _nothing(steps: Sequence[str]) -> Numbers:
    asked = {"asked_steps": steps_numbers(steps, None)} if steps else {}
    return {**_of_shop(shop_of(Sums()), {}), **_of_observed({}), **asked}


async def _known(
    source: Source, period: Period, by: Sequence[str]
) -> defaultdict[Key, dict[str, int]]:
    """Of visits that can be judged: how many they are, of how many visitors, who bought."""
    found: defaultdict[Key, dict[str, int]] = defaultdict(dict)
    visits = await sums_of_visits(source, period, by)
    for key, count in visits.items():
        found[key]["visits"] = count
    for (key, _), people in (await distinct(source, period, by, (KNOWN_VISITS,))).items():
        found[key]["visitors"] = people
    for key, people in (await buying_visitors(source, period, by)).items():
        found[key]["bought"] = people
    return found


async def sums_of_visits(source: Source, period: Period, by: Sequence[str]) -> Mapping[Key, int]:
    """Visits of whoever agreed to be known again; their labels are people, and not read."""
    found = await sums(source, period, (KNOWN_VISITS,), by)
    return {key: each.total(KNOWN_VISITS) for key, each in found.items()}


def _of_shop(shop: Shop, known: Mapping[str, int]) -> dict[str, Any]:
    visitors, bought = known.get("visitors", 0), known.get("bought", 0)
    visits = known.get("visits", 0)
    ordered, started = shop.ends.get("ordered", 0), shop.checkouts
    could = started - shop.ends.get("sold_out", 0)
    return {
        **_brought(shop),
        "bounce": shop.bounce,
        "crash_free_sessions": shop.crash_free,
        "views": shop.views,
        "visitors": {
            "visitors": visitors,
            "sessions": visits,
            "share_of_sessions": ratio(visits, shop.sessions),
            f"converted_{LOOKAHEAD.days}_days": bought,
            f"conversion_{LOOKAHEAD.days}_days": ratio(bought, visitors),
        },
        "steps": shop.steps,
        "micro_conversion": _onward(shop.steps, FUNNEL_STEPS),
        "advice_steps": shop.advice_steps,
        "advice_micro_conversion": _onward(shop.advice_steps, ADVICE_STEPS),
        "checkouts": {
            "started": started,
            **{result: shop.ends.get(result, 0) for result in CHECKOUT_ENDS},
            "open": shop.open_checkouts,
        },
        "abandonment": {
            "rate": shop.abandonment,
            "unfinished": could - ordered,
            **{
                name: ratio(shop.ends.get(name, 0), could)
                for name in ("abandoned", "declined", "expired")
            },
        },
        "average_order_value": amounts(
            {
                name: value / shop.orders_by_currency[name]
                for name, value in shop.order_value.items()
            }
        ),
        "order_value_lost": {loss: amounts(shop.order_value_lost.get(loss, {})) for loss in LOSSES},
        "net_order_value": amounts(shop.net_order_value),
    }


def _onward(counts: Mapping[str, int], steps: Sequence[str]) -> dict[str, float | None]:
    """Of whoever reached the step before, the share that reached each."""
    return {step: ratio(counts[step], counts[ahead]) for ahead, step in pairwise(steps)}


def _of_observed(found: Mapping[tuple[str, str], Quantiles]) -> dict[str, Any]:
    medians = {
        label: of.values[50] for (measure, label), of in found.items() if measure == "order_value"
    }
    return {
        "median_order_value": amounts(medians),
        **{measure: _seconds(found.get((measure, ""))) for measure in DURATIONS},
    }


DURATIONS: Final = ("order_seconds", "confirmation_seconds")


def _seconds(found: Quantiles | None) -> dict[str, Any]:
    if found is None:
        return {"n": 0, "p50": None, "p95": None}
    return {"n": found.n, **{f"p{p}": value / MILLIONTHS for p, value in found.values.items()}}
