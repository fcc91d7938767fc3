"""The advisor's questions: which there are, and the answers as an address carries them.

Answers live in the address alone: a page can be reloaded, shared and gone back from, and nothing
is stored about a person. Capacity is asked for, never life events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final
from urllib.parse import urlencode

from app.contracts.advisor import Location, MatchRequest, Needs, Relaxation
from app.storefront.filters import City, point_of
from app.storefront.places import Place
from app.storefront.texts import msg
from app.storefront.vocabulary import COLOURS, FUELS, TRAITS

MOST: Final = 10**12
STOPS: Final = 4
"""A trait is answered on stops 0 to 4; the middle one means "either is fine"."""

MATCHES: Final = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """One possible answer; `value` empty means "no need". Words are message ids."""

    value: str
    label: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a step; `kind` is how it is asked: radio, check, money, city or swatch."""

    name: str
    title: str
    kind: str
    choices: tuple[Choice, ...] = ()
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    code: str
    title: str
    lead: str
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Everything answered so far. `max_price` is minor units; `traits` map to stops 0 to 4."""

    seats: int | None = None
    child_seats: int | None = None
    luggage_litres: int | None = None
    towing_kg: int | None = None
    max_price: int | None = None
    min_range_km: int | None = None
    fuels: tuple[str, ...] = ()
    near: str = ""
    colours: tuple[str, ...] = ()
    traits: Mapping[str, int] = field(default_factory=dict)

    def query(self, **changes: Any) -> str:
        """The address's query for these answers with `changes`."""
        pairs: list[tuple[str, str]] = []
        answers = replace(self, **changes)
        for each in fields(answers):
            value = getattr(answers, each.name)
            if isinstance(value, tuple):
                pairs += [(each.name, item) for item in value]
            elif isinstance(value, Mapping):
                pairs += [(name, str(stop)) for name, stop in value.items()]
            elif value not in (None, ""):
                pairs.append((each.name, str(value)))
        return urlencode(pairs)

    def holds(self, name: str, value: str) -> bool:
        """Whether a choice of a form is the answer given."""
        current = getattr(self, name)
        if isinstance(current, tuple):
            return value in current
        return value == ("" if current is None else str(current))


STEPS: Final = (
    Step(
        "people",
        msg("Who comes along?"),
        msg("Count the seats you use in an ordinary month, not on the one day a year."),
        (
            Question(
                "seats",
                msg("Seats"),
                "radio",
                (
                    Choice("2", msg("One or two")),
                    Choice("4", msg("Three or four")),
                    Choice("5", msg("Five")),
                    Choice("7", msg("Six or seven")),
                ),
            ),
            Question(
                "child_seats",
                msg("Child seats at the same time"),
                "radio",
                (
                    Choice("", msg("None")),
                    Choice("1", msg("One")),
                    Choice("2", msg("Two")),
                    Choice("3", msg("Three")),
                ),
                msg("We only suggest cars with an ISOFIX position for each."),
            ),
        ),
    ),
    Step(
        "luggage",
        msg("What comes along?"),
        msg("Boot space is measured in litres; a large suitcase takes about a hundred."),
        (
            Question(
                "luggage_litres",
                msg("Luggage"),
                "radio",
                (
                    Choice("", msg("Everyday bags"), msg("any boot will do")),
                    Choice("400", msg("A pram and the shopping"), msg("400 litres or more")),
                    Choice("550", msg("Two weeks by the sea"), msg("550 litres or more")),
                    Choice("700", msg("Everything, always"), msg("700 litres or more")),
                ),
            ),
            Question(
                "towing_kg",
                msg("Something to tow"),
                "radio",
                (
                    Choice("", msg("Nothing")),
                    Choice("750", msg("A light trailer"), msg("750 kg")),
                    Choice("1500", msg("A caravan or a boat"), msg("1500 kg")),
                    Choice("2000", msg("A horse box"), msg("2000 kg")),
                ),
            ),
        ),
    ),
    Step(
        "budget",
        msg("What should it run on, and cost?"),
        msg("Prices include VAT. Leave open what you have no opinion on."),
        (
            Question("max_price", msg("At most"), "money"),
            Question(
                "fuels",
                msg("Power"),
                "check",
                tuple(Choice(code, label) for code, label in FUELS.items()),
                msg("Choose as many as you like; none means all."),
            ),
            Question(
                "min_range_km",
                msg("Electric range, if it is electric"),
                "radio",
                (
                    Choice("", msg("Does not matter")),
                    Choice("300", msg("300 km or more")),
                    Choice("400", msg("400 km or more")),
                    Choice("500", msg("500 km or more")),
                ),
                msg("WLTP figures; a cold winter day takes a quarter or more of them."),
            ),
        ),
    ),
    Step(
        "place",
        msg("Where are you?"),
        msg("So that we can show the car that stands nearest. A town is near enough."),
        (
            Question("near", msg("The town closest to you"), "city"),
            Question(
                "colours",
                msg("Colours you would be glad about"),
                "swatch",
                tuple(Choice(code, word) for code, (word, _) in COLOURS.items()),
                msg("Choose as many as you like; none means all."),
            ),
        ),
    ),
    Step(
        "character",
        msg("And what is it like?"),
        msg("There is no right answer. The middle means that either is fine."),
        (),
    ),
)
CODES: Final = tuple(step.code for step in STEPS)

