"""The shipped stock feeds, made by a seeded generator: `python -m app.catalog.range.stock`.

One feed per target country in Google's vehicle ads text format, as a dealer group would upload
it, plus a `rehearsal` feed per market for synthetic shoppers only. The same code always writes the
same bytes: the generator has no clock and draws only through `random.Random.random()`, whose
sequence Python promises to keep for a given seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from app.catalog.range.dealers import Dealer
from app.catalog.range.fleet import (
    CONDITIONS,
    Car,
    Condition,
    fits,
    handover_of,
    in_market,
    model_weight,
    rounded_price,
)
from app.catalog.range.loading import load_range
from app.catalog.range.markets import Market
from app.catalog.range.rows import HEADER, row_of
from app.catalog.range.sheets import ModelSheet, Option, Paint, Range, Trim
from app.contracts.catalog import MAKE

STOCK = Path(__file__).parent / "stock"
SHIPPED_SOURCE = MAKE.casefold()
REHEARSAL_SOURCE = "rehearsal"
REHEARSAL_CARS = 120

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ShippedFeed:
    """A feed file in this checkout; the importer treats it like anyone's.

    A source may cover several markets: what disappears is counted per source and market.
    """

    source: str
    market: str
    adapter: str
    path: Path

    def read(self) -> bytes:
        """The file's bytes."""
        return self.path.read_bytes()


def shipped_feeds() -> tuple[ShippedFeed, ...]:
    """All committed feeds: each market's stock, then each market's rehearsal stock."""
    markets = [code for code, market in load_range().markets.items() if market.stock]
    return tuple(
        ShippedFeed(source, market, "google_vehicle_ads", STOCK / f"{prefix}{market}.txt")
        for source, prefix in ((SHIPPED_SOURCE, ""), (REHEARSAL_SOURCE, "rehearsal-"))
        for market in markets
    )


def feed_text(shipped: Range, source: str, market: Market, cars: int) -> str:
    """The feed of `source` in `market` with that many cars, as text with LF line ends."""
    rng = random.Random(f"{source} {market.code} 2026-11")  # noqa: S311 - stock, not secrets
    rows: list[tuple[str, ...]] = [HEADER]
    for number in range(1, cars + 1):
        letter = "R" if source == REHEARSAL_SOURCE else "E"
        stock_id = f"{letter}{market.code}{number:05d}"
        rows.append(row_of(_draw(rng, shipped, market, stock_id)))
    return "".join("\t".join(row) + "\n" for row in rows)


def all_feeds(shipped: Range) -> dict[str, str]:
    """File name to text of every shipped feed."""
    files: dict[str, str] = {}
    for code, market in shipped.markets.items():
        if market.stock:
            files[f"{code}.txt"] = feed_text(shipped, SHIPPED_SOURCE, market, market.stock)
            files[f"rehearsal-{code}.txt"] = feed_text(
                shipped, REHEARSAL_SOURCE, market, REHEARSAL_CARS
            )
    return files


def pick(rng: random.Random, items: Sequence[T], weight: Callable[[T], float]) -> T:
    """One of `items`, each as likely as its weight."""
    weights = [weight(item) for item in items]
    mark = rng.random() * sum(weights)
    for item, share in zip(items, weights, strict=True):
        mark -= share
        if mark < 0:
            return item
    return items[-1]


def _draw(rng: random.Random, shipped: Range, market: Market, stock_id: str) -> Car:
    dealer: Dealer = pick(rng, shipped.dealers_of(market.code), lambda d: d.weight)
    sheet: ModelSheet = pick(rng, shipped.models, lambda m: model_weight(m, market.code))
    trim: Trim = pick(rng, shipped.trims, lambda t: t.share)
    paint: Paint = pick(rng, sheet.colours, lambda p: p.popularity)
    condition: Condition = pick(rng, CONDITIONS, lambda c: c.share)
    options: tuple[Option, ...] = tuple(
        option
        for option in shipped.options
        if rng.random() < option.share + trim.percent_of_price / 100 and fits(option, sheet)
    )
    age_months = condition.months(rng.random())
    kilometres = condition.kilometres(age_months, rng.random())
    extras_sek = paint.price_sek + sum(option.price_sek for option in options)
    list_minor = rounded_price(
        sheet.prices[market.code] * (100 + trim.percent_of_price) / 100
        + 100 * in_market(extras_sek, market),
        market,
    )
    cut = condition.discount(age_months, kilometres, rng.random())
    return Car(
        stock_id=stock_id,
        market=market,
        dealer=dealer,
        sheet=sheet,
        trim=trim,
        paint=paint,
        options=options,
        condition=condition.name,
        age_months=age_months,
        kilometres=kilometres,
        list_minor=list_minor,
        price_minor=rounded_price(list_minor * (1 - cut), market) if cut else list_minor,
        handover=handover_of(condition.name, rng.random(), rng.random()),
    )


def main() -> None:
    """Write every shipped feed into `stock/`."""
    STOCK.mkdir(exist_ok=True)
    for name, text in all_feeds(load_range()).items():
        (STOCK / name).write_bytes(text.encode("utf-8"))


if __name__ == "__main__":
    main()
