"""Reads and checks the shipped range."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import MappingProxyType

from pydantic import RootModel

from app.catalog.range.dealers import load_dealers
from app.catalog.range.markets import load_markets
from app.catalog.range.sheets import Equipment, ModelSheet, Named, Option, Paint, Range, Trim
from app.catalog.range.tables import RangeError, Several, Shipped, read

HERE = Path(__file__).parent


class Palette(Shipped):
    paint: Several[Paint]


class Fittings(Shipped):
    trim: Several[Trim]
    option: Several[Option]


@cache
def load_range(folder: Path = HERE) -> Range:
    """Read the range from `folder` (the shipped one by default).

    Raises `RangeError`, one sentence naming file, entry and field. Cached: the data never changes
    while a process runs.
    """
    markets = load_markets(folder)
    palette = read(Palette, folder / "palette.toml").paint
    paints = {paint.code: paint for paint in palette}
    if len(paints) != len(palette):
        raise RangeError("palette.toml: a paint code is used twice")
    named = read(RootModel[dict[str, Named]], folder / "equipment.toml").root
    equipment = {code: Equipment(code=code, sv=its.sv, en=its.en) for code, its in named.items()}
    fittings = read(Fittings, folder / "options.toml")
    priced = tuple(code for code, market in markets.items() if market.stock)
    models = tuple(
        read(ModelSheet, path, paints=paints, equipment=equipment, markets=priced)
        for path in sorted((folder / "models").glob("*.toml"))
    )
    if not models:
        raise RangeError("models: the folder holds no model")
    return Range(
        models=models,
        paints=MappingProxyType(paints),
        equipment=MappingProxyType(equipment),
        trims=fittings.trim,
        options=fittings.option,
        markets=MappingProxyType(markets),
        dealers=load_dealers(markets, folder),
    )
