"""From needs and preferences to ranked models with reasons and exact cars.

The steps are pure modules: needs -> wishes (with personality) -> diversity -> choices -> reasons,
or relaxations when nothing meets the needs. A model without a car on offer is never a match.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.advisor.choices import chosen_cars
from app.advisor.diversity import diverse
from app.advisor.needs import Candidate, candidates_of
from app.advisor.reasons import reasons_of
from app.advisor.relaxations import relaxations_of
from app.advisor.showroom import Showroom
from app.advisor.texts import Surroundings, Texts
from app.advisor.viewpoint import Viewpoint
from app.advisor.wishes import Scored, score, wishes_of
from app.contracts.advisor import Match, MatchRequest, Relaxation
from app.contracts.catalog import TRAITS
from app.kernel.errors import InvalidInput
from telemetry.catalogue.labels import CURRENCY_OF_MARKET

MOST_COLOURS: Final = 20


@dataclass(frozen=True, slots=True)
class Advice:
    """Either matches, best first, or ways to loosen the needs."""

    matches: tuple[Match, ...]
    relaxations: tuple[Relaxation, ...]


def advise(
    showroom: Showroom,
    request: MatchRequest,
    *,
    now: datetime,
    language: str,
    rehearsal: bool,
) -> Advice:
    """The same request, stock and moment always give the same advice."""
    check(request)
    offers = showroom.offers(rehearsal=rehearsal, market=request.market)
    candidates = candidates_of(request.needs, offers, showroom.models)
    if not candidates:
        ways = relaxations_of(request.needs, offers, showroom.models)
        return Advice((), tuple(ways))
    view = viewpoint(request, now)
    ranked = score(candidates, wishes_of(request, candidates, view))
    chosen = diverse(ranked, request.limit)
    around = Surroundings(
        cheapest=min(candidate.price for candidate in candidates),
        currency=CURRENCY_OF_MARKET[request.market],
        view=view,
    )
    texts = Texts(language)
    return Advice(tuple(_match(scored, texts, around) for scored in chosen), ())


def check(request: MatchRequest) -> None:
    """Raise `InvalidInput` naming the field for what the wire model cannot know."""
    for trait, value in request.preferences.items():
        if trait not in TRAITS:
            raise _invalid(f"preferences.{trait[:40]}", f"must be one of: {', '.join(TRAITS)}")
        if not 0 <= value <= 1:
            raise _invalid(f"preferences.{trait}", "must be from 0 to 1")
    if len(request.colours) > MOST_COLOURS:
        raise _invalid("colours", f"must be at most {MOST_COLOURS}")


def viewpoint(request: MatchRequest, now: datetime) -> Viewpoint:
    place = request.location
    return Viewpoint(
        now=now,
        place=None if place is None else (place.lat, place.lon),
        colours=frozenset(colour.casefold() for colour in request.colours),
    )


def _match(scored: Scored, texts: Texts, around: Surroundings) -> Match:
    candidate: Candidate = scored.candidate
    because, trade_offs = reasons_of(scored, texts, around)
    return Match(
        model=candidate.model,
        score=round(scored.score, 6),
        because=because,
        trade_offs=trade_offs,
        cars=chosen_cars(candidate, around.view),
        available=len(candidate.cars),
    )


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(
        f"{field}: {message}.", errors=[{"field": field, "in": "body", "message": message}]
    )
