"""Reads and checks the shipped range."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from app.catalog.range.dealers import load_dealers
from app.catalog.range.markets import load_markets
from app.catalog.range.sheets import (
    ISIZE_POSITIONS,
    Design,
    Equipment,
    Isofix,
    ModelSheet,
    ModelText,
    Option,
    Paint,
    Range,
    Trim,
    Wltp,
)
from app.catalog.range.tables import RangeError, Table, read_table
from app.contracts.catalog import (
    BODIES,
    COLOUR_FAMILIES,
    DRIVETRAINS,
    FUELS,
    LIGHT_SIGNATURES,
    TRAITS,
    TRANSMISSIONS,
)
from app.contracts.wire import LANGUAGES

HERE = Path(__file__).parent
NEEDS = ("tow", "roof", "rear", "engine", "plug", "cargo")
_HEX = re.compile(r"#[0-9A-F]{6}")
_SLUG = re.compile(r"[a-z][a-z0-9-]*")


@cache
def load_range(folder: Path = HERE) -> Range:
    """Read the range from `folder` (the shipped one by default).

    Raises `RangeError`, one sentence naming file, entry and field. Cached: the data never changes
    while a process runs.
    """
    markets = load_markets(folder)
    paints = _by_code("palette.toml", [_paint(t) for t in _entries(folder, "palette", "paint")])
    equipment = _equipment(read_table(folder / "equipment.toml"))
    fittings = read_table(folder / "options.toml")
    trims = tuple(map(_trim, fittings.tables("trim")))
    options = tuple(map(_option, fittings.tables("option")))
    fittings.finish()
    priced = [code for code, market in markets.items() if market.stock]
    models = tuple(
        _model(read_table(path), paints, equipment, priced)
        for path in sorted((folder / "models").glob("*.toml"))
    )
    if not models:
        raise RangeError("models: the folder holds no model")
    return Range(
        models=models,
        paints=MappingProxyType(paints),
        equipment=MappingProxyType(equipment),
        trims=trims,
        options=options,
        markets=MappingProxyType(markets),
        dealers=load_dealers(markets, folder),
    )


def _entries(folder: Path, file: str, name: str) -> tuple[Table, ...]:
    table = read_table(folder / f"{file}.toml")
    entries = table.tables(name)
    table.finish()
    return entries


def _by_code(file: str, paints: list[Paint]) -> dict[str, Paint]:
    codes = {paint.code: paint for paint in paints}
    if len(codes) != len(paints):
        raise RangeError(f"{file}: a paint code is used twice")
    return codes


def _names(table: Table) -> Mapping[str, str]:
    return MappingProxyType({language: table.text(language) for language in LANGUAGES})


def _paint(table: Table) -> Paint:
    paint = Paint(
        code=table.text("code"),
        names=_names(table),
        family=table.text("family", among=COLOUR_FAMILIES),
        hex=table.text("hex"),
        popularity=table.integer("popularity", 1, 100),
        price_sek=table.integer("price_sek", 0, 100_000),
    )
    if not _HEX.fullmatch(paint.hex):
        raise table.wrong("hex", f"must be like #1C3B59, not {paint.hex!r}")
    table.finish()
    return paint


def _equipment(table: Table) -> dict[str, Equipment]:
    equipment: dict[str, Equipment] = {}
    for code in table.values:
        entry = table.table(code)
        equipment[code] = Equipment(code, _names(entry))
        entry.finish()
    return equipment


def _trim(table: Table) -> Trim:
    trim = Trim(
        code=table.text("code"),
        name=table.text("name"),
        percent_of_price=table.integer("percent_of_price", 0, 50),
        share=table.number("share", 0, 1),
    )
    table.finish()
    return trim


def _option(table: Table) -> Option:
    option = Option(
        code=table.text("code"),
        names=_names(table),
        price_sek=table.integer("price_sek", 0, 200_000),
        share=table.number("share", 0, 1),
        needs=table.text("needs", among=NEEDS) if table.has("needs") else None,
    )
    table.finish()
    return option


def _model(
    table: Table,
    paints: Mapping[str, Paint],
    equipment: Mapping[str, Equipment],
    markets: Collection[str],
) -> ModelSheet:
    seats = table.integer("seats", 2, 9)
    sheet = ModelSheet(
        model_id=table.text("model_id"),
        name=table.text("name"),
        body=table.text("body", among=BODIES),
        seats=seats,
        doors=table.integer("doors", 2, 5),
        fuel=table.text("fuel", among=FUELS),
        drivetrain=table.text("drivetrain", among=DRIVETRAINS),
        transmission=table.text("transmission", among=TRANSMISSIONS),
        isofix=_isofix(table.table("isofix"), seats),
        boot_litres=table.integer("boot_litres", 50, 3_000),
        boot_max_litres=table.integer("boot_max_litres", 50, 8_000),
        tow_kg=table.integer("tow_kg", 0, 3_500),
        power_kw=table.integer("power_kw", 30, 1_000),
        acceleration_s=table.number("acceleration_s", 2, 25),
        top_speed_kmh=table.integer("top_speed_kmh", 100, 330),
        battery_kwh=table.number("battery_kwh", 0.5, 250) if table.has("battery_kwh") else None,
        wltp=_wltp(table.table("wltp")),
        length_mm=table.integer("length_mm", 2_500, 6_000),
        width_mm=table.integer("width_mm", 1_400, 2_100),
        height_mm=table.integer("height_mm", 1_100, 2_600),
        wheelbase_mm=table.integer("wheelbase_mm", 1_600, 4_000),
        ground_clearance_mm=table.integer("ground_clearance_mm", 80, 300),
        wheel_inches=table.integer("wheel_inches", 14, 23),
        kerb_mass_kg=table.integer("kerb_mass_kg", 700, 3_500),
        prices=_prices(table.table("price"), markets),
        personality=_personality(table.table("personality")),
        design=_design(table.table("design")),
        texts=_texts(table.table("text")),
        equipment=tuple(equipment[c] for c in table.texts("equipment", among=equipment)),
        colours=tuple(paints[c] for c in table.texts("colours", among=paints)),
    )
    if not _SLUG.fullmatch(sheet.model_id) or f"{sheet.model_id}.toml" != table.file:
        raise table.wrong("model_id", f"must be a slug equal to the file's name ({table.file})")
    if sheet.boot_max_litres < sheet.boot_litres:
        raise table.wrong("boot_max_litres", "must not be below boot_litres")
    _check_drive(sheet, table)
    table.finish()
    return sheet


def _check_drive(sheet: ModelSheet, table: Table) -> None:
    """Fuel, battery and WLTP values must name the same kind of car."""
    wltp = sheet.wltp
    plugs = sheet.fuel in ("electric", "plugin_hybrid")
    expected = {
        "battery_kwh": sheet.fuel in ("electric", "plugin_hybrid", "hybrid"),
        "wltp: consumption_l_100km": sheet.fuel != "electric",
        "wltp: energy_kwh_100km": plugs,
        "wltp: electric_range_km": plugs,
    }
    present = {
        "battery_kwh": sheet.battery_kwh is not None,
        "wltp: consumption_l_100km": wltp.consumption_l_100km is not None,
        "wltp: energy_kwh_100km": wltp.energy_kwh_100km is not None,
        "wltp: electric_range_km": wltp.electric_range_km is not None,
    }
    for name, wanted in expected.items():
        if present[name] != wanted:
            problem = "is missing" if wanted else "must be left out"
            raise table.wrong(name, f"{problem} when fuel is {sheet.fuel}")
    if (sheet.fuel == "electric") != (wltp.co2_g_km == 0):
        raise table.wrong("wltp: co2_g_km", "is zero exactly when fuel is electric")


def _isofix(table: Table, seats: int) -> Isofix:
    isofix = Isofix(
        rear_outer=table.integer("rear_outer", 0, 4),
        front=table.flag("front"),
        isize_positions=table.texts("isize_positions", among=ISIZE_POSITIONS),
        top_tether=table.flag("top_tether"),
        three_across=table.flag("three_across"),
    )
    if isofix.positions > seats - 1:
        raise table.wrong("rear_outer", f"gives more child seats than passengers ({seats - 1})")
    if len(isofix.isize_positions) > isofix.positions:
        raise table.wrong("isize_positions", "are more than the ISOFIX positions")
    if isofix.three_across and isofix.rear_outer < 2:
        raise table.wrong("three_across", "needs two outer rear positions")
    table.finish()
    return isofix


def _wltp(table: Table) -> Wltp:
    def optional(name: str, most: float) -> float | None:
        return table.number(name, 0.1, most) if table.has(name) else None

    has_range = table.has("electric_range_km")
    wltp = Wltp(
        consumption_l_100km=optional("consumption_l_100km", 25),
        energy_kwh_100km=optional("energy_kwh_100km", 45),
        co2_g_km=table.integer("co2_g_km", 0, 500),
        electric_range_km=table.integer("electric_range_km", 10, 1_000) if has_range else None,
    )
    table.finish()
    return wltp


def _prices(table: Table, markets: Collection[str]) -> Mapping[str, int]:
    prices = {market: table.integer(market, 100_000, 1_000_000_000) for market in markets}
    table.finish()
    return MappingProxyType(prices)


def _personality(table: Table) -> Mapping[str, float]:
    traits = {trait: table.number(trait, 0, 1) for trait in TRAITS}
    table.finish()
    return MappingProxyType(traits)


def _design(table: Table) -> Design:
    design = Design(
        roofline_drop=table.number("roofline_drop", 0, 1),
        nose_length=table.number("nose_length", 0, 1),
        beltline=table.number("beltline", 0, 1),
        rear_rake=table.number("rear_rake", 0, 1),
        light_signature=table.text("light_signature", among=LIGHT_SIGNATURES),
        cladding=table.flag("cladding"),
        roof_rails=table.flag("roof_rails"),
        two_tone=table.flag("two_tone"),
    )
    table.finish()
    return design


def _texts(table: Table) -> Mapping[str, ModelText]:
    texts: dict[str, ModelText] = {}
    for language in LANGUAGES:
        entry = table.table(language)
        texts[language] = ModelText(entry.text("tagline"), entry.text("description"))
        entry.finish()
    table.finish()
    return MappingProxyType(texts)
