"""Colour texts as families: house paints for our own make, else plain words; never a guess."""

from __future__ import annotations

import re

from app.catalog.feeds.record import Colour, NoticeCode
from app.catalog.range.sheets import Range

# A family's drawing colour when a feed states no more than the family.
_HEX = {
    "white": "#F1F3F2",
    "black": "#17191B",
    "grey": "#70767B",
    "silver": "#C4CACD",
    "blue": "#23497A",
    "red": "#9B1B26",
    "green": "#2B5138",
    "brown": "#6B4A35",
    "beige": "#CDBE9F",
    "yellow": "#E3BC2C",
    "orange": "#D4752A",
}
# Plain colour words in English, Swedish, Norwegian, Danish and Finnish. Words that name no single
# family (gold, purple, trade names) are left out on purpose.
_WORDS = {
    "white": "white vit hvit hvid valkoinen",
    "black": "black svart sort musta",
    "grey": "grey gray grå harmaa charcoal",
    "silver": "silver sølv hopea hopeinen",
    "blue": "blue blå sininen navy",
    "red": "red röd rød punainen maroon burgundy",
    "green": "green grön grønn grøn vihreä",
    "brown": "brown brun ruskea",
    "beige": "beige tan beesi",
    "yellow": "yellow gul keltainen",
    "orange": "orange oransje oranssi",
}
_FAMILY_OF = {word: family for family, words in _WORDS.items() for word in words.split()}
# What scrapers and dealer systems write when they know no colour.
_NOTHING = frozenset({"", "-", "no_color", "no color", "color:", "unknown", "n/a", "none"})


def house_colour(text: str, code: str, shipped: Range) -> Colour | None:
    """The house paint with that code, or with that name in any language; the code decides."""
    paint = shipped.paints.get(code)
    if paint is None:
        wanted = text.casefold()
        paint = next(
            (p for p in shipped.paints.values() if wanted in map(str.casefold, p.names.values())),
            None,
        )
    if paint is None:
        return None
    return Colour(paint.family, text or paint.names["en"], paint.code, paint.hex)


def listed_colour(text: str) -> tuple[Colour, NoticeCode | None]:
    """The colour of any maker's car, with a remark when it stays open.

    A text whose colour words agree on one family has that family; otherwise it is "other".
    """
    if text.casefold() in _NOTHING:
        return Colour("other", "", None, None), NoticeCode.COLOUR_MISSING
    words = re.findall(r"[^\W\d_]+", text.casefold())
    families = {_FAMILY_OF[word] for word in words if word in _FAMILY_OF}
    if len(families) == 1:
        family = families.pop()
        return Colour(family, text, None, _HEX[family]), None
    return Colour("other", text, None, None), NoticeCode.COLOUR_UNMAPPED
