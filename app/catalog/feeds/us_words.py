"""What makes and models of scraped American listings mean: a car or not, a model or a word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.catalog.range.tables import Several, Shipped, Text, read

WORDS = Path(__file__).parent / "us_words.toml"
_BETWEEN = re.compile(r"[\W_]+")
_DOORS = re.compile(r"\b\d ?(?:d|dr|doors?)\b", re.ASCII)
_NO_NAME = re.compile(r"\w?", re.ASCII)
# Of the words that describe a car these say a body style that is ours: American titles call vans
# and buses "wagon", cars of any kind "mpv" and people carriers "van".
BODIES = ("pickup", "coupe", "suv", "sedan", "convertible", "hatchback")


class Makes(Shipped):
    motorcycles: Several[Text]
    trailers: Several[Text]
    lorries: Several[Text]
    machines: Several[Text]
    boats: Several[Text]
    kinds: Several[Text]
    fillers: Several[Text]


class Models(Shipped):
    makes: Several[Text]
    pattern: Text


class Descriptions(Shipped):
    nothing: Several[Text]
    bodies: Several[Text]
    drives: Several[Text]
    trims: Several[Text]
    names: Several[Text]


class Words(Shipped):
    makes: Makes
    model: Several[Models]
    descriptions: Descriptions


@dataclass(frozen=True, slots=True)
class UsWords:
    """The words of `us_words.toml`."""

    makes: frozenset[str]
    kinds: frozenset[str]
    fillers: frozenset[str]
    models: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]
    descriptions: frozenset[str]
    names: frozenset[str]

    def no_car_make(self, make: str) -> bool:
        """Whether the make builds motorcycles, trailers, lorries, machines or boats only."""
        words = plain(make).split()
        while words and words[-1] in self.fillers:
            words.pop()
        name = " ".join(words)
        return name in self.makes or (len(words) > 1 and words[-1] in self.kinds)

    def no_car_model(self, make: str, model: str) -> bool:
        """Whether a make that builds cars as well calls a lorry or a motorcycle by that model."""
        makers = {"*", plain(make)}
        text = plain(model)
        return any(
            pattern.search(text) for makes, pattern in self.models if not makers.isdisjoint(makes)
        )

    def described(self, model: str) -> frozenset[str] | None:
        """The words of a model that names none but describes the car; `None` when it names one."""
        text = _DOORS.sub("door", plain(model))
        words = frozenset(text.split())
        if text in self.names:
            return None
        if words <= self.descriptions or text in self.descriptions or _NO_NAME.fullmatch(text):
            return words
        return None


def plain(text: str) -> str:
    """Small letters, and one blank for whatever stands between words."""
    return _BETWEEN.sub(" ", text.casefold()).strip()


def body(words: frozenset[str]) -> str | None:
    """The body style that such words say, when they say one."""
    said = words.intersection(BODIES)
    return next(iter(said)) if len(said) == 1 else None


@cache
def us_words() -> UsWords:
    """The words as shipped; `RangeError` when the file is wrong."""
    words = read(Words, WORDS)
    makes, descriptions = words.makes, words.descriptions
    return UsWords(
        makes=frozenset(
            makes.motorcycles + makes.trailers + makes.lorries + makes.machines + makes.boats
        ),
        kinds=frozenset(makes.kinds),
        fillers=frozenset(makes.fillers),
        models=tuple((entry.makes, _whole_words(entry.pattern)) for entry in words.model),
        descriptions=frozenset(
            descriptions.nothing + descriptions.bodies + descriptions.drives + descriptions.trims
        ),
        names=frozenset(descriptions.names),
    )


def _whole_words(pattern: str) -> re.Pattern[str]:
    one_line = pattern.replace("\n", "")
    return re.compile(rf"(?<!\w)(?:{one_line})(?:[hlsx]d|xlt?)?(?!\w)", re.ASCII)