BUDGETS: Final[Mapping[str, tuple[int, ...]]] = {
    "SEK": (30_000_000, 40_000_000, 50_000_000, 65_000_000, 90_000_000),
    "NOK": (30_000_000, 40_000_000, 50_000_000, 65_000_000, 90_000_000),
    "DKK": (25_000_000, 35_000_000, 45_000_000, 60_000_000, 90_000_000),
    "EUR": (3_000_000, 4_000_000, 5_000_000, 6_500_000, 9_000_000),
}
"""Budgets to choose from, minor units."""

_NUMBERS: Final[Mapping[str, tuple[int, int]]] = {
    "seats": (1, 9),
    "child_seats": (0, 6),
    "luggage_litres": (0, 5000),
    "towing_kg": (0, 5000),
    "max_price": (1, MOST),
    "min_range_km": (0, 2000),
}
_SETS: Final[Mapping[str, Sequence[str]]] = {"fuels": tuple(FUELS), "colours": tuple(COLOURS)}


def read_answers(items: Sequence[tuple[str, str]]) -> Answers:
    """The answers of an address's (or a form's) pairs; what makes no sense is left out."""
    given: dict[str, Any] = {}
    traits: dict[str, int] = {}
    names = {trait.code for trait in TRAITS}
    for name, value in items:
        if name in _NUMBERS:
            low, high = _NUMBERS[name]
            number = int(value) if value.isascii() and value.isdigit() and len(value) < 14 else -1
            given[name] = number if low <= number <= high else None
        elif name in _SETS and value in _SETS[name]:
            given[name] = (*given.get(name, ()), value)
        elif name == "near":
            given[name] = value.strip()[:60]
        elif name in names and value in "01234" and len(value) == 1 and int(value) != STOPS // 2:
            traits[name] = int(value)
    return Answers(**given, traits=traits)


def merged(before: Answers, step: Step, form: Sequence[tuple[str, str]]) -> Answers:
    """The answers after a step's form: its own questions are replaced, the others stay."""
    new = read_answers(form)
    names = [question.name for question in step.questions] or ["traits"]
    return replace(before, **{name: getattr(new, name) for name in names})


def match_request(answers: Answers, place: Place, cities: Mapping[str, City]) -> MatchRequest:
    """What the advisor is asked."""
    point = point_of(answers.near, cities)
    return MatchRequest(
        market=place.market,
        needs=Needs.model_validate(
            {name: getattr(answers, name) for name in _NUMBERS} | {"fuels": list(answers.fuels)}
        ),
        preferences={name: stop / STOPS for name, stop in answers.traits.items()},
        location=Location(lat=point[0], lon=point[1]) if point else None,
        colours=list(answers.colours),
        limit=MATCHES,
    )


def relaxed(answers: Answers, relaxation: Relaxation) -> str | None:
    """The query with one need loosened; None for a need that these questions do not ask."""
    name, to = relaxation.need, relaxation.to
    if name in _NUMBERS:
        value: Any = int(to) if isinstance(to, float | int) and not isinstance(to, bool) else None
        return answers.query(**{name: value})
    if name == "fuels":
        return answers.query(fuels=tuple(to) if isinstance(to, list) else ())
    return None
