"""Numbers, money and time as the console writes them. Pure, and the same on every page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from app.kernel.money import MINOR_UNITS

GAP: Final = "\u00a0"
"""No-break space between thousands and before units: a number never breaks across lines."""

NONE: Final = "–"


def ratio(part: int, whole: int) -> float | None:
    """`part` of `whole`, 0 to 1; None where nothing can be divided."""
    return part / whole if whole else None


def number(value: float | None) -> str:
    """`1 234`; whole numbers only."""
    return NONE if value is None else f"{round(value):,}".replace(",", GAP)


def percent(value: float | None, digits: int = 1) -> str:
    """A ratio of 0 to 1 as `2.5 %`."""
    return NONE if value is None else f"{value * 100:.{digits}f}{GAP}%"


def money(minor: int, currency: str) -> str:
    """Minor units as whole units of the currency, `489 900 SEK`: cents are noise at this price."""
    return f"{number(minor / 10 ** MINOR_UNITS.get(currency, 2))}{GAP}{currency}"


def short_money(minor: int, currency: str) -> str:
    """`4.9 M SEK`: for tiles, where the exact amount stands beside."""
    units = minor / 10 ** MINOR_UNITS.get(currency, 2)
    for limit, letter in ((1e9, "bn"), (1e6, "M"), (1e4, "k")):
        if units >= limit:
            scale = {"bn": 1e9, "M": 1e6, "k": 1e3}[letter]
            return f"{units / scale:.1f}{GAP}{letter}{GAP}{currency}"
    return money(minor, currency)


def duration(seconds: float | None) -> str:
    """`640 µs`, `82 ms`, `1.24 s`, `21.0 s`, `3 min 12 s`, `2 h 5 min`."""
    if seconds is None:
        return NONE
    if seconds == 0:
        return f"0{GAP}s"
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.0f}{GAP}µs"
    if seconds < 0.9995:
        precise = 1 if seconds < 0.00995 else 0
        return f"{seconds * 1e3:.{precise}f}{GAP}ms"
    if seconds < 59.95:
        return f"{seconds:.{2 if seconds < 9.995 else 1}f}{GAP}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{GAP}min" + (f" {rest}{GAP}s" if rest else "")
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}{GAP}h {minutes}{GAP}min"
    return f"{hours // 24}{GAP}days"


def clock_time(moment: datetime | None, now: datetime) -> str:
    """`09:31:05` UTC; with the date when it was another day than now."""
    if moment is None:
        return NONE
    moment = moment.astimezone(UTC)
    shown = moment.strftime("%H:%M:%S")
    if moment.date() == now.astimezone(UTC).date():
        return shown
    return f"{moment.day}{GAP}{moment.strftime('%b')} {moment.strftime('%H:%M')}"


def from_nanoseconds(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


FILTERS: Final = {
    "number": number,
    "percent": percent,
    "money": money,
    "short_money": short_money,
    "duration": duration,
    "from_nanoseconds": from_nanoseconds,
}
